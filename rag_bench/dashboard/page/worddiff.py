"""Two texts word by word: what the second leaves out, and what it has besides."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from markupsafe import Markup

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
# Longer ones take time that grows with the square.
_LONGEST = 3000


def word_diff(reference: str, answer: str) -> Markup:
    """Return the answer with what differs from the reference marked as deleted and inserted."""
    a = _WORDS.findall(reference)[:_LONGEST]
    b = _WORDS.findall(answer)[:_LONGEST]
    folded_a, folded_b = [w.casefold() for w in a], [w.casefold() for w in b]
    parts = []
    for kind, a0, a1, b0, b1 in SequenceMatcher(None, folded_a, folded_b, False).get_opcodes():
        if kind == "equal":
            parts.append(Markup("{}").format("".join(b[b0:b1])))
            continue
        gone, new = "".join(a[a0:a1]), "".join(b[b0:b1])
        if gone.strip():
            parts.append(Markup("<del>{}</del> ").format(gone.strip()))
        if new.strip():
            parts.append(Markup("<ins>{}</ins>").format(new))
        elif new:
            parts.append(Markup(" "))
    return Markup("").join(parts)
