"""What the lines of the self-test have in common."""

from __future__ import annotations

from collections.abc import Sequence

from rag_bench.evaluation.self_test.simulation import Cell, Look
from rag_bench.evaluation.self_test.worlds import Pages
from rag_bench.evaluation.types import FEW_CLUSTERS, Metric

FEW, SOME, MANY = Pages(12, 5, 0.1), Pages(40, 5, 0.1), Pages(240, 4, 0.1)
ALONE = Pages(200, 1, 0.0)
TOO_FEW = Pages(6, 10, 0.2)
#: Intervals of resampled clusters are an approximation; facts of the literature and of ours.
APPROXIMATE = 0.015


def mark(pages: Pages) -> str | None:
    """Return why a world is outside of the range of use, as it is said beside the number."""
    few = f"fewer than {FEW_CLUSTERS} pages: said beside the number"
    return few if pages.n < FEW_CLUSTERS else None


def held(low: float | None, high: float | None, truth: float) -> bool | None:
    """Tell whether an interval holds the truth; None: there is none."""
    return None if low is None or high is None else low <= truth <= high


def holds(metric: Metric, truth: float) -> bool | None:
    """Tell whether a metric's interval holds the truth; None: it has none."""
    return held(metric.ci_low, metric.ci_high, truth)


def intervals(
    parts: Sequence[tuple[str, str]], world: str, look: Look, drawn_as: str, pages: Pages
) -> list[Cell]:
    """Return a line for each interval that one look tells of: what it is of, and its name there."""
    return [
        Cell(
            group,
            world,
            0.95,
            look,
            at_least=True,
            outside=mark(pages),
            tolerance=APPROXIMATE,
            part=part,
            drawn_as=f"{drawn_as}: {world}",
        )
        for group, part in parts
    ]
