"""What more labels of an evaluation's answers would narrow, for each judge that scored them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, text

from rag_bench.evaluation.people.calibration import confusion
from rag_bench.evaluation.people.corrected import Correction
from rag_bench.evaluation.people.label_plan import (
    Narrowing,
    labels_for,
    more_for_mean,
    more_for_rates,
)
from rag_bench.evaluation.people.measures import Measure, measure_of
from rag_bench.evaluation.people.prediction_powered import FEWEST
from rag_bench.store.labels.draws import answers_of
from rag_bench.store.labels.judged import (
    corrections,
    corrections_of_run,
    labelled,
    labelled_scores,
    owner_of,
)
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Under which settings the answers were scored, and by which run of the service.
_SCORED = """
select distinct settings_hash, tier, generation_model,
    (select max(part.run_id) from rag_bench.eval_run_evaluation as part
        where part.evaluation_id = :id) as run
from rag_bench.evaluation
where id = :id
    or (kind in ('scores', 'ragas') and (inputs ->> 'answers_evaluation')::bigint = :id)
order by settings_hash, tier, generation_model
"""


@dataclass(frozen=True)
class JudgePlan:
    """What labels would narrow for one judge.

    Attributes:
        correction: As it stands; None: of a verdict, of which nothing is corrected.
        n_labels: That it rests on.
        n_missing: Labels that a corrected score needs still; 0: there are enough.
        narrowings: Now and then, of 95 % intervals' widths.
        n_wanted: Labels in all that give the corrected mean to a wanted half width; None: it is not
            asked, or not even labels of all cases do.
    """

    judge: str
    correction: Correction | None
    n_labels: int
    n_missing: int
    narrowings: Sequence[Narrowing]
    n_wanted: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "judge": self.judge,
            "n_labels": self.n_labels,
            "n_missing": self.n_missing,
            "n_wanted": self.n_wanted,
            "narrowings": [
                {"what": one.what, "now": one.now, "then": one.then, "assumed": one.assumed}
                for one in self.narrowings
            ],
        }


def plan(
    engine: Engine, evaluation_id: int, metric: str, n_more: int, half_width: float | None = None
) -> list[JudgePlan]:
    """Return what ``n_more`` drawn and labelled answers would do, for each judge; with a
    ``half_width`` also how many labels in all give the corrected mean as closely.

    Raises:
        DrawError: the evaluation has no answers.
    """
    measure = measure_of(metric)
    answers = answers_of(engine, evaluation_id, metric)
    rows = labelled_scores(engine, labelled(engine, metric))

    def rates(judge: str, raw: float | None) -> tuple[int, list[Narrowing]]:
        counts = confusion(
            [row for (who, _), found in rows.items() if who == judge for row in found],
            measure.good_from,
        )
        n = counts.n_good + counts.n_bad
        return n, more_for_rates(counts, n_more, counts.n_good / n if n else raw or 0.5)

    if measure.source == "gate":
        judge = _production_judge(engine, answers)
        n, narrowings = rates(judge, None)
        return [JudgePlan(judge, None, n, 0, narrowings)]
    plans = []
    for judge, correction in _corrections(engine, answers, metric, measure):
        _, narrowings = rates(judge, correction.raw_good.value)
        wanted = None
        if correction.estimate is not None:
            narrowings.append(more_for_mean(correction.estimate, n_more))
            wanted = None if half_width is None else labels_for(correction.estimate, half_width)
        own = correction.n_labels if correction.method == "prediction_powered" else 0
        missing = max(0, FEWEST - own)
        plans.append(JudgePlan(judge, correction, correction.n_labels, missing, narrowings, wanted))
    return plans


def _corrections(
    engine: Engine, answers: int, metric: str, measure: Measure
) -> list[tuple[str, Correction]]:
    """Return the corrections of an evaluation's answers, by judge; of a run's as a whole."""
    with engine.connect() as connection:
        scored = connection.execute(text(_SCORED), {"id": answers}).all()
    boards = []
    for settings, tier, generator, run in scored:
        owner = owner_of(measure, generator)
        if run is not None:
            boards = [(owner, corrections_of_run(engine, run, metric))]
        else:
            boards.append((owner, corrections(engine, settings, tier, metric)))
    return [
        (judge, one)
        for owner, board in boards
        for (whose, judge), one in board.found.items()
        if whose == owner
    ]


def _production_judge(engine: Engine, evaluation_id: int) -> str:
    query = select(evaluation.c.production_judge_model).where(evaluation.c.id == evaluation_id)
    with engine.connect() as connection:
        return str(connection.execute(query).scalar_one())
