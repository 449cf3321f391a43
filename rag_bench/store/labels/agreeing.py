"""How annotators of a draw agree, and which cases are to be settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.people.agreement import agreement_metrics, alpha_metric
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.evaluation.types import Metric
from rag_bench.store import datasets
from rag_bench.store.labels.draws import Draw
from rag_bench.store.labels.labels import current_labels
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Dispute:
    """A case on which annotators differ; ``settled``: what somebody decided, None: nobody did."""

    case_id: str
    said: Mapping[str, float]
    settled: float | None


@dataclass(frozen=True)
class Standing:
    """Where a draw stands.

    Attributes:
        labels: By annotator, then case: what persons said.
        pairs: By two annotators: their agreement on the cases that both labelled.
        alpha: Krippendorff's, of all annotators; None with fewer than two.
        disputes: Cases on which somebody differs, those to be settled first.
    """

    draw: Draw
    labels: Mapping[str, Mapping[str, float]]
    pairs: Mapping[tuple[str, str], Mapping[str, Metric]]
    alpha: Metric | None
    disputes: Sequence[Dispute]

    @property
    def n_labelled(self) -> int:
        """Cases with a label."""
        return len({case for cases in self.labels.values() for case in cases})

    @property
    def to_settle(self) -> list[Dispute]:
        """Cases that wait to be settled."""
        return [one for one in self.disputes if one.settled is None]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "draw": self.draw.id,
            "evaluation_id": self.draw.evaluation_id,
            "metric": self.draw.metric,
            "guideline": f"{self.draw.guideline} {self.draw.guideline_version}",
            "n_cases": self.draw.size,
            "n_labelled": self.n_labelled,
            "annotators": {name: len(cases) for name, cases in self.labels.items()},
            "pairs": [
                {"annotators": list(pair), **{n: m.to_json() for n, m in found.items()}}
                for pair, found in self.pairs.items()
            ],
            "alpha": None if self.alpha is None else self.alpha.to_json(),
            "disputes": [
                {"case_id": one.case_id, "labels": dict(one.said), "settled": one.settled}
                for one in self.disputes
            ],
        }


def standing(engine: Engine, draw: Draw) -> Standing:
    """Return labels, agreement and disputes of a draw."""
    drawn = set(draw.cases)
    said: dict[str, dict[str, float]] = {}
    settled: dict[str, float] = {}
    given = current_labels(
        engine, metric=draw.metric, evaluation_ids=[draw.evaluation_id], kinds=["person"]
    )
    for one in given:
        if one.case_id not in drawn or one.value is None:
            continue
        if one.settles:
            settled[one.case_id] = one.value  # the newest decision is the last
        else:
            said.setdefault(one.annotator, {})[one.case_id] = one.value
    labels = {name: said[name] for name in sorted(said)}
    clusters = _clusters(engine, draw.evaluation_id)
    pairs = {}
    for first, second in combinations(labels, 2):
        both = sorted(labels[first].keys() & labels[second].keys())
        if both:
            measure = measure_of(draw.metric)
            pairs[first, second] = agreement_metrics(
                [labels[first][case] for case in both],
                [labels[second][case] for case in both],
                clusters=[clusters.get(case, case) for case in both],
                graded=len(measure.values) > 2,
                good_from=measure.good_from,
            )
    alpha = None
    if pairs:
        cases = [c for c in draw.cases if sum(c in mine for mine in labels.values()) > 1]
        rows = [[mine.get(case) for case in cases] for mine in labels.values()]
        alpha = alpha_metric(rows, [clusters.get(case, case) for case in cases])
    disputes = []
    for case in draw.cases:
        by = {name: mine[case] for name, mine in labels.items() if case in mine}
        if len(set(by.values())) > 1:
            disputes.append(Dispute(case, by, settled.get(case)))
    disputes.sort(key=lambda one: (one.settled is not None, -_gap(one), one.case_id))
    return Standing(draw, labels, pairs, alpha, disputes)


def _gap(one: Dispute) -> float:
    return max(one.said.values()) - min(one.said.values())


def _clusters(engine: Engine, evaluation_id: int) -> dict[str, str]:
    from sqlalchemy import select

    query = select(evaluation.c.dataset_id).where(evaluation.c.id == evaluation_id)
    with engine.connect() as connection:
        dataset_id = connection.execute(query).scalar_one_or_none()
    items = datasets.items_of(engine, dataset_id) if dataset_id else []
    return {item.item_id: item.cluster for item in items}
