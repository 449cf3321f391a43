"""A thousand combinations and a hundred runs: all of it is reached, and no page holds all of it."""

from __future__ import annotations

import pytest
from dashboard_pages import shown
from large_store import SETTINGS, SMALL
from sqlalchemy import Engine, text

from rag_bench.dashboard.address import TABS
from rag_bench.store.evaluations import measured_triples, model_runs
from rag_bench.store.evaluations.listing import neighbours_in_time

pytestmark = pytest.mark.timeout(600)
MOST_ROWS = 500


def test_it_is_as_large_as_it_says(large: Engine) -> None:
    triples = measured_triples(large, SETTINGS)
    assert len(triples) == SMALL.models**3 == 1000
    for role in range(3):
        assert len({triple[role] for triple in triples}) == SMALL.models
    with large.connect() as connection:
        runs = connection.execute(
            text(
                "select count(distinct dagster_run_id) from rag_bench.evaluation "
                "where dagster_run_id like 'large-%'"
            )
        ).scalar_one()
        dumps = connection.execute(
            text("select count(distinct dump_sha256) from rag_bench.evaluation")
        ).scalar_one()
    assert runs >= SMALL.nights
    assert dumps > 5


def test_triples_are_joined_as_in_the_view(large: Engine) -> None:
    query = text("select * from rag_bench.model_runs where settings_hash = :settings")
    with large.connect() as connection:
        view = {
            (row.generation_model, row.benchmark_judge_model, row.production_judge_model): row
            for row in connection.execute(query, {"settings": SETTINGS})
        }
    found = model_runs(large, SETTINGS)
    assert len(found) == len(view) == 1000
    for row in found[::37]:
        models = [row[f"{r}_model"] for r in ("generation", "benchmark_judge", "production_judge")]
        assert row["metrics"] == view[tuple(models)].metrics
        assert row["dataset_id"] == view[tuple(models)].dataset_id


@pytest.mark.parametrize("tab", TABS)
def test_no_table_is_longer_than_a_browser_bears(large: Engine, tab: str) -> None:
    page = shown(large, f"?tab={tab}&rows=triples")
    assert "could not be shown" not in page.text
    assert page.tables
    assert max(len(rows) for rows in page.tables.values()) <= MOST_ROWS


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_evaluations_of_two_dumps_are_compared(large: Engine, lang: str) -> None:
    [(before, newest)] = neighbours_in_time(large, 1)
    page = shown(large, f"?tab=compare&a={before}&b={newest.id}&lang={lang}")
    assert page.tables["inputs"], "the dump differs"
    assert page.tables["chunks_differ"]
