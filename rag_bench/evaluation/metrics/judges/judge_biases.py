"""What moves a benchmark judge though it should not: the order of two answers, length, style."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from rag_bench.evaluation.metric_spec import UNIT, entries
from rag_bench.evaluation.metrics.judges.judge_scores import DISTANCE, Score, minus
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.types import Metric, Scale

#: Which of the two answers won, by its place; None for a failed or unreadable reply.
Place = Literal["first", "second", "tie"]
DIFFERENCE: Scale = (-4.0, 4.0)

METRICS = (
    *entries(
        ("position_consistency",),
        ("judge",),
        "rate",
        UNIT,
        True,
        "share of pairs with the same winner, or tie, in both orders",
    ),
    *entries(
        ("first_position_rate",),
        ("judge",),
        "rate",
        UNIT,
        None,
        "of the decided verdicts, the share for the answer shown first: 0.5 is unbiased. "
        "Of pairs with both verdicts, else the better answer's place would show instead",
    ),
    *entries(
        ("tie_rate",),
        ("judge",),
        "rate",
        UNIT,
        None,
        "share of verdicts that are ties",
    ),
    *entries(
        ("preference_accuracy_mismatched", "preference_accuracy_halved"),
        ("judge",),
        "rate",
        UNIT,
        True,
        "share of pairs whose better answer won in both orders",
    ),
    *entries(
        ("length_sensitivity",),
        ("judge",),
        "mean",
        DIFFERENCE,
        None,
        "mean of (faithfulness of the answer among polite sentences without content) - "
        "(faithfulness of the plain answer), same answer, repeat 0; best is 0",
    ),
    *entries(
        ("style_sensitivity",),
        ("judge",),
        "mean",
        DIFFERENCE,
        None,
        "likewise with the same words as a Markdown heading, list and bold; best is 0",
    ),
    *entries(
        ("length_sensitivity_abs", "style_sensitivity_abs"),
        ("judge",),
        "mean",
        DISTANCE,
        False,
        "the mean of the absolute differences; the judge's own noise is in it, so compare "
        "with `repeat_mean_abs_difference`",
    ),
)


@dataclass(frozen=True)
class BothOrders:
    """A pair's two verdicts: with the better answer shown first, and with it shown second."""

    better_first: Place | None
    better_second: Place | None
    cluster: Hashable

    @property
    def complete(self) -> bool:
        """Whether both verdicts could be read."""
        return self.better_first is not None and self.better_second is not None


def order_metrics(pairs: Sequence[BothOrders]) -> dict[str, Metric]:
    """Return what the order of two answers does to the verdict.

    ``position_consistency``: share of pairs with the same winner (or tie) in both orders.
    ``first_position_rate``: of the decided verdicts, the share for the answer shown first; 0.5 is
    unbiased. Only pairs with both verdicts count there, else the better answer's place would.
    ``tie_rate``: share of verdicts that are ties.
    """
    clusters = [pair.cluster for pair in pairs]
    mirrored = {"first": "second", "second": "first", "tie": "tie"}
    same = [
        pair.better_first == mirrored[pair.better_second]
        if pair.better_first is not None and pair.better_second is not None
        else None
        for pair in pairs
    ]
    to_first: list[bool | None] = []
    of_verdict: list[Hashable] = []
    ties: list[bool | None] = []
    for pair in pairs:
        for verdict in (pair.better_first, pair.better_second):
            ties.append(None if verdict is None else verdict == "tie")
            if not pair.complete or verdict != "tie":
                to_first.append(verdict == "first" if pair.complete else None)
                of_verdict.append(pair.cluster)
    return {
        "position_consistency": rate_metric(same, clusters=clusters),
        "first_position_rate": rate_metric(to_first, clusters=of_verdict),
        "tie_rate": rate_metric(ties, clusters=[c for c in clusters for _ in range(2)]),
    }


def preference_accuracy(pairs: Sequence[BothOrders]) -> Metric:
    """Return the share of pairs whose better answer won in both orders: a tie is no win."""
    won = [
        pair.better_first == "first" and pair.better_second == "second" if pair.complete else None
        for pair in pairs
    ]
    return rate_metric(won, clusters=[pair.cluster for pair in pairs])


def sensitivity_metrics(
    name: str, plain: Sequence[Score], changed: Sequence[Score], clusters: Sequence[Hashable]
) -> dict[str, Metric]:
    """Return the mean difference changed - plain over the same answers, signed and absolute.

    ``<name>_sensitivity`` is 0 for a judge that does not care. ``<name>_sensitivity_abs`` holds
    the judge's own noise as well: compare it with ``repeat_mean_abs_difference``.
    """
    gaps = [minus(b, a) for a, b in zip(plain, changed, strict=True)]
    sizes = [None if gap is None else abs(gap) for gap in gaps]
    return {
        f"{name}_sensitivity": mean_metric(gaps, clusters, scale=DIFFERENCE),
        f"{name}_sensitivity_abs": mean_metric(sizes, clusters, scale=DISTANCE),
    }
