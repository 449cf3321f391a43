"""Kinds of personal data, and what stands in their place in a masked text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a piece of personal data is."""

    EMAIL = "e-mail"
    LINK = "link"
    HANDLE = "handle"
    PHONE = "phone"
    INN = "inn"
    SNILS = "snils"
    PASSPORT = "passport"
    NUMBER = "number"
    NAME = "name"


# One word for all numbers: a reader needs no more, and a wrong guess of the kind changes no text.
PLACEHOLDERS = {
    Kind.EMAIL: "[e-mail]",
    Kind.LINK: "[link]",
    Kind.HANDLE: "[name]",
    Kind.PHONE: "[number]",
    Kind.INN: "[number]",
    Kind.SNILS: "[number]",
    Kind.PASSPORT: "[number]",
    Kind.NUMBER: "[number]",
    Kind.NAME: "[name]",
}


@dataclass(frozen=True, order=True)
class Span:
    """Characters ``start`` to ``end`` (exclusive) of a text, and the kind of what stands there."""

    start: int
    end: int
    kind: Kind


def blanked(text: str, spans: Iterable[Span], mark: str = " ") -> str:
    """Return the text with ``mark`` for each character of the spans, as long as before."""
    for span in spans:
        text = text[: span.start] + mark * (span.end - span.start) + text[span.end :]
    return text
