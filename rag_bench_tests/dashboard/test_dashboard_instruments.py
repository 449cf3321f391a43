"""What changed behind a judge's name is seen where results are looked at, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime

from dashboard_pages import shown
from measured import GENERATORS, JUDGES, dataset, metric, store, store_sweep
from sqlalchemy import Engine

from rag_bench.evaluation.instrument.served import Served, ServedTally


def mixed(engine: Engine) -> int:
    """Store a sweep and a newer score that two models answered for; return its number."""
    store_sweep(engine)
    tally = ServedTally()
    for name in ("judge-1", "judge-2"):
        tally.note(JUDGES[0], Served(name, "fp"), datetime(2026, 1, 5, tzinfo=UTC))
    return store(
        engine,
        "3",
        "scores",
        {"rubric_e2e_quality": metric(4.0)},
        generation=GENERATORS[0],
        judge=JUDGES[0],
        dataset_id=dataset(engine).id,
        inputs=tally.as_inputs(),
    ).id


def test_a_mixed_instrument_is_said_on_the_overview_and_at_the_evaluation(engine: Engine) -> None:
    number = mixed(engine)
    overview = shown(engine, "?tab=overview")
    assert "The instrument did not stay the same" in overview.text
    assert f"evaluation {number}" in overview.text
    russian = shown(engine, "?tab=overview&lang=ru")
    assert "Измеряли не одним и тем же инструментом" in russian.text
    page = shown(engine, f"?tab=runs&evaluation={number}")
    assert "answered for by different models: judge-1 [fp], judge-2 [fp]" in page.text
    assert f"Who answered for {JUDGES[0]}" in page.text
