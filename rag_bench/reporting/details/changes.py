"""What got worse or better since the measurement before, model by model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.catalogue import known
from rag_bench.evaluation.comparison import Comparison, Verdict, compare_paired, holm
from rag_bench.evaluation.ranking import ALPHA
from rag_bench.store import datasets, evaluations
from rag_bench.store.case_scores import scores_of
from rag_bench.store.evaluations import listing

if TYPE_CHECKING:
    from sqlalchemy import Engine


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
    shown = [
        (one, wanted)
        for one in evaluations.joined(engine, settings_hash)
        if (wanted := [m for tier, m in metrics if tier == one.tier and m in one.metrics])
    ]
    earlier = listing.all_before(engine, [one.id for one, _ in shown])
    pairs = [
        (one, before, [metric for metric in wanted if metric in before.metrics])
        for one, wanted in shown
        if (before := earlier.get(one.id)) and before.input_hash != one.input_hash
    ]
    scores = scores_of(
        engine,
        [number for one, before, _ in pairs for number in (one.id, before.id)],
        sorted({metric for _, _, compared in pairs for metric in compared}),
    )
    pages = {
        dataset: {item.item_id: item.cluster for item in datasets.items_of(engine, dataset)}
        for dataset in {one.dataset_id for one, _, _ in pairs if one.dataset_id}
    }
    found = []
    for one, before, compared in pairs:
        page_of = pages.get(one.dataset_id or "", {})
        models = [one.generation_model, one.benchmark_judge_model, one.production_judge_model]
        for metric in compared:
            then = scores.get((before.id, metric), {})
            now = scores.get((one.id, metric), {})
            clusters = {case: page_of.get(case, case) for case in then.keys() | now.keys()}
            found.append(
                Change(
                    one.id,
                    before.id,
                    one.tier,
                    metric,
                    " · ".join(filter(None, models)),
                    before.metrics[metric],
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
