"""The calls behind a question: those of the ledger, added up; what was not recorded is said."""

from __future__ import annotations

import pytest
from dashboard_pages import shown
from small_world import World

pytestmark = pytest.mark.timeout(600)

CASE = """
    select item_id from rag_bench.dataset_item as item
    where dataset_id = (select dataset_id from rag_bench.evaluation
        where generation_model is not null order by id desc limit 1)
    order by position limit 1
"""
BEHIND = """
    with newest as (
        select distinct on (tier, kind, generation_model, benchmark_judge_model) id
        from rag_bench.evaluation where tier in ('2', '3') and generation_model is not null
            and settings_hash = (select settings_hash from rag_bench.evaluation
                where generation_model is not null order by id desc limit 1)
        order by tier, kind, generation_model, benchmark_judge_model, id desc
    )
    select call.id, call.prompt_tokens, call.completion_tokens, call.latency_ms, noted ->> 'how' how
    from newest join rag_bench.evaluation_case as one on one.evaluation_id = newest.id
    cross join jsonb_array_elements(one.calls) as noted
    join rag_bench.llm_call as call on call.id = (noted ->> 'id')::bigint
    where one.case_id = :case
"""


def test_the_calls_of_a_question_are_the_ledgers(populated: World) -> None:
    case = populated.rows(CASE)[0]["item_id"]
    page = shown(populated.engine, f"?tab=questions&case={case}")
    behind = populated.rows(BEHIND, case=case)
    table = page.tables["calls"]
    assert len(table) == len(behind) > 10
    for name, column in (("tokens in", "prompt_tokens"), ("tokens out", "completion_tokens")):
        assert sorted(int(row[name]) for row in table) == sorted(row[column] for row in behind)
    assert sorted(row["answered by"] for row in table) == sorted(row["how"] for row in behind)
    latencies = sorted(float(row["latency, ms"]) for row in table)
    assert latencies == pytest.approx(sorted(row["latency_ms"] for row in behind))
    once = {row["id"]: row["prompt_tokens"] for row in behind}
    said = f"Requests: {len(behind)}, of which sent to a provider for this question: "
    assert said in page.text
    tokens = f"{sum(once.values()):,}".replace(",", "\u202f")
    assert f"Tokens: {tokens} in prompts" in page.text
    assert "not recorded" not in page.text


def test_what_was_stored_before_is_not_recorded_and_not_guessed(done_world: World) -> None:
    case = done_world.rows(CASE)[0]["item_id"]
    with done_world.engine.begin() as connection:
        connection.exec_driver_sql("update rag_bench.evaluation_case set calls = null")
    page = shown(done_world.engine, f"?tab=questions&case={case}")
    assert "calls" not in page.tables
    assert "not recorded" in page.text
    assert "No model was asked" not in page.text
