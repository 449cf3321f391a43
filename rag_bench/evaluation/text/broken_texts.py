"""Texts that were broken on their way: read in a wrong encoding, cut, or an error page instead."""

from __future__ import annotations

import re
from http import HTTPStatus

from rag_bench.evaluation.text.text_folding import fold

#: In which Russian and western texts are read by mistake where they are UTF-8.
_WRONG = ("cp1251", "cp1252", "latin-1", "koi8-r", "cp866")
#: What a decoder puts where it could read nothing.
_LOST = "\ufffd"
# Not every white space: misread letters may be a no-break space.
_BETWEEN = re.compile(r"[ \t\r\n]+")
_ENDS = re.compile(r"[.!?…:;][)»\"”'\]]*$|[)»\"”\]|>]$")
_MARKUP = re.compile(r"<(!doctype html|html|head|body)\b", re.IGNORECASE)
_ERRORS = re.compile(
    r"(?:HTTP(?:/[\d.]+)?|Error:?)?\s*(?:"
    + "|".join(f"{one.value} {re.escape(one.phrase)}" for one in HTTPStatus if one.value >= 400)
    + r")\b",
    re.IGNORECASE,
)


def what_is_broken(text: str) -> str | None:
    """Say in words what is wrong with a text as such; None: nothing that can be seen."""
    if misread_as(text):
        return "read in a wrong encoding"
    if _LOST in text:
        return "letters were lost in decoding (U+FFFD)"
    first = text.lstrip()
    if _ERRORS.match(first):
        return "an error page of a web server"
    if _MARKUP.match(first):
        return "HTML and no text"
    return None


def misread_as(text: str) -> str | None:
    """Return as what a text in UTF-8 was read wrongly; None: it was not, as far as can be seen.

    It is if more than half of its words with letters beyond ASCII, written in one of the usual
    encodings, are UTF-8. Words of people's texts hardly ever are.
    """
    words = [word for word in _BETWEEN.split(text) if not word.isascii() and _LOST not in word]
    for encoding in _WRONG:
        if 2 * sum(_is_misread(word, encoding) for word in words) > len(words):
            return encoding
    return None


def _is_misread(word: str, encoding: str) -> bool:
    try:
        word.encode(encoding).decode("utf-8")
    except UnicodeError:
        return False
    return True


def is_cut(before: str, now: str) -> bool:
    """Whether a text is the beginning of what it was, and ends inside of a sentence.

    Who shortens a page by hand ends where a sentence does; a program that cuts does not.
    """
    end = now.rstrip()
    shorter = len(fold(now)) < len(fold(before))
    return shorter and bool(end) and fold(before).startswith(fold(now)) and not _ENDS.search(end)
