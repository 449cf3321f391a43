"""What cases say, exactly: the address of an outcome, and numbers as they are published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rag_bench.evaluation.precision import published
from rag_bench.hashing import content_hash
from rag_bench.store.evaluations.records import Case

# Of a case's scores: how long a call took says nothing of what was found.
_DURATIONS = ("latency_ms",)


def outcome_hash(cases: Sequence[Case]) -> str:
    """Return the address of what cases say, without any number that machines may round otherwise.

    Texts, what was retrieved and cited, codes, flags, whole-number scores and verdicts are in it;
    fractions (cosines, ratios, means) are not: they follow from those and from the inputs. Nor is
    how long a call took.
    """
    return content_hash(
        [
            [
                *(case.case_id, case.repeat, case.answer, case.error_code, sorted(case.flags)),
                *(_exact(case.retrieved), _exact(case.citations), _exact(dict(case.scores))),
            ]
            for case in sorted(cases, key=lambda case: (case.case_id, case.repeat))
        ]
    )


def _exact(value: Any) -> Any:
    """Return a JSON value without its fractions and durations."""
    if isinstance(value, Mapping):
        return {
            key: _exact(item)
            for key, item in value.items()
            if not isinstance(item, float) and key not in _DURATIONS
        }
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in value if not isinstance(item, float)]
    return value


def rounded(value: Any) -> Any:
    """Return a JSON value with its fractions as they are published: six decimals."""
    if isinstance(value, float):
        return published(value) if math.isfinite(value) else value
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return value
