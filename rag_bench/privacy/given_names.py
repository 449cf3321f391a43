"""Names that somebody gave to things: ids of cases, labels of runs, datasets, files.

They are masked as texts are, but for what makes a name and tells of nobody: hashes, UUIDs and
days. Masked, two of them may read alike, so that each has its place behind it, and is found by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from rag_bench.privacy.masking import mask_all
from rag_bench.privacy.public_names import NOBODY, PublicNames

MaskAll = Callable[[Sequence[str]], list[str]]

# A hash of twelve digits or more, three of them letters: fewer may stand before a phone.
_HASH = r"(?=(?:\d*[a-f]){3})[0-9a-f]{12,128}"
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_DAY = r"20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_-]?\d{4}(?:\d\d)?Z?)?"
_OF_NOBODY = re.compile(rf"(?<![0-9A-Za-z])(?:{_UUID}|{_HASH}|{_DAY})(?![0-9A-Za-z])")
_PLACED = re.compile(r".+~(\d{1,9})", re.DOTALL)
#: So many digits a number has that may be a phone or a document.
_LEAST = 10


def mask_given(texts: Sequence[str], public_names: PublicNames = NOBODY) -> list[str]:
    """Return names of things, masked."""
    return mask_all(texts, public_names, leave=_OF_NOBODY)


def placed(ids: Mapping[str, int], mask: MaskAll) -> dict[str, str]:
    """Return what stands for each id; itself where nothing personal is in it.

    Args:
        ids: with the place of each, from 1.
        mask: `mask_given`, with the names that are public.
    """
    return {
        one: one if hidden == one else f"{hidden}~{place}"
        for (one, place), hidden in zip(ids.items(), mask(list(ids)), strict=True)
    }


def place_of(name: str) -> int | None:
    """Return the place behind what may stand for an id; None: it is an id itself."""
    found = _PLACED.fullmatch(name)
    return int(found[1]) if found else None


def masked_json(
    value: Any, mask: MaskAll, *, leave: Collection[str] = (), names_too: bool = False
) -> Any:
    """Return a value of JSON with all its texts masked.

    Args:
        value: lists, objects, texts, numbers.
        mask: of several texts at once.
        leave: names in objects, whose values stay.
        names_too: mask the names in objects as well, and numbers of ten digits or more.
    """
    texts: dict[str, str] = {}

    def text_of(one: Any) -> str | None:
        if isinstance(one, str):
            return one
        long = names_too and isinstance(one, int) and len(str(abs(one))) >= _LEAST
        return str(one) if long else None

    def look(one: Any) -> None:
        if isinstance(one, Mapping):
            for name, inner in one.items():
                if name not in leave:
                    look(inner)
                if names_too:
                    look(name)
        elif isinstance(one, list | tuple):
            for inner in one:
                look(inner)
        elif (text := text_of(one)) is not None:
            texts[text] = text

    def made(one: Any) -> Any:
        if isinstance(one, Mapping):
            return {
                (texts.get(name, name) if names_too else name): (
                    inner if name in leave else made(inner)
                )
                for name, inner in one.items()
            }
        if isinstance(one, list | tuple):
            return [made(inner) for inner in one]
        text = text_of(one)
        if text is None or texts[text] == text:
            return one
        return texts[text]

    look(value)
    texts = dict(zip(texts, mask(list(texts)), strict=True))
    return made(value)
