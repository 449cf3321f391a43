"""Lists around labels: evaluations that can be labelled, sheets of cases, users' ratings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from rag_bench.store.labels.draws import Draw
from rag_bench.store.labels.labelling import case_to_label, progress
from rag_bench.store.public_names import masked

if TYPE_CHECKING:
    from sqlalchemy import Engine

_EVALUATIONS = """
select answered.id, answered.tier, answered.generation_model, answered.finished_at,
    answered.settings_hash,
    (select max(part.run_id) from rag_bench.eval_run_evaluation as part
        where part.evaluation_id = answered.id) as run,
    (select count(*) from rag_bench.evaluation_case as one
        where one.evaluation_id = answered.id and one.repeat = 0 and one.answer <> '') as n_answers,
    (select count(distinct one.case_id) from rag_bench.label_draw as given
        join rag_bench.label_draw_case as one on one.draw_id = given.id
        where given.evaluation_id = answered.id) as n_drawn,
    (select count(distinct one.case_id) from rag_bench.label as one
        where one.evaluation_id = answered.id and one.annotator_kind = 'person') as n_labelled,
    array(select distinct scored.benchmark_judge_model from rag_bench.evaluation as scored
        where scored.kind in ('scores', 'ragas')
            and scored.settings_hash = answered.settings_hash
            and scored.tier = answered.tier and scored.benchmark_judge_model is not null
            and scored.inputs ->> 'answers_hash' = answered.inputs ->> 'answers_hash'
        order by 1) as judges
from rag_bench.evaluation as answered
where answered.kind = 'answers' and answered.generation_model is not null
    and answered.status in ('succeeded', 'partial')
order by answered.id desc limit :limit
"""
_VERDICTS = """
select judged.id, judged.tier, judged.production_judge_model as generation_model,
    judged.finished_at, judged.settings_hash, null as run,
    (select count(*) from rag_bench.evaluation_case as one
        where one.evaluation_id = judged.id and one.repeat = 0 and one.answer <> '') as n_answers,
    (select count(distinct one.case_id) from rag_bench.label_draw as given
        join rag_bench.label_draw_case as one on one.draw_id = given.id
        where given.evaluation_id = judged.id) as n_drawn,
    (select count(distinct one.case_id) from rag_bench.label as one
        where one.evaluation_id = judged.id and one.annotator_kind = 'person') as n_labelled,
    array[judged.production_judge_model] as judges
from rag_bench.evaluation as judged
where judged.kind = 'scores' and judged.production_judge_model is not null
    and judged.status in ('succeeded', 'partial')
order by judged.id desc limit :limit
"""


def labelable_evaluations(
    engine: Engine, limit: int, *, verdicts: bool = False
) -> list[dict[str, Any]]:
    """Return evaluations of answers, newest first, with what is drawn and labelled of them.

    ``verdicts``: those of production judges instead. ``run``: of the service, which made it.
    """
    query = _VERDICTS if verdicts else _EVALUATIONS
    with engine.connect() as connection:
        rows = connection.execute(text(query), {"limit": limit}).mappings()
        return [{**row, "judges": list(row["judges"])} for row in rows]


def sheet(
    engine: Engine, draw: Draw, annotator: str, *, unmasked: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield a row per case that an annotator is to label, in their order, for a spreadsheet.

    What they said already stands there; ``value`` is empty where they said nothing.

    Raises:
        DrawError: the draw is not for them.
    """
    done = progress(engine, draw, annotator)
    for case in done.cases:
        one = case_to_label(engine, draw, case)
        texts = [one.question, one.answer, one.reference, "\n\n".join(one.contexts)]
        shown = texts if unmasked else masked(engine, texts)
        value = done.values.get(case)
        yield {
            "evaluation_id": draw.evaluation_id,
            "case_id": case,
            "metric": draw.metric,
            "value": "" if value is None else f"{value:g}",
            "annotator": annotator,
            "guideline": draw.guideline,
            "guideline_version": draw.guideline_version,
            "note": "",
            "draw": draw.id,
            **dict(zip(("question", "answer", "reference_answer", "context"), shown, strict=True)),
        }
