"""Every selection that a person can make in the UI: it ends well and has measured what it names."""

from __future__ import annotations

from collections import Counter

import pytest
from small_world import OFFLINE, World, failure, materializations, value

from rag_bench.automation import range_tags
from rag_bench.partitions import Partitions

PARTITIONS = Partitions.of(OFFLINE)


@pytest.mark.parametrize("tier", ["2", "3"])
def test_what_depends_on_answers_runs_in_the_run_that_makes_them(
    free_world: World, tier: str, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cell is recorded once, by itself, and none of the dependents is skipped."""
    metric = tmp_path / "words.py"
    metric.write_text("def n_words(answer):\n    return len(answer.split())\n", encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_CUSTOM_METRICS", f"n_words={metric}:n_words")
    names = (f"tier{tier}_answers", f"tier{tier}_custom_metrics")
    result = free_world.run(names, tags=range_tags(PARTITIONS.generation))
    assert result.success, failure(result)
    assert not [event for event in result.all_events if event.event_type_value == "STEP_SKIPPED"]
    answers, measured = (materializations(result, name) for name in names)
    for events in (answers, measured):
        assert Counter(event.partition for event in events) == Counter(OFFLINE.generation)
    made = {event.partition: (event.tags or {})["dagster/data_version"] for event in answers}
    for event in measured:
        assert value(event.metadata, "n_words") > 0
        given = (event.tags or {})[f"dagster/input_data_version/tier{tier}_answers"]
        assert given == made[event.partition]
