"""What was measured under other settings only is not missing: the page says where it is."""

from __future__ import annotations

import pytest
from dashboard_pages import shown
from small_world import World

pytestmark = pytest.mark.timeout(600)


def test_judges_of_earlier_settings_are_a_link_away(done_world: World) -> None:
    [row] = done_world.rows(
        "select distinct settings_hash from rag_bench.evaluation where tier = 'judge_pipeline'"
    )
    before = row["settings_hash"]
    assert "not measured under these settings" not in shown(done_world.engine, "").text
    # The same answers and scores under settings of their own, as after a sweep of tier 3 alone.
    with done_world.engine.begin() as connection:
        connection.exec_driver_sql(
            "create temp table copied on commit drop as select * from rag_bench.evaluation "
            "where tier = '3' and production_judge_model is null"
        )
        connection.exec_driver_sql(
            "insert into rag_bench.evaluation overriding user value select (jsonb_populate_record("
            "copied, jsonb_build_object('settings_hash', repeat('a', 64)))).* from copied "
            "order by id"
        )
        # A judge that was examined before, whatever it came to.
        connection.exec_driver_sql(
            "insert into rag_bench.evaluation overriding user value select (jsonb_populate_record("
            "copied, jsonb_build_object('tier', 'judge', 'generation_model', null))).* "
            "from copied where kind = 'scores' limit 1"
        )
    page = shown(done_world.engine, "?tab=overview")
    assert "not measured under these settings" in page.text
    link = f"?tab=gates&amp;settings={before}"
    assert link in page.html
    assert link in shown(done_world.engine, "?tab=gates").html
    assert f"?tab=judges&amp;settings={before}" in shown(done_world.engine, "?tab=judges").html
    there = shown(done_world.engine, f"?tab=gates&settings={before}")
    assert there.tables["gates"]


def test_who_comes_for_a_topic_or_a_change_finds_it(populated: World) -> None:
    topics = populated.rows(
        "select scores ->> 'topic_key' as key, scores ->> 'name' as name from "
        "rag_bench.evaluation_case where evaluation_id = (select max(id) from "
        "rag_bench.evaluation where tier = 'analytics_topics') order by 1"
    )
    for topic in topics:
        page = shown(populated.engine, f"?tab=topics&topic={topic['key']}")
        first = page.html.index(f": {topic['name']}</h2>")
        assert first < page.html.index('id="rb-topics"'), "the topic that was asked for comes first"
    # A change opens the comparison of its two measurements, with the questions that moved.
    assert "?tab=compare&amp;a=" in shown(populated.engine, "?tab=overview&rows=all").html
