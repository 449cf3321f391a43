"""A run of the service against the run that its request named: what is stored and flagged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.paired.words import GOT_WORSE
from rag_bench.reporting.compared.comparing import Terms, compare_sides
from rag_bench.reporting.compared.opening import open_side
from rag_bench.reporting.compared.shapes import Compared
from rag_bench.reporting.compared.sides import NothingToCompareError

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Flag of a run that got worse, and of each case that did.
REGRESSION = "regression_detected"
# Of each list; all of them are in `GET /eval/compare`.
_CASES_KEPT = 50


@dataclass(frozen=True)
class BaselineResult:
    """What a comparison with the baseline says of a run.

    Attributes:
        comparison: as ``eval_run.comparison`` keeps it, with the first cases of each list; where
            nothing could be compared ``baseline`` and ``error`` only.
        regression: at least one metric got worse, by the paired comparison over all metrics.
        worse: by a case's position, the metrics by which it lost more than the margin.
    """

    comparison: Mapping[str, Any]
    regression: bool = False
    worse: Mapping[int, list[str]] = field(default_factory=dict)


def compare_with_baseline(
    engine: Engine,
    run_id: str,
    terms: Terms = Terms(),  # noqa: B008
) -> BaselineResult | None:
    """Compare a run, whose results are stored, with its baseline; None: it has none.

    Writes nothing. A case alone proves no regression: models answer a question now better, now
    worse. So a case is flagged for what it lost, and the run for what all cases show together.
    """
    from rag_bench.store.eval_runs.comparing import find_run

    with engine.connect() as connection:
        run = find_run(connection, run_id)
    if run is None or run.baseline is None:
        return None
    try:
        earlier = open_side(engine, run.baseline, "a")
        found = compare_sides(engine, earlier, open_side(engine, f"run:{run_id}", "b"), terms)
    except NothingToCompareError as error:
        return BaselineResult({"baseline": run.baseline, "error": str(error)})
    return BaselineResult(
        {"baseline": earlier.id, **found.as_json(limit=_CASES_KEPT)},
        found.verdict == GOT_WORSE,
        worse_by_position(found),
    )


def worse_by_position(found: Compared) -> dict[int, list[str]]:
    """Return, by position in the second side, the metrics by which a case lost too much."""
    worse: dict[int, list[str]] = {}
    for one in found.worse:
        if one.beyond_margin:
            worse.setdefault(one.case_b.position, []).append(one.metric)
    return dict(sorted(worse.items()))
