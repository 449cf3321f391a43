"""What more labels of an evaluation's answers would narrow, for each judge that scored them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from rag_bench.evaluation.people.calibration import confusion
from rag_bench.evaluation.people.corrected import Correction
from rag_bench.evaluation.people.label_plan import Narrowing, more_for_mean, more_for_rates
from rag_bench.evaluation.people.prediction_powered import FEWEST
from rag_bench.store.labels.draws import answers_of
from rag_bench.store.labels.judged import corrections, labelled, labelled_scores

if TYPE_CHECKING:
    from sqlalchemy import Engine

# By whom the answers were scored.
_JUDGES = """
select distinct settings_hash, tier, generation_model, benchmark_judge_model
from rag_bench.evaluation
where kind = 'scores' and benchmark_judge_model is not null
    and (inputs ->> 'answers_evaluation')::bigint = :id
order by settings_hash, tier, generation_model, benchmark_judge_model
"""


@dataclass(frozen=True)
class JudgePlan:
    """What labels would narrow for one judge.

    Attributes:
        correction: As it stands.
        n_missing: Labels that a corrected score needs still; 0: there are enough.
        narrowings: Now and then, of 95 % intervals' widths.
    """

    judge: str
    correction: Correction
    n_missing: int
    narrowings: Sequence[Narrowing]

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "judge": self.judge,
            "n_labels": self.correction.n_labels,
            "n_missing": self.n_missing,
            "narrowings": [
                {"what": one.what, "now": one.now, "then": one.then, "assumed": one.assumed}
                for one in self.narrowings
            ],
        }


def plan(engine: Engine, evaluation_id: int, metric: str, n_more: int) -> list[JudgePlan]:
    """Return what ``n_more`` drawn and labelled answers would do, for each judge.

    Raises:
        DrawError: the evaluation has no answers.
    """
    answers = answers_of(engine, evaluation_id)
    with engine.connect() as connection:
        judges = connection.execute(text(_JUDGES), {"id": answers}).all()
    rows = labelled_scores(engine, labelled(engine, metric))
    plans = []
    for settings, tier, generator, judge in judges:
        correction = corrections(engine, settings, tier, metric).found.get((generator, judge))
        if correction is None:
            continue
        counts = confusion(
            [row for (who, _), found in rows.items() if who == judge for row in found]
        )
        n = counts.n_good + counts.n_bad
        share = counts.n_good / n if n else correction.raw_good.value or 0.5
        narrowings = more_for_rates(counts, n_more, share)
        if correction.estimate is not None:
            narrowings.append(more_for_mean(correction.estimate, n_more))
        own = correction.n_labels if correction.method == "prediction_powered" else 0
        plans.append(JudgePlan(judge, correction, max(0, FEWEST - own), narrowings))
    return plans
