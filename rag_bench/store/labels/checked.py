"""Which benchmark judges people's labels say something of, and by which metric: decided here,
wherever it is shown. A label is of one metric: of another it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

#: The mark of a judge that nobody's labels say anything of.
NEVER_CHECKED = "never checked against people"

_JUDGED = ("rubric_", "ragas_")
#: RAGAS' metrics by the names that the cases of a run of the service have.
_OF_CASES = frozenset(("faithfulness", "answer_relevancy", "context_precision", "context_recall"))


@dataclass(frozen=True)
class Scored:
    """Scores of a benchmark judge by one metric, without tier and models in its name."""

    judge: str
    metric: str

    @property
    def of_labels(self) -> Scored:
        """The same as labels call it: RAGAS' metrics have another name in runs of the service."""
        return Scored(self.judge, f"ragas_{self.metric}") if self.metric in _OF_CASES else self


#: What tier judge holds against people's pairs: the mean of these rubrics.
EXAMINED = ("rubric_faithfulness", "rubric_answer_relevance")

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
select scored.benchmark_judge_model as judge, said.metric
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
select benchmark_judge_model, examined.metric
from rag_bench.evaluation, unnest(cast(:examined as text[])) as examined (metric)
where tier = 'judge' and benchmark_judge_model is not null
    and inputs ->> 'checked_against_people' = 'true'
"""


def checked_pairs_on(connection: Connection) -> frozenset[Scored]:
    """Return the judges and metrics of scores that were ever compared with what people said."""
    rows = connection.execute(text(_CHECKED), {"examined": list(EXAMINED)})
    return frozenset(Scored(row.judge, row.metric) for row in rows)


def checked_pairs(engine: Engine) -> frozenset[Scored]:
    """Return the same, asked in a transaction of its own."""
    with engine.connect() as connection:
        return checked_pairs_on(connection)


def never_checked(engine: Engine, judges: Iterable[str | None]) -> list[str]:
    """Return those of the judges that never were, by no metric, each once, in their order."""
    named = list(dict.fromkeys(judge for judge in judges if judge))
    checked = {one.judge for one in checked_pairs(engine)} if named else set()
    return [judge for judge in named if judge not in checked]


def never_checked_by(engine: Engine, scored: Iterable[Scored]) -> list[Scored]:
    """Return those of the judges' scores that never were compared with people by that metric, each
    once, in their order. Metrics that no judge scores are left out.
    """
    with engine.connect() as connection:
        return never_checked_by_on(connection, scored)


def never_checked_by_on(connection: Connection, scored: Iterable[Scored]) -> list[Scored]:
    """Return the same, asked in the caller's transaction."""
    asked = list(dict.fromkeys(one for one in scored if is_judged(one.metric)))
    if not asked:
        return []
    checked = checked_pairs_on(connection)
    return [one for one in asked if one.of_labels not in checked]


def is_judged(metric: str) -> bool:
    """Whether a metric is a benchmark judge's score; by its name, also as runs call it."""
    return metric.startswith(_JUDGED) or metric in _OF_CASES


def mark_of(judges: Iterable[str]) -> str:
    """Return the sentence that stands beside scores of judges that nobody checked; "": of none."""
    named = ", ".join(judges)
    if not named:
        return ""
    return f"{NEVER_CHECKED.capitalize()}: {named}. How far the scores are right is not known."


def mark_by_metric(scored: Iterable[Scored]) -> str:
    """Return the same of judges' scores by single metrics."""
    metrics: dict[str, list[str]] = {}
    for one in scored:
        metrics.setdefault(one.judge, []).append(one.metric)
    return mark_of(f"{judge} by {', '.join(dict.fromkeys(of))}" for judge, of in metrics.items())
