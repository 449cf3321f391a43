"""Hiding secrets in what providers send back, however they escape it.

A provider, a proxy or an HTTP library may repeat a key in an error: as it is, in the ``repr`` of a
header, inside JSON inside JSON, in a URL, in base64, in HTML. Each letter of a secret is therefore
looked for in every such form at once, so that mixed and nested forms are found as well.
"""

from __future__ import annotations

import base64
import html
import html.entities
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

HIDDEN = "[secret]"
# Shorter keys are placeholders of local servers ("EMPTY", "offline"), words that replies may hold.
SHORTEST = 8

# Bounds keep a text of a million backslashes from taking quadratic time.
_BACKSLASHES = r"\\{1,16}"
_PERCENT = "%(?:25){0,4}"
_AMPERSAND = "&(?:amp;){0,4}"
_MOST_LAYERS = 6
_ESCAPED = re.compile(r"%[0-9a-f]{2}|&(?:#|amp;)|\\[ux]", re.IGNORECASE)
_CODED = re.compile(r"\\{1,16}(?:u([0-9a-f]{4})|x([0-9a-f]{2}))", re.IGNORECASE)
_BREAK = r"(?:\s|\\{1,16}[rn]){0,4}"  # base64 is often broken into lines


class Hider:
    """Replaces secrets, and everything that can be turned back into one, by ``[secret]``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        wanted = sorted({s for s in secrets if len(s) >= SHORTEST}, key=lambda s: (-len(s), s))
        self._patterns = [pattern for secret in wanted for pattern in _patterns(secret)]

    def __repr__(self) -> str:
        return "Hider()"

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        for pattern in self._patterns:
            text = pattern.sub(HIDDEN, text)
        # Escapes of different kinds inside one another are no longer in place to be cut out.
        return HIDDEN if self._patterns and self._is_buried(text) else text

    def _is_buried(self, text: str) -> bool:
        for _ in range(_MOST_LAYERS):
            if not _ESCAPED.search(text):
                return False
            opened = html.unescape(urllib.parse.unquote(text))
            opened = _CODED.sub(lambda match: chr(int(match[1] or match[2], 16)), opened)
            if opened == text:
                return False
            text = opened
            if any(pattern.search(text) for pattern in self._patterns):
                return True
        return False

    def content(self, content: bytes) -> bytes:
        """Return a reply's bytes without the secrets; JSON stays JSON. Untouched if it has none."""
        if not self._patterns:
            return content
        try:
            text = content.decode(json.detect_encoding(content))
        except UnicodeDecodeError:
            text = content.decode("utf-8", errors="replace")
        hidden = self.text(text)
        if hidden == text:
            return content
        try:
            # Value by value, as a match in the raw text may begin in the middle of an escape.
            return json.dumps(self._value(json.loads(text))).encode()
        except (ValueError, RecursionError):
            return hidden.encode("utf-8", errors="replace")

    def error(self, error: BaseException) -> None:
        """Take the secrets out of an exception's words and of those that it was raised from."""
        seen: set[int] = set()
        left: list[BaseException | None] = [error]
        while left:
            current = left.pop()
            if current is None or id(current) in seen:
                continue
            seen.add(id(current))
            left += [current.__cause__, current.__context__]
            if isinstance(current, BaseExceptionGroup):
                left += current.exceptions
            words = [self._words(part) for part in current.args]
            if words != list(current.args):
                current.args = tuple(words)

    def _words(self, part: Any) -> Any:
        if isinstance(part, str):
            return self.text(part)
        shown = str(part)
        hidden = self.text(shown)
        return part if hidden == shown else hidden

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(name): self._value(item) for name, item in value.items()}
        if isinstance(value, int | float) and not isinstance(value, bool):
            shown = repr(value)
            return value if self.text(shown) == shown else HIDDEN
        return value


def _patterns(secret: str) -> Iterator[re.Pattern[str]]:
    letters = list(secret)
    yield _pattern([_letter(c) for c in letters], {*letters})
    for cut in range(3):
        # Inside a longer text, base64 of the secret depends on where it begins, modulo three.
        encoded = base64.b64encode(b"\0" * cut + secret.encode()).decode()
        n_bits = (cut + len(secret.encode())) * 8
        core = encoded[-(-cut * 8 // 6) : n_bits // 6]
        twins = {"+": "+-", "/": "/_"}  # of the alphabet for URLs
        forms = ["|".join(_letter(t) for t in twins.get(c, c)) for c in core]
        first = set(twins.get(core[0], core[0]))
        tail = rf"{_BREAK}[A-Za-z0-9+/_-]?(?:=|{_PERCENT}3d){{0,2}}"
        yield _pattern([f"(?:{form})" for form in forms], first, _BREAK, tail)
    pairs = [f"{byte:02x}" for byte in secret.encode()]
    yield _pattern(pairs, {pairs[0][0]}, "[: ]?")


def _pattern(
    forms: list[str], first: set[str], between: str = "", tail: str = ""
) -> re.Pattern[str]:
    # Almost no letter of a text can begin a match, which one look at it decides.
    begin = "".join(
        re.escape(c) for c in sorted({c for f in first for c in (f.lower(), f.upper())})
    )
    return re.compile(rf"(?=[\\%&{begin}])" + between.join(forms) + tail, re.IGNORECASE)


@cache
def _letter(c: str) -> str:
    """Return a pattern of one character in all of its escaped forms."""
    code, octets, wide = ord(c), c.encode(), c.encode("utf-16-be")
    units = [wide[i : i + 2].hex() for i in range(0, len(wide), 2)]
    named = "|".join(re.escape(name) for name in _NAMES_OF.get(c, ()))
    forms = [
        "".join(rf"{_BACKSLASHES}u{unit}" for unit in units),
        rf"{_BACKSLASHES}u\{{0{{0,6}}{code:x}\}}",
        "".join(rf"{_BACKSLASHES}x{octet:02x}" for octet in octets),
        "".join(rf"{_BACKSLASHES}{octet:03o}" for octet in octets),
        "".join(rf"{_PERCENT}{octet:02x}" for octet in octets),
        rf"{_AMPERSAND}#0{{0,6}}{code};?",
        rf"{_AMPERSAND}#x0{{0,6}}{code:x};?",
        *([rf"{_AMPERSAND}(?:{named});?"] if named else []),
        rf"\\{{0,16}}{re.escape(c)}",
    ]
    return "(?:" + "|".join(forms) + ")"


def _names_of_letters() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, letter in html.entities.html5.items():
        if len(letter) == 1 and letter.isascii() and name.endswith(";"):
            names.setdefault(letter, []).append(name[:-1])
    return names


_NAMES_OF = _names_of_letters()
