"""What exactly differs behind two hashes: the words of prompts, the chunks of dumps, fields."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rag_bench.llm.prompt_texts import MEASURED_PROMPTS, noted
from rag_bench.store.releases.prompt_texts import texts_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.snapshots import ChunkDiff, ChunkRecord

#: Chunks that are listed of each kind; the counts are of all.
_LISTED = 500
_CHARACTERS = 300
_CONTEXT = 2  # lines around a change


def prompt_texts(engine: Engine, hashed: str | None) -> Mapping[str, str] | None:
    """Return the texts behind a hash of prompts; None if they were not stored (results of earlier
    versions of the program) and are not this program's own.
    """
    if hashed is None:
        return None
    stored = texts_of(engine, hashed)
    if stored is None:
        # What this program asks by has its hash as soon as it was needed once.
        _hash_own()
        stored = dict(found) if (found := noted(hashed)) else None
    return stored


def prompts(engine: Engine, a: str | None, b: str | None) -> dict[str, Any]:
    """Return which prompts of two hashes differ, each with its diff of lines."""
    first, second = prompt_texts(engine, a), prompt_texts(engine, b)
    if first is None or second is None:
        side = "a" if first is None else "b"
        return {
            "prompts": [],
            "unknown": f"the texts of {side}'s prompts were not stored when it was measured",
        }
    changed = []
    for name in sorted(first.keys() | second.keys()):
        before, after = first.get(name), second.get(name)
        if before == after:
            continue
        lines = list(_diff(before or "", after or ""))
        changed.append(
            {
                "name": name,
                "how": "added" if before is None else "removed" if after is None else "changed",
                "lines_added": sum(line.startswith("+") for line in lines),
                "lines_removed": sum(line.startswith("-") for line in lines),
                "diff": lines,
            }
        )
    return {"prompts": changed}


@lru_cache(maxsize=8)  # snapshots never change, and a board of cells asks for the same two
def chunks(engine: Engine, a: str | None, b: str | None) -> dict[str, Any] | None:
    """Return which chunks differ between two dumps: counts, by page, and listed."""
    from rag_bench.store.chunk_diff import diff_chunks
    from rag_bench.store.snapshots import chunks_of

    if a is None or b is None:
        return None
    found = diff_chunks(chunks_of(engine, a), chunks_of(engine, b))
    return {**found.to_json(), **_listed(found)}


def fields(a: Any, b: Any) -> dict[str, Any] | None:
    """Return the fields of two tables in which they differ; None where they are no tables."""
    if not isinstance(a, Mapping) or not isinstance(b, Mapping):
        return None
    names = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
    return {"fields": [{"name": name, "a": a.get(name), "b": b.get(name)} for name in names]}


def _listed(found: ChunkDiff[ChunkRecord]) -> dict[str, Any]:
    touched = [
        *(("added", one.page_url) for one in found.added),
        *(("removed", one.page_url) for one in found.removed),
        *(("changed", new.page_url) for _, new, _ in found.changed),
    ]
    pages: dict[str, Counter[str]] = {}
    for how, page in touched:
        pages.setdefault(page, Counter())[how] += 1
    listed = [
        {
            "how": "changed",
            "page_url": new.page_url,
            "chunk_hash_a": old.chunk_hash,
            "chunk_hash_b": new.chunk_hash,
            "before": _short(old.text),
            "after": _short(new.text),
            "similarity": round(ratio, 1),
        }
        for old, new, ratio in found.changed[:_LISTED]
    ]
    for how, rows, side in (("added", found.added, "b"), ("removed", found.removed, "a")):
        text = "after" if side == "b" else "before"
        listed += [
            {
                "how": how,
                "page_url": one.page_url,
                f"chunk_hash_{side}": one.chunk_hash,
                text: _short(one.text),
            }
            for one in rows[:_LISTED]
        ]
    return {
        "n_pages": len(pages),
        "pages": {page: dict(counts) for page, counts in sorted(pages.items())},
        "chunks": listed,
    }


def _short(text: str) -> str:
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"


def _diff(before: str, after: str) -> Iterator[str]:
    """Yield the lines of a unified diff, without the lines that only name files."""
    found = difflib.unified_diff(before.splitlines(), after.splitlines(), n=_CONTEXT, lineterm="")
    for number, line in enumerate(found):
        if number > 1:
            yield line


def _hash_own() -> None:
    from rag_bench.llm.ragas import prompts as of_ragas
    from rag_bench.llm.tasks.prompts import names, prompt_hash

    for language in of_ragas.LANGUAGES:
        of_ragas.prompt_hash(language)
    prompt_hash(MEASURED_PROMPTS)
    for name in names():
        prompt_hash([name])
