"""Ids that a dump gives its rows: any text, and whole numbers where they are written as such."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"-?(?:0|[1-9]\d{0,18})")


def identifier(text: str) -> int | str:
    """Return an id: a whole number where it is written as one, else the text as it is."""
    return int(text) if _WHOLE.fullmatch(text) and text != "-0" else text


def id_order(found: int | str) -> tuple[bool, int, str]:
    """Return what ids are sorted by: numbers by size before texts by alphabet."""
    return (False, found, "") if isinstance(found, int) else (True, 0, found)


def plain_number(value: float | None) -> int | float | None:
    """Return a stored rating as it was: a whole one without a fraction."""
    return int(value) if value is not None and value.is_integer() else value
