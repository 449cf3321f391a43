"""Which benchmark judges people's labels say something of: decided here, wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: The mark of a judge that nobody's labels say anything of.
NEVER_CHECKED = "never checked against people"

_JUDGED = ("rubric_", "ragas_")
#: RAGAS' metrics by the names that the cases of a run of the service have.
_OF_CASES = frozenset(("faithfulness", "answer_relevancy", "context_precision", "context_recall"))

# A judge is checked by a person's label of a drawn answer that it scored by the labelled metric, no
# prompt being tuned on it; or in tier judge, on pairs that people labelled.
_CHECKED = """
with drawn as (
    select given.evaluation_id, one.case_id, given.metric
    from rag_bench.label_draw as given
    join rag_bench.label_draw_case as one on one.draw_id = given.id
    group by given.evaluation_id, one.case_id, given.metric
    having bool_and(given.purpose = 'check')
),
newest as (
    select distinct on (evaluation_id, case_id, metric, annotator, settles)
        evaluation_id, case_id, metric, value
    from rag_bench.label where annotator_kind = 'person'
    order by evaluation_id, case_id, metric, annotator, settles, id desc
),
said as (
    select distinct evaluation_id, case_id, metric
    from newest join drawn using (evaluation_id, case_id, metric) where value is not null
)
select scored.benchmark_judge_model
from said
join rag_bench.evaluation as labelled on labelled.id = said.evaluation_id
join rag_bench.evaluation as scored on scored.benchmark_judge_model is not null
    and scored.kind in ('scores', 'ragas') and scored.status in ('succeeded', 'partial')
    and (
        (scored.tier = labelled.tier
            and scored.inputs ->> 'answers_hash' = labelled.inputs ->> 'answers_hash')
        or scored.inputs ->> 'own_contexts_hash' = labelled.inputs ->> 'answers_hash'
        or (scored.inputs ->> 'contexts_hash' is not null
            and scored.settings_hash = labelled.settings_hash
            and scored.dataset_id = labelled.dataset_id
            and scored.dump_sha256 is not distinct from labelled.dump_sha256)
    )
join rag_bench.evaluation_case as one on one.evaluation_id = scored.id
    and one.case_id = said.case_id and one.repeat = 0
    and jsonb_typeof(one.scores -> said.metric) = 'number'
union
select benchmark_judge_model from rag_bench.evaluation
where tier = 'judge' and benchmark_judge_model is not null
    and inputs ->> 'checked_against_people' = 'true'
"""


def checked_judges(engine: Engine) -> frozenset[str]:
    """Return the benchmark judges that were ever compared with what people said."""
    with engine.connect() as connection:
        return frozenset(connection.execute(text(_CHECKED)).scalars())


def never_checked(engine: Engine, judges: Iterable[str | None]) -> list[str]:
    """Return those of the judges that never were, each once, in their order."""
    with engine.connect() as connection:
        return never_checked_on(connection, judges)


def never_checked_on(connection: Connection, judges: Iterable[str | None]) -> list[str]:
    """Return the same, asked in the caller's transaction."""
    named = list(dict.fromkeys(judge for judge in judges if judge))
    if not named:
        return []
    checked = set(connection.execute(text(_CHECKED)).scalars())
    return [judge for judge in named if judge not in checked]


def is_judged(metric: str) -> bool:
    """Whether a metric is a benchmark judge's score; by its name, also as runs call it."""
    return metric.startswith(_JUDGED) or metric in _OF_CASES


def mark_of(judges: Iterable[str]) -> str:
    """Return the sentence that stands beside scores of judges that nobody checked; "": of none."""
    named = ", ".join(judges)
    if not named:
        return ""
    return f"{NEVER_CHECKED.capitalize()}: {named}. How far the scores are right is not known."
