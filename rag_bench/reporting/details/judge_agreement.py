"""Whether benchmark judges mean the same: every two of them over the answers that both scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_bench.store.case_scores import CaseScores

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.columns import Column


@dataclass(frozen=True)
class Agreement:
    """Two judges on the same answers.

    Attributes:
        n: answers that both scored, of all models.
        correlation: Spearman's; None with fewer than three answers, or where one gives always the
            same score.
        same: share of equal scores; None without an answer.
        difference: mean of first minus second: who is milder.
    """

    first: str
    second: str
    n: int
    correlation: float | None
    same: float | None
    difference: float | None


def lead_scores(
    engine: Engine, settings_hash: str, lead: Column, judge: str | None = None
) -> CaseScores:
    """Return the scores by the leading measure, case by case; ``judge``: only this one's."""
    from rag_bench.store.case_scores import case_scores

    return case_scores(
        engine,
        settings_hash,
        tier=lead.tier.removeprefix("tier_"),
        kind="scores" if lead.metric.startswith("rubric_") else "answers",
        metric=lead.metric,
        judge=judge,
    )


def agreements(cases: CaseScores, judges: Sequence[str]) -> list[Agreement]:
    """Return every unordered pair of judges, in their order."""
    by_judge: dict[str, dict[tuple[str, str], float]] = {judge: {} for judge in judges}
    for (model, judge), scores in cases.items():
        if judge in by_judge:
            by_judge[judge] |= {(model, case): score for case, score in scores.items()}
    return [
        _agreement(first, second, by_judge[first], by_judge[second])
        for n, first in enumerate(judges)
        for second in judges[n + 1 :]
    ]


def severity(cases: CaseScores, judges: Sequence[str]) -> dict[str, tuple[float | None, int]]:
    """Return each judge's mean over the answers that all of them scored, and how many these are."""
    by_judge: dict[str, dict[tuple[str, str], float]] = {judge: {} for judge in judges}
    for (model, judge), scores in cases.items():
        if judge in by_judge:
            by_judge[judge] |= {(model, case): score for case, score in scores.items()}
    common = set.intersection(*(set(found) for found in by_judge.values())) if by_judge else set()
    return {
        judge: (sum(found[key] for key in common) / len(common) if common else None, len(common))
        for judge, found in by_judge.items()
    }


def _agreement(
    first: str,
    second: str,
    mine: Mapping[tuple[str, str], float],
    theirs: Mapping[tuple[str, str], float],
) -> Agreement:
    common = sorted(mine.keys() & theirs.keys())
    a, b = [mine[key] for key in common], [theirs[key] for key in common]
    if not common:
        return Agreement(first, second, 0, None, None, None)
    n = len(common)
    correlation = None
    if n > 2 and len(set(a)) > 1 and len(set(b)) > 1:
        from scipy.stats import spearmanr

        correlation = float(spearmanr(a, b).statistic)
    same = sum(x == y for x, y in zip(a, b, strict=True)) / n
    return Agreement(first, second, n, correlation, same, (sum(a) - sum(b)) / n)
