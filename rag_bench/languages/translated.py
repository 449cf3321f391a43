"""What is made in English, in the language of a page.

Metrics, causes and reasons are written in English where they are declared; ``<language>.toml`` has
them in another language, keyed by the English, so that a changed sentence is missed at once (a test
compares them). What is not there, such as an extension's, stays as it is.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ENGLISH = "en"
_PLACE = re.compile(r"\{(\w+)\}")
# Of causes within causes: «not asked …, the last: no answer to score: http 500».
_DEEPEST = 4


@dataclass(frozen=True)
class _Sentence:
    """A sentence with places: what it looks like, and what is said instead."""

    looks: re.Pattern[str]
    said: str


@cache
def catalogue(lang: str) -> dict[str, dict[str, str]]:
    """Return a language's texts by section, then by the English; empty for an unknown language."""
    path = Path(__file__).with_name(f"{lang}.toml")
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@cache
def _sentences(lang: str) -> tuple[_Sentence, ...]:
    found = catalogue(lang)
    texts = {**found.get("advice", {}), **found.get("sentences", {})}
    return tuple(
        _Sentence(_looks(english), said) for english, said in texts.items() if "{" in english
    )


def _looks(english: str) -> re.Pattern[str]:
    """Return the pattern of a sentence: a place is any text, the same in both of its places."""
    parts, seen, at = [], set(), 0
    for place in _PLACE.finditer(english):
        parts.append(re.escape(english[at : place.start()]))
        name = place[1]
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
        seen.add(name)
        at = place.end()
    return re.compile("".join([*parts, re.escape(english[at:])]), re.DOTALL)


def formula(text: str, lang: str) -> str:
    """Return what a metric is, in a language."""
    return catalogue(lang).get("formulas", {}).get(text, text)


def title(text: str, lang: str) -> str:
    """Return what a column is called, in a language."""
    return catalogue(lang).get("titles", {}).get(text, text)


def sentence(text: str, lang: str, depth: int = 0) -> str:
    """Return a cause, an advice or a reason in a language; values in it stay as they are.

    The place ``rest`` holds another such sentence. Capital at the beginning is kept.
    """
    if lang == ENGLISH or not text:
        return text
    found = catalogue(lang)
    for section in ("advice", "sentences"):
        if said := found.get(section, {}).get(text):
            return said
    for one in _sentences(lang):
        match = one.looks.fullmatch(text)
        if match:
            values = match.groupdict()
            if "rest" in values and depth < _DEEPEST:
                values["rest"] = sentence(values["rest"], lang, depth + 1)
            return one.said.format(**values)
    small = text[:1].lower() + text[1:]
    if small != text:
        said = sentence(small, lang, _DEEPEST)
        return said[:1].upper() + said[1:] if said != small else text
    return text


def detail(text: str, lang: str) -> str:
    """Return the detail of a failed case in a language: several causes, each behind names."""
    if lang == ENGLISH or not text:
        return text
    said: list[tuple[str, str]] = []  # English, and in the language
    for part in text.split("; "):
        found = _named(part, lang)
        if found == part and said:
            # It may be the end of a sentence that has this sign itself.
            whole = f"{said[-1][0]}; {part}"
            if (joined := _named(whole, lang)) not in (whole, f"{said[-1][1]}; {part}"):
                said[-1] = whole, joined
                continue
        said.append((part, found))
    return "; ".join(found for _, found in said)


def _named(text: str, lang: str) -> str:
    """Translate a cause behind names and colons: «faithfulness: x/m: the reply is empty»."""
    said = sentence(text, lang)
    head, colon, rest = text.partition(": ")
    if said != text or not colon or " " in head:
        return said
    return f"{head}: {_named(rest, lang)}"
