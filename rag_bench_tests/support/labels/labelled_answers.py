"""People's labels of answers that a test measured."""

from __future__ import annotations

from sqlalchemy import Engine, text

from rag_bench.store.labels.draws import draw
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.labelling import label_case

METRIC = "rubric_e2e_quality"


def label_answers(engine: Engine, tier: str = "3", metric: str = METRIC) -> int:
    """Label a tier's newest answers, good and bad in turn; return how many."""
    query = text(
        "select max(id) from rag_bench.evaluation where tier = :tier and kind = 'answers' "
        "and generation_model like 'simulator/%'"
    )
    with engine.begin() as connection:
        answers = connection.execute(query, {"tier": tier}).scalar_one()
        guideline = keep_guideline(connection, metric, "Solved?")
    drawn = draw(engine, answers, metric, guideline, size=1000)
    with engine.begin() as connection:
        for place, case in enumerate(drawn.cases):
            label_case(connection, drawn, case, 5 if place % 2 else 1, "ann")
    return drawn.size
