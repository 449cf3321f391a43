"""A case that is asked about several times, by rubric or metric: one record of all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rag_bench.errors import CaseError
from rag_bench.store.evaluations import Case
from rag_bench.tiers.base.reasked import Flagged

ScoresOf = Callable[[str, Any], Mapping[str, Any]]
"""Returns what is stored of one result, by what was asked; errors are never given to it."""


def cases_of(
    case_ids: Iterable[str],
    results: Mapping[str, Mapping[str, Flagged]],
    scores_of: ScoresOf,
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Case]:
    """Return a case for each id, with the results that there are of it, and what is ``known``."""
    return [
        case_of(case_id, results.get(case_id, {}), scores_of, known=(known or {}).get(case_id))
        for case_id in case_ids
    ]


def case_of(
    case_id: str,
    results: Mapping[str, Flagged],
    scores_of: ScoresOf,
    *,
    repeat: int = 0,
    answer: str | None = None,
    known: Mapping[str, Any] | None = None,
) -> Case:
    """Return the case of what was asked, by name: its scores beside what is ``known`` of it.

    The code is that of the first error; the detail names all of them, with a code where it is
    another (`details_by_name` reads it).
    """
    errors = {name: r for name, r in results.items() if isinstance(r, CaseError)}
    code = next((error.code for error in errors.values()), None)
    scores = dict(known or {})
    for name, result in results.items():
        if not isinstance(result, CaseError):
            scores |= scores_of(name, result)
    return Case(
        case_id,
        repeat,
        answer,
        scores=scores,
        error_code=code,
        error_detail="; ".join(
            f"{name}: {e.detail}" if e.code == code else f"{name} ({e.code}): {e.detail}"
            for name, e in errors.items()
        )
        or None,
        flags=tuple(dict.fromkeys(flag for r in results.values() for flag in r.flags)),
    )


def details_by_name(detail: str, names: Iterable[str]) -> list[tuple[str, str | None, str]]:
    """Return (name, code, detail) of each error that a case's detail tells of, by what was asked.

    The code is None where it is the case's own. ``names``: what may have been asked.
    """
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    if not known:
        return []
    begin = re.compile(rf"(?:^|; )({known})(?: \(([A-Z_]+)\))?: ")
    found = list(begin.finditer(detail))
    ends = [match.start() for match in found[1:]] + [len(detail)]
    return [
        (match.group(1), match.group(2), detail[match.end() : end])
        for match, end in zip(found, ends, strict=True)
    ]
