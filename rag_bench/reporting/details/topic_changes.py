"""What became of topics, as the rows of a table: born, died, split, merged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

#: What may become of a topic, in the order of tables.
KINDS = ("born", "died", "split", "merged")


def rows(result: Mapping[str, Any]) -> Iterator[tuple[str, str, int, str]]:
    """Yield (what, topic, its questions now, details) of a stored topic coverage.

    What a new generation changed is called so; of results of before topics were kept, nothing.
    """
    for field, by in (("generation_changes", " by the new generation"), ("changes", "")):
        found = result.get(field) or {}
        for kind in KINDS:
            for one in found.get(kind, ()):
                yield f"{kind}{by}", one["name"], one["n_questions"], details(one)


def details(one: Mapping[str, Any], expected: str = "expected") -> str:
    """Return into what a topic split, out of what it was merged, or what it promised."""
    parts = one.get("into") or one.get("out_of") or ()
    if parts:
        return "; ".join(f"{part['name']} ({part['n_questions']})" for part in parts)
    return f"{expected} {one['expected']:.0f}" if "expected" in one else ""
