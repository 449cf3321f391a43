"""Scores case by case, of every pair of models at once: what models are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Engine

# The newest usable evaluation of each pair, of the answers that are there now, as in
# model_runs.sql.
_SCORES = """
with newest as (
    select distinct on (kind, generation_model, benchmark_judge_model)
        id, kind, generation_model, benchmark_judge_model, inputs ->> 'answers_hash' as answers
    from rag_bench.evaluation
    where settings_hash = :settings and tier = :tier and status in ('succeeded', 'partial')
        and generation_model is not null and production_judge_model is null
        and kind in ('answers', :kind)
    order by kind, generation_model, benchmark_judge_model, id desc
)
select given.generation_model, given.benchmark_judge_model, scored.case_id,
    (scored.scores ->> :metric)::double precision as score
from newest as given
join newest as answered
    on answered.kind = 'answers' and answered.generation_model = given.generation_model
join rag_bench.evaluation_case as scored
    on scored.evaluation_id = given.id and scored.repeat = 0
where given.kind = :kind and (cast(:judge as text) is null or given.benchmark_judge_model = :judge)
    and (given.kind = 'answers' or given.answers is not distinct from answered.answers)
    and jsonb_typeof(scored.scores -> :metric) = 'number'
"""

CaseScores = dict[tuple[str, str | None], dict[str, float]]
"""By generation model and benchmark judge (None for a measure without one), then by case."""


def case_scores(
    engine: Engine,
    settings_hash: str,
    *,
    tier: str,
    kind: str,
    metric: str,
    judge: str | None = None,
) -> CaseScores:
    """Return a metric's scores by case for all pairs of models; a case without one is absent.

    ``judge``: only what this one scored.
    """
    parameters = {
        **{"settings": settings_hash, "tier": tier, "kind": kind, "metric": metric},
        "judge": judge,
    }
    found: CaseScores = {}
    with engine.connect() as connection:
        for generator, judge, case, score in connection.execute(text(_SCORES), parameters).all():
            found.setdefault((generator, judge), {})[case] = score
    return found


_BY_EVALUATION = """
select one.evaluation_id, measure.key, one.case_id,
    case jsonb_typeof(measure.value) when 'boolean' then (measure.value::boolean)::int::float8
        else measure.value::float8 end
from rag_bench.evaluation_case as one
cross join lateral jsonb_each(one.scores) as measure
where one.evaluation_id = any(:evaluations) and one.repeat = 0
    and measure.key = any(:metrics) and jsonb_typeof(measure.value) in ('number', 'boolean')
"""


def scores_of(
    engine: Engine, evaluations: Sequence[int], metrics: Sequence[str]
) -> dict[tuple[int, str], dict[str, float]]:
    """Return metrics of evaluations, by (evaluation, metric) and then by case: yes is 1, no is 0,
    what a case has no value of is absent.
    """
    parameters = {"evaluations": list(evaluations), "metrics": list(metrics)}
    found: dict[tuple[int, str], dict[str, float]] = {}
    with engine.connect() as connection:
        rows = connection.execute(text(_BY_EVALUATION), parameters).all()
        for number, metric, case, value in rows:
            found.setdefault((number, metric), {})[case] = value
    return found
