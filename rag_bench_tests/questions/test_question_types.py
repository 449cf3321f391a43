"""Synthetic datasets of all types with critics, over the small world; and questions that no chunk
answers in the tiers, counted by hand.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from local_provider import LocalProvider, completion, refusal
from small_world import World, failure, materializations, value
from starlette.responses import Response
from world_data import CHUNKS, hash_of, url_of

from rag_bench.llm.tasks.pipeline import NOT_FOUND
from rag_bench.partitions import ModelLists
from rag_bench.questions.writer import QuestionType
from rag_bench.store.datasets import Item, items_of, save_dataset, source_of
from rag_bench.store.evaluations import cases_of

N = len(CHUNKS)
TYPES = [kind.value for kind in QuestionType]
# Three critics for each question, two for those out of scope.
CALLS = N * sum(1 + (2 if kind == "out_of_scope" else 3) for kind in TYPES)


@pytest.fixture
def provider(
    free_world: World, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> LocalProvider:
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    return provider


def make(world: World, **config: Any) -> Any:
    config = {"model": "x/sim-judge-steady", "critic_model": "x/extractive", **config}
    return world.run(["synthetic_dataset"], ops={"synthetic_dataset": config})


def made(world: World, result: Any) -> tuple[list[Item], dict[str, Any]]:
    assert result.success, failure(result)
    [event] = materializations(result, "synthetic_dataset")
    dataset = value(event.metadata, "dataset_id")
    return items_of(world.engine, dataset), source_of(world.engine, dataset)


def schema_of(body: dict[str, Any]) -> str:
    return str(body["response_format"]["json_schema"]["name"])


def test_all_types_are_written_criticised_and_recorded(
    free_world: World, provider: LocalProvider
) -> None:
    first = make(free_world, types=TYPES, questions_per_chunk=len(TYPES))
    items, record = made(free_world, first)
    for item in items:
        kind, pages = item.details["type"], {url_of(page) for page, _ in CHUNKS}
        assert item.details["written_by"] == "x/sim-judge-steady"
        assert item.details["criticised_by"] == "x/extractive"
        assert set(item.page_urls) <= pages
        if kind == "out_of_scope":
            assert item.out_of_scope
            assert (item.chunk_hashes, item.page_urls) == ((), ())
            assert item.reference_answer == NOT_FOUND
            assert item.details["critics"]["answerability"] is False
        else:
            assert len(item.chunk_hashes) == len(item.page_urls) == 1 + (kind == "two_chunk")
            assert min(v for v in item.details["critics"].values() if v is not True) >= 4
    kept = Counter(item.details["type"] for item in items)
    assert set(kept) == set(TYPES)
    for name, found in record["by_type"].items():
        assert found["asked"] == N
        assert found["kept"] == kept[name]
        left = ("kept", "unusable", "rejected", "not_criticised", "duplicate")
        assert sum(found[outcome] for outcome in left) == N
        trip = found["round_trip"]
        assert (trip is None) == (name == "out_of_scope")
        if trip:
            assert trip["hit@1"]["n_expected"] == trip["hit@10"]["n_expected"] == kept[name]
            assert trip["hit@10"]["value"] == 1.0  # ten chunks in all
    assert len(record["left_out"]) == record["counts"]["asked"] - len(items)
    assert set(record["prompts"]) >= {"synthetic_question", "critic_answerability"}
    # What could not be used is not criticised, and equal questions share a critic's call.
    assert CALLS - N <= provider.count <= CALLS
    assert provider.repeated == 0

    asked = provider.count
    again = make(free_world, types=TYPES, questions_per_chunk=len(TYPES))
    assert made(free_world, again) == (items, record)
    assert provider.count == asked, "a rerun asks nothing"
    assert free_world.count("dataset", "kind = 'synthetic'") == 1


def test_what_a_critic_rejects_is_left_out_and_its_reason_kept(
    free_world: World, provider: LocalProvider
) -> None:
    async def strict_about_rooms(body: dict[str, Any], number: int) -> Response | None:
        if schema_of(body) != "critic_groundedness" or "940" not in str(body["messages"]):
            return None
        return completion(json.dumps({"reason": "цены нет", "score": 2}, ensure_ascii=False))

    provider.misbehave = strict_about_rooms
    result = make(free_world)
    items, record = made(free_world, result)
    [rejected] = [one for one in record["left_out"] if "цены нет" in str(one.get("reason"))]
    assert rejected["outcome"] == "rejected"
    assert rejected["reason"] == "groundedness: цены нет"
    assert rejected["critics"]["groundedness"] == 2
    assert rejected["id"] not in {item.item_id for item in items}
    assert record["rejected_by"]["groundedness"] >= 1
    [event] = materializations(result, "synthetic_dataset")
    rows = [row.data for row in value(event.metadata, "left_out_questions").records]
    assert [row["question"] for row in rows if "цены нет" in str(row["why it was left out"])]


def test_an_unreadable_critic_leaves_the_question_out_until_it_is_asked_again(
    free_world: World, provider: LocalProvider
) -> None:
    async def babbling(body: dict[str, Any], number: int) -> Response | None:
        rooms = "940" in str(body["messages"])
        return completion("Хорошо!") if rooms and schema_of(body).startswith("critic") else None

    plain, _ = made(free_world, make(free_world, critics=False))
    provider.misbehave = babbling
    items, record = made(free_world, make(free_world))
    assert record["not_criticised"] == {"METRIC_ERROR": 1}
    assert record["counts"]["not_criticised"] == 1
    provider.misbehave = None
    asked = provider.count
    assert made(free_world, make(free_world))[0] == items, "a reply that was read stays as it is"
    assert provider.count == asked
    mended, record = made(free_world, make(free_world, retry_failed=True))
    assert record["not_criticised"] == {}
    assert len(mended) == len(items) + 1
    # Two of the three critics were shown the price.
    assert provider.count == asked + 2
    assert {item.item_id for item in mended} <= {item.item_id for item in plain}


def test_a_critic_that_does_not_answer_leaves_no_dataset_and_loses_nothing(
    free_world: World, provider: LocalProvider
) -> None:
    async def down(body: dict[str, Any], number: int) -> Response | None:
        return refusal(503) if number > N + 9 else None

    provider.misbehave = down
    result = make(free_world)
    assert not result.success
    assert "0 questions are not written" in failure(result)
    assert free_world.count("dataset", "kind = 'synthetic'") == 0
    answered = free_world.count("llm_call", "status = 'ok'")
    provider.misbehave = None
    made(free_world, make(free_world))
    ok = free_world.count("llm_call", "status = 'ok'")
    assert answered == N + 9
    assert ok == 4 * N, "each was answered once"


def test_near_duplicates_leave_one_and_a_dataset_can_be_extended(
    free_world: World, provider: LocalProvider
) -> None:
    async def twins(body: dict[str, Any], number: int) -> Response | None:
        if schema_of(body) != "synthetic_question" or "библ" in str(body["messages"]):
            return None
        text = str(body["messages"])
        if "940" not in text and "А-212" not in text:
            return None
        question = "Где узнать точно?" if "940" in text else "где УЗНАТЬ точно"
        reference = "940 рублей" if "940" in text else "в кабинет А-212"
        return completion(
            json.dumps({"question": question, "reference_answer": reference}, ensure_ascii=False)
        )

    provider.misbehave = twins
    items, record = made(free_world, make(free_world, critics=False))
    assert record["counts"]["duplicate"] == 1
    [left] = [one for one in record["left_out"] if one["outcome"] == "duplicate"]
    assert left["repeats"] in {item.item_id for item in items}
    assert record["warnings"]

    some, _ = made(free_world, make(free_world, critics=False, max_questions=4))
    assert {item.item_id for item in some} <= {i.item_id for i in items} | {left["id"]}
    asked = provider.count
    name = free_world.rows(
        "select id from rag_bench.dataset where kind = 'synthetic' order by created_at desc"
    )[0]["id"]
    more, record = made(free_world, make(free_world, critics=False, extends=name))
    assert more[: len(some)] == some
    assert {i.item_id for i in more} >= {i.item_id for i in some}
    assert record["counts"]["asked"] == N - len({h for i in some for h in i.chunk_hashes})
    assert provider.count == asked, "what was written before is not asked for again"


# Out of scope in the tiers --------------------------------------------------------------------

ODD = {"type": "out_of_scope", "written_by": "x/m"}
ITEMS = [
    Item(
        key,
        question,
        answer,
        () if number is None else (hash_of(number),),
        () if number is None else (url_of(CHUNKS[number][0]),),
        ODD if number is None else {},
    )
    for key, question, answer, number in (
        ("q0", "Какого числа приходит стипендия?", "25-го числа.", 0),
        ("q3", "Сколько стоит комната?", "940 рублей в месяц.", 3),
        ("no1", "Где на кампусе починить самокат?", NOT_FOUND, None),
        ("q7", "How many books may I take?", "Six books.", 7),
        ("no2", "Можно ли держать в комнате хомяка?", NOT_FOUND, None),
    )
]
MODELS = ModelLists(
    ["simulator/extractive"], ["simulator/sim-judge-steady"], ["simulator/sim-gate-sharp"]
)


def test_questions_out_of_scope_are_no_miss_and_their_refusals_are_counted(
    free_world: World,
) -> None:
    dataset = save_dataset(free_world.engine, "odd", "questions", ITEMS).id
    setting = {"dataset": dataset}
    for assets in (
        ["tier1_retrieval"],
        ["tier2_answers", "tier3_answers"],
        ["tier2_scores", "tier3_scores"],
    ):
        result = free_world.run(assets, MODELS, benchmark=setting)
        assert result.success, failure(result)
    found = {
        (row["tier"], row["kind"]): row
        for row in free_world.rows(
            "select * from rag_bench.evaluation where dataset_id = :d", d=dataset
        )
    }
    retrieval = found["1", "metrics"]["metrics"]
    assert all(
        metric["n_scored"] == metric["n_expected"] == 3
        for name, metric in retrieval.items()
        if name.startswith(("chunk_", "page_"))
    )
    assert retrieval["chunk_hit_rate@10"]["value"] == 1.0
    assert len(cases_of(free_world.engine, found["1", "metrics"]["id"])) == 5, "all are searched"

    gold = found["2", "answers"]
    assert gold["errors"] == {}
    assert gold["status"] == "succeeded"
    assert gold["metrics"]["refusal_rate"]["n_expected"] == 3
    assert "out_of_scope_refusal_rate" not in gold["metrics"]
    assert {c.case_id for c in cases_of(free_world.engine, gold["id"])} == {"q0", "q3", "q7"}

    asked = found["3", "answers"]
    cases = {case.case_id: case for case in cases_of(free_world.engine, asked["id"])}
    assert len(cases) == 5
    refused = [cases[name].answer == NOT_FOUND for name in ("no1", "no2")]
    rate = asked["metrics"]["out_of_scope_refusal_rate"]
    assert (rate["n_scored"], rate["n_expected"]) == (2, 2)
    assert rate["value"] == sum(refused) / 2
    answerable = [cases[name].answer == NOT_FOUND for name in ("q0", "q3", "q7")]
    assert asked["metrics"]["refusal_rate"]["value"] == sum(answerable) / 3
    assert set(cases["no1"].scores) == {"out_of_scope_refusal_rate", "latency_ms"}
    for name in ("rougeL_f", "semantic_similarity", "n_citations"):
        assert asked["metrics"][name]["n_expected"] == 3

    for tier, measure in (("2", "rubric_answer_correctness"), ("3", "rubric_e2e_quality")):
        scores = found[tier, "scores"]
        assert scores["errors"] == {}
        metric = scores["metrics"][measure]
        assert (metric["n_scored"], metric["n_expected"]) == (3, 3)
