"""Synthetic questions: saved as they are made, resumed, and kept across a reindex."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_provider import LocalProvider, completion, refusal
from small_world import World, failure, materializations, value
from starlette.responses import Response
from world_data import CHUNKS, plain_dump

N = len(CHUNKS)
WRITER = {"synthetic_dataset": {"model": "x/sim-judge-sharp"}}


@pytest.fixture
def provider(
    free_world: World, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> LocalProvider:
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    return provider


def make(world: World, **config: Any) -> Any:
    # Critics have tests of their own (test_question_types); here only the writer is counted.
    ops = {"synthetic_dataset": {**WRITER["synthetic_dataset"], "critics": False, **config}}
    return world.run(["synthetic_dataset"], ops=ops)


def questions(world: World) -> list[dict[str, Any]]:
    return [
        dict(row)
        for row in world.rows(
            "select i.* from rag_bench.dataset_item i join rag_bench.dataset d on d.id = "
            "i.dataset_id where d.kind = 'synthetic' order by d.created_at, i.position"
        )
    ]


def test_one_question_per_chunk_about_that_chunk(
    free_world: World, provider: LocalProvider
) -> None:
    result = make(free_world)
    assert result.success, failure(result)
    found = questions(free_world)
    chunks = {row["chunk_hash"]: row for row in free_world.rows("select * from rag_bench.chunk")}
    assert {hash for row in found for hash in row["chunk_hashes"]} <= chunks.keys()
    assert len(found) >= N - 1  # two chunks may give one question
    for row in found:
        [chunk_hash] = row["chunk_hashes"]
        assert row["page_urls"] == [chunks[chunk_hash]["page_url"]]
        assert row["question"]
        assert row["reference_answer"]
    assert provider.count == N

    again = make(free_world)
    assert again.success
    assert provider.count == N
    [event] = materializations(again, "synthetic_dataset")
    assert value(event.metadata, "n_asked_now") == 0
    assert free_world.count("dataset", "kind = 'synthetic'") == 1


def test_a_broken_run_goes_on_with_what_is_missing(
    free_world: World, provider: LocalProvider
) -> None:
    async def down_after_four(body: dict[str, Any], number: int) -> Response | None:
        return refusal(503) if number > 4 else None

    provider.misbehave = down_after_four
    first = make(free_world)
    assert not first.success
    assert f"{N - 4} questions are not written" in failure(first)
    assert free_world.count("dataset", "kind = 'synthetic'") == 0, "half a dataset is none"
    assert not materializations(first, "synthetic_dataset")
    assert free_world.count("synthetic_item") == 4

    provider.misbehave = None
    asked = provider.count
    second = make(free_world)
    assert second.success, failure(second)
    assert provider.count - asked == N - 4


def test_unusable_questions_are_counted_and_asked_again_on_demand(
    free_world: World, provider: LocalProvider
) -> None:
    async def bad_about_rooms(body: dict[str, Any], number: int) -> Response | None:
        if "940" not in str(body["messages"]):
            return None
        return completion(
            json.dumps({"question": "О чём говорится в этом тексте?", "reference_answer": "940"})
        )

    provider.misbehave = bad_about_rooms
    first = make(free_world)
    assert first.success, failure(first)
    [event] = materializations(first, "synthetic_dataset")
    assert value(event.metadata, "errors")["METRIC_ERROR"] == 1
    made = len(questions(free_world))
    provider.misbehave = None
    assert make(free_world).success
    assert provider.count == N  # kept as it is
    mended = make(free_world, retry_failed=True)
    assert mended.success, failure(mended)
    assert provider.count == N + 1
    assert len(questions(free_world)) - made == made + 1  # a dataset of its own, one question more


def test_not_one_usable_question_is_an_error(free_world: World, provider: LocalProvider) -> None:
    async def silent(body: dict[str, Any], number: int) -> Response | None:
        return completion("{}")

    provider.misbehave = silent
    result = make(free_world)
    assert not result.success
    assert "wrote no usable question" in failure(result)
    assert free_world.count("dataset", "kind = 'synthetic'") == 0


def test_a_reindex_asks_nothing(free_world: World, provider: LocalProvider, tmp_path: Any) -> None:
    assert make(free_world).success
    before = {row["item_id"]: row["question"] for row in questions(free_world)}
    dump = tmp_path / "reindexed.dump"
    dump.write_text(plain_dump(first_id=900), encoding="utf-8")
    loaded = free_world.run(("dump", "chunk"), ops={"dump": {"path": str(dump)}})
    assert loaded.success, failure(loaded)
    assert make(free_world).success
    assert provider.count == N
    assert {row["item_id"]: row["question"] for row in questions(free_world)} == before


def test_the_graph_runs_on_the_synthetic_questions(
    free_world: World, provider: LocalProvider
) -> None:
    assert make(free_world).success
    result = free_world.run(["tier1_retrieval"], benchmark={"mode": "synthetic"})
    assert result.success, failure(result)
    [event] = materializations(result, "tier1_retrieval")
    assert value(event.metadata, "dataset").startswith("synthetic_")
    assert value(event.metadata, "n_questions") == len(questions(free_world))
