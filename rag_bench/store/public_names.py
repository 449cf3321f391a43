"""Texts as they may be shown: masked, but for names that the knowledge base itself has."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rag_bench.privacy.given_names import mask_given
from rag_bench.privacy.masking import mask_all
from rag_bench.privacy.public_names import NOBODY, PublicNames
from rag_bench.store import snapshots

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.datasets import DatasetInfo

_KEPT = 4
_lock = threading.Lock()
_of_corpus: dict[str, PublicNames] = {}


def public_names_of(engine: Engine, snapshot: snapshots.SnapshotInfo) -> PublicNames:
    """Return the names in a snapshot's chunks; read once per set of chunks in this process."""
    with _lock:
        names = _of_corpus.pop(snapshot.corpus_hash, None)
        if names is None:
            chunks = snapshots.chunks_of(engine, snapshot.sha256)
            names = PublicNames(chunk.text for chunk in chunks)
        # The last is the latest asked for.
        _of_corpus[snapshot.corpus_hash] = names
        while len(_of_corpus) > _KEPT:
            del _of_corpus[next(iter(_of_corpus))]
        return names


def current_names(engine: Engine) -> PublicNames:
    """Return the names in the chunks of the current snapshot."""
    snapshot = snapshots.current_snapshot(engine)
    return NOBODY if snapshot is None else public_names_of(engine, snapshot)


def masked(
    engine: Engine, texts: Sequence[str], *, leave: re.Pattern[str] | None = None
) -> list[str]:
    """Return users' words with personal data masked. What ``leave`` matches stays."""
    # The names are read of all chunks: only for texts in which somebody is named at all.
    hidden = mask_all(texts, leave=leave)
    if hidden == list(texts):
        return hidden
    return mask_all(texts, current_names(engine), leave=leave)


def masked_given(engine: Engine, texts: Sequence[str]) -> list[str]:
    """Return names that somebody gave to things, masked; see `privacy.given_names`."""
    hidden = mask_given(texts)
    return hidden if hidden == list(texts) else mask_given(texts, current_names(engine))


def with_name_masked(engine: Engine, dataset: DatasetInfo) -> DatasetInfo:
    """Return a dataset with its name masked; it is found by its id."""
    [name] = masked_given(engine, [dataset.name])
    return replace(dataset, name=name)
