"""What got worse or better since the measurement before, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.catalogue import known
from rag_bench.evaluation.comparison import Comparison, Verdict, compare_paired, holm
from rag_bench.evaluation.ranking import ALPHA
from rag_bench.store import datasets, evaluations
from rag_bench.store.evaluations import listing

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import Case


@dataclass(frozen=True)
class Change:
    """One measure of one model or pair, then and now, paired question by question.

    ``comparison``: now minus then. ``p_adjusted``: Holm's over all changes that are looked at.
    """

    evaluation_id: int
    before_id: int
    tier: str
    metric: str
    models: str
    then: Mapping[str, Any]
    now: Mapping[str, Any]
    comparison: Comparison
    p_adjusted: float = 1.0

    @property
    def verdict(self) -> Verdict:
        """Whether it is better or worse by more than chance."""
        difference = self.comparison.difference.value
        if not difference or self.p_adjusted >= ALPHA:
            return "cannot tell"
        spec = known(self.metric)
        less_is_better = spec is not None and spec.higher_is_better is False
        return "worse" if (difference > 0) == less_is_better else "better"


def changes(engine: Engine, settings_hash: str, metrics: Sequence[tuple[str, str]]) -> list[Change]:
    """Return how the shown results differ from those before them, clear changes first.

    ``metrics``: (tier, metric) to look at. What was measured only once has no change.
    """
    found = []
    for one in evaluations.joined(engine, settings_hash):
        wanted = [m for tier, m in metrics if tier == one.tier and m in one.metrics]
        earlier = listing.before(engine, one.id) if wanted else None
        if earlier is None or earlier["input_hash"] == one.input_hash:
            continue
        items = datasets.items_of(engine, one.dataset_id) if one.dataset_id else []
        pages = {item.item_id: item.cluster for item in items}
        then_cases = evaluations.cases_of(engine, earlier["id"])
        now_cases = evaluations.cases_of(engine, one.id)
        models = [one.generation_model, one.benchmark_judge_model, one.production_judge_model]
        for metric in wanted:
            if metric not in earlier["metrics"]:
                continue
            then, now = _scores(then_cases, metric), _scores(now_cases, metric)
            clusters = {case: pages.get(case, case) for case in then.keys() | now.keys()}
            found.append(
                Change(
                    one.id,
                    earlier["id"],
                    one.tier,
                    metric,
                    " · ".join(filter(None, models)),
                    earlier["metrics"][metric],
                    one.metrics[metric],
                    compare_paired(then, now, clusters),
                )
            )
    # One page says nothing of how pages differ.
    p_values = [
        1.0 if c.comparison.p_value is None or c.comparison.n_clusters < 2 else c.comparison.p_value
        for c in found
    ]
    found = [replace(c, p_adjusted=p) for c, p in zip(found, holm(p_values), strict=True)]
    order = {"worse": 0, "better": 1}
    return sorted(found, key=lambda c: (order.get(c.verdict, 2), c.tier, c.metric, c.models))


def _scores(cases: Sequence[Case], metric: str) -> dict[str, float | bool | None]:
    return {
        case.case_id: value if isinstance(value := case.scores.get(metric), (int, float)) else None
        for case in cases
        if case.repeat == 0
    }
