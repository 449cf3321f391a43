"""Slovnet's recognizer of Russian names, with the weights that the package natasha carries.

natasha itself is never imported: its morphology asks for a module that today's setuptools has no
more. Only the files in it are read.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rag_bench.errors import NotInstalledError

_WEIGHTS = "data/model/slovnet_ner_news_v1.tar"
_VECTORS = "data/emb/navec_news_v1_1B_250K_300d_100q.tar"
_PERSON = "PER"
_BATCH = 64
# Texts are recognised in parts of so many words at most, so that a long one needs little memory.

_lock = threading.Lock()
_ner: Any = None


def people(texts: Sequence[str]) -> list[list[tuple[int, int]]]:
    """Return for each text where it names people: (start, end) of each name, in order.

    Only texts of equally many words are recognised together: the network pads the shorter ones,
    and what it finds in a text would depend on the texts beside it.

    Raises:
        NotInstalledError: natasha's weights are not there.
    """
    ner = recognizer()
    from slovnet.token import tokenize

    by_length: dict[int, list[int]] = defaultdict(list)
    for i, text in enumerate(texts):
        by_length[sum(1 for _ in tokenize(text))].append(i)
    found: list[list[tuple[int, int]]] = [[] for _ in texts]
    for length, members in sorted(by_length.items()):
        if not length:
            continue
        step = max(1, min(_BATCH, 8_192 // length))
        for first in range(0, len(members), step):
            chosen = members[first : first + step]
            for i, markup in zip(chosen, ner.infer([texts[i] for i in chosen]), strict=True):
                found[i] = [(s.start, s.stop) for s in markup.spans if s.type == _PERSON]
    return found


def recognizer() -> Any:
    """Return the recognizer, loaded once: half a second and 150 MB.

    Raises:
        NotInstalledError: natasha's weights are not there.
    """
    global _ner
    if _ner is None:
        with _lock:
            if _ner is None:
                _ner = _load()
    return _ner


def _load() -> Any:
    spec = find_spec("natasha")
    folder = Path(next(iter(spec.submodule_search_locations or []))) if spec else None
    if folder is None or not (folder / _WEIGHTS).is_file() or not (folder / _VECTORS).is_file():
        raise NotInstalledError(
            "Names cannot be masked: the weights in the package natasha are not there. "
            "Install it: pip install 'natasha==1.6.0'."
        )
    from navec import Navec
    from slovnet import NER

    ner = NER.load(str(folder / _WEIGHTS), batch_size=_BATCH)
    return ner.navec(Navec.load(str(folder / _VECTORS)))
