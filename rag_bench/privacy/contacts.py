"""E-mails, links and handles: what is written alike in every language."""

from __future__ import annotations

import re

from rag_bench.privacy.kinds import Kind, Span, blanked

_PATTERNS = (
    (Kind.EMAIL, re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (Kind.LINK, re.compile(r"(?:https?://|www\.|t\.me/|vk\.com/)\S+", re.IGNORECASE)),
    (Kind.HANDLE, re.compile(r"(?<![\w@])@\w{3,}")),
)


def contacts(text: str) -> list[Span]:
    """Return the e-mails, links and handles of a readable text; none overlaps another."""
    found: list[Span] = []
    for kind, pattern in _PATTERNS:
        left = blanked(text, found)
        found += [Span(match.start(), match.end(), kind) for match in pattern.finditer(left)]
    return found
