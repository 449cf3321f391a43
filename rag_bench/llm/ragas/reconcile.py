"""Verdicts against what was to be judged: a ratio is taken only where the judge answered in full.

ragas 0.4.3 divides by the verdicts that came back, so a judge that answers one of five statements
gives 1.0. Here everything to be judged has a number, and every number must come back once. What a
judge writes beside a number is never compared: it may put things in its own words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from rag_bench.errors import CaseError, ErrorCode

_SHOWN = 10  # numbers in a message


def mismatch(detail: str) -> CaseError:
    """Return the error of a case whose verdicts do not fit what was asked."""
    return CaseError(ErrorCode.METRIC_ERROR, f"verdict count mismatch: {detail}")


def require_statements(statements: Sequence[str], of: str) -> None:
    """Raise METRIC_ERROR where a judge found nothing stated in a text that is no refusal."""
    if not statements:
        raise mismatch(f"0 statements found in {of}, which is not empty and no refusal")


def require_verdicts(asked: Collection[int], answered: Sequence[int], what: str) -> None:
    """Raise METRIC_ERROR unless each number asked about has one verdict, in whatever order.

    ``what``: a word for what has the numbers, in the plural.
    """
    if problem := _problem(asked, answered):
        raise mismatch(f"{len(asked)} {what} submitted, {len(answered)} verdicts returned{problem}")


def require_sorted(
    answer: Collection[int],
    reference: Collection[int],
    tp: Sequence[int],
    fp: Sequence[int],
    fn: Sequence[int],
) -> None:
    """Raise METRIC_ERROR unless TP and FP are the answer's numbers, each once, and FN are some of
    the reference's, each once.
    """
    if problem := _problem(answer, [*tp, *fp]):
        raise mismatch(
            f"{len(answer)} statements of the answer, {len(tp)} TP and {len(fp)} FP{problem}"
        )
    if problem := _problem(reference, fn, all_of_them=False):
        raise mismatch(f"{len(reference)} statements of the reference, {len(fn)} FN{problem}")


def _problem(asked: Collection[int], answered: Sequence[int], all_of_them: bool = True) -> str:
    counts = Counter(answered)
    kinds = {
        "none for": [number for number in asked if number not in counts] if all_of_them else [],
        "several for": [number for number, times in counts.items() if times > 1],
        "not asked": [number for number in counts if number not in asked],
    }
    return "".join(f"; {name} {_listed(numbers)}" for name, numbers in kinds.items() if numbers)


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, sorted(numbers)[:_SHOWN]))
    return shown if len(numbers) <= _SHOWN else f"{shown} and {len(numbers) - _SHOWN} more"
