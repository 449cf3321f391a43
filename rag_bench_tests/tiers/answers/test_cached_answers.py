"""The cached answers of production as a switch: what is served, what is asked, what is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from small_world import OFFLINE, World, failure
from users_questions import ask
from world_data import CHUNKS, GOLD, hash_of, url_of

from rag_bench.llm.config.providers import Providers
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource
from rag_bench.store import evaluations
from rag_bench.store.snapshots import require_current
from rag_bench.store.tables import question_answer
from rag_bench.store.traffic import servable_answers
from rag_bench.tiers.answers.cached_answers import encode_questions, matches, normalised
from rag_bench.tiers.answers.contexts import contexts_of
from rag_bench.tiers.answers.earlier import answers_of
from rag_bench.tiers.answers.stored import CACHED_ANSWER
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.plan.plan import plan_sweep

N = len(GOLD)
GENERATOR, JUDGE = OFFLINE.generation[0], OFFLINE.benchmark_judges[0]
MODELS = ModelLists([GENERATOR], [JUDGE], OFFLINE.production_judges[:1])
ROOM = "вопрос-05"  # «Сколько стоит комната?», chunk 3 of the page obshezhitie
FACULTY = "вопрос-12"
RUBRICS = ("faithfulness", "answer_relevance", "answer_correctness", "e2e_quality")


def bench_of(world: World, **settings: Any) -> Bench:
    return BenchmarkResource(**settings).open(world.engine, None)


def materialize(world: World, *assets: str, **settings: Any) -> None:
    for asset in assets:
        result = world.run([asset], MODELS, benchmark=settings)
        assert result.success, failure(result)


def n_asked(world: World, role: str) -> int:
    return world.count("llm_call", f"role = '{role}'")


def planned(world: World, **settings: Any) -> dict[str, int]:
    made = asyncio.run(
        plan_sweep(bench_of(world, **settings), Providers({}), 16, [GENERATOR], [JUDGE], [], ["3"])
    )
    return {line.asset: line.n_requests for line in made.lines}


CACHED = {
    "question": "сколько стоит комната в общаге?",
    "answer": "Одна комната стоит 940 рублей в месяц.",
    "page_url": url_of("obshezhitie"),
}
GONE = {
    "question": "what do i need to change the faculty",
    "answer": "An interview with the dean.",
    "page_url": url_of("a-page-that-is-gone"),
}


def test_a_cached_question_gets_the_stored_answer_and_asks_no_generator(
    free_world: World,
) -> None:
    ask(free_world, CACHED, GONE)
    bench = bench_of(free_world)
    encode_questions(bench)
    near = matches(bench)
    assert near[ROOM].entry.answer == CACHED["answer"]
    assert near[FACULTY].entry.answer == GONE["answer"]
    threshold = min(near[ROOM].cosine, near[FACULTY].cosine)
    served = {key for key, match in near.items() if match.cosine >= threshold}
    assert {ROOM, FACULTY} <= served
    assert len(served) < N  # the threshold tells questions apart
    settings: dict[str, Any] = {"cached_answers": True, "cache_threshold": threshold}
    settings |= {"consistency_runs": 2, "tier3_all_rubrics": True}

    materialize(free_world, "tier1_retrieval", **settings)
    plan = planned(free_world, **settings)
    assert plan["tier3_answers"] == 2 * (N - len(served))
    # Cached answers are judged, too; but for the faithfulness of those whose page is gone.
    gone = [near[key] for key in served if near[key].entry.page_url == GONE["page_url"]]
    assert plan["tier3_scores"] == len(RUBRICS) * N - len(gone)
    materialize(free_world, "tier3_answers", **settings)
    assert n_asked(free_world, "generation") == 2 * (N - len(served))

    stored, answers = answers_of(bench_of(free_world, **settings), "3", GENERATOR)
    room = answers[ROOM]
    assert room.answer == CACHED["answer"]
    assert room.error_code is None
    assert room.flags == [CACHED_ANSWER]
    assert room.citations == []
    # What a judge reads: the page's chunks, the one on the price of rooms first.
    assert [row["chunk_hash"] for row in room.retrieved] == [hash_of(3), hash_of(2)]
    assert {row["page_url"] for row in room.retrieved} == {CACHED["page_url"]}
    assert room.scores["cached_page_url"] == CACHED["page_url"]
    assert room.scores["cached_from"] == near[ROOM].entry.source_id
    assert room.scores["cached_cosine"] == near[ROOM].cosine
    assert room.scores["latency_ms"] is None
    assert room.scores["chrf"] > 50  # measured against the reference as any answer
    assert answers[FACULTY].answer == GONE["answer"]
    assert answers[FACULTY].retrieved == []
    repeats = [c for c in evaluations.cases_of(free_world.engine, stored.id) if c.case_id == ROOM]
    assert [case.answer for case in repeats] == [CACHED["answer"]] * 2

    metrics = stored.metrics
    rate = metrics["cached_answer_rate"]
    assert (rate["value"], rate["n_scored"]) == (pytest.approx(len(served) / N), N)
    assert metrics["cached_page_precision"]["n_scored"] == len(served)
    right = sum(
        near[key].entry.page_url == url_of(CHUNKS[GOLD[int(key[-2:])][2]][0]) for key in served
    )
    assert metrics["cached_page_precision"]["value"] == pytest.approx(right / len(served), abs=1e-6)
    # No call, so no latency is expected; and no chunk could be cited.
    assert metrics["avg_latency_ms"]["n_expected"] == 2 * (N - len(served))
    assert metrics["citation_recall"]["n_expected"] == N - len(served)
    assert "NO_CITATIONS" not in room.flags

    materialize(free_world, "tier3_scores", **settings)
    [scored] = evaluations.latest_of_kind(
        free_world.engine, tier="3", kind="scores", settings_hash=stored.settings_hash
    )
    scores = {case.case_id: case for case in evaluations.cases_of(free_world.engine, scored.id)}
    assert scores[ROOM].error_code is None
    assert all(scores[ROOM].scores[f"rubric_{name}"] in (1, 2, 3, 4, 5) for name in RUBRICS)
    # Nothing is left that could back the other answer; its quality can be judged all the same.
    assert scores[FACULTY].error_code == "INVALID_INPUT"
    assert "rubric_faithfulness" not in scores[FACULTY].scores
    assert scores[FACULTY].scores["rubric_e2e_quality"] in (1, 2, 3, 4, 5)
    sent = free_world.rows(
        "select request::text as said from rag_bench.llm_call where role = 'benchmark_judge' "
        "and request::text like :answer and request::text like :question",
        answer=f"%{CACHED['answer']}%",
        question=f"%{GOLD[5][0]}%",
    )
    assert len(sent) == len(RUBRICS)
    assert sum("за просрочку начисляют пени" in row["said"] for row in sent) == 1

    calls = free_world.count("llm_call")
    assert sum(planned(free_world, **settings).values()) > 0
    materialize(free_world, "tier1_retrieval", "tier3_answers", "tier3_scores", **settings)
    assert free_world.count("llm_call") == calls
    assert free_world.count("evaluation", "kind in ('answers', 'scores')") == 2

    # Other traffic with the same answers leaves the results valid; another answer does not.
    ask(free_world, {"question": "где мой чемодан?!", "answer": None, "score": None})
    materialize(free_world, "tier3_answers", **settings)
    assert free_world.count("evaluation", "kind = 'answers'") == 1
    with free_world.engine.begin() as connection:
        connection.execute(
            question_answer.update()
            .where(question_answer.c.answer == CACHED["answer"])
            .values(answer="Цены изменились.")
        )
    materialize(free_world, "tier3_answers", **settings)
    assert free_world.count("evaluation", "kind = 'answers'") == 2
    assert n_asked(free_world, "generation") == 2 * (N - len(served))
    assert answers_of(bench_of(free_world, **settings), "3", GENERATOR)[1][ROOM].answer == (
        "Цены изменились."
    )


def test_above_the_threshold_and_without_the_switch_everything_is_asked(free_world: World) -> None:
    ask(free_world, CACHED)
    bench = bench_of(free_world)
    encode_questions(bench)
    above = round(max(match.cosine for match in matches(bench).values()) + 1e-3, 6)
    settings = {"cached_answers": True, "cache_threshold": above}
    materialize(free_world, "tier1_retrieval", "tier3_answers", **settings)
    assert n_asked(free_world, "generation") == N
    stored, answers = answers_of(bench_of(free_world, **settings), "3", GENERATOR)
    assert stored.metrics["cached_answer_rate"]["value"] == 0.0
    assert stored.metrics["cached_page_precision"]["value"] is None
    assert not any(CACHED_ANSWER in case.flags for case in answers.values())

    # The same requests, so the ledger has all replies; and no rate where nothing is cached.
    settings = {"cached_answers": False, "cache_threshold": -1}
    materialize(free_world, "tier1_retrieval", "tier3_answers", **settings)
    assert n_asked(free_world, "generation") == N
    stored, _ = answers_of(bench_of(free_world, **settings), "3", GENERATOR)
    assert "cached_answer_rate" not in stored.metrics


def test_a_question_does_not_answer_itself(free_world: World) -> None:
    """The row that a dataset's question was made from is left out; an earlier one is not."""
    own = {**CACHED, "question": f"  {GOLD[5][0].upper()}!"}
    ask(free_world, own)
    bench = bench_of(free_world)
    encode_questions(bench)
    first = matches(bench)
    assert normalised(own["question"]) == normalised(GOLD[5][0])
    assert first[ROOM].entry.question != own["question"]
    # For other questions it is an entry like any other.
    assert any(match.entry.question == own["question"] for match in first.values())

    # Asked again later, unrated: that one is now taken for the dataset's question.
    ask(free_world, {**own, "answer": None, "page_url": None, "score": None})
    again = matches(bench)[ROOM]
    assert again.entry.question == own["question"]
    assert again.cosine > first[ROOM].cosine


@pytest.mark.parametrize(
    "without",
    [{"answer": None}, {"answer": " \n"}, {"page_url": None}, {"page_url": ""}, {"score": 4},
     {"score": None}, {"question": " "}],
)  # fmt: skip
def test_only_what_production_could_serve_is_in_the_cache(
    free_world: World, without: Mapping[str, Any]
) -> None:
    ask(free_world, {**CACHED, **without})
    sha256 = require_current(free_world.engine).sha256
    assert [row.source_id for row in servable_answers(free_world.engine, sha256)] == [1]


def test_without_traffic_nothing_is_cached(free_world: World) -> None:
    with free_world.engine.begin() as connection:
        connection.execute(question_answer.delete())
    settings = {"cached_answers": True, "cache_threshold": -1.0}
    materialize(free_world, "tier1_retrieval", **settings)
    bench = bench_of(free_world, **settings)
    assert matches(bench) == {}
    contexts, _ = contexts_of(bench, "3")
    assert [context.cached for context in contexts.values()] == [None] * N


def test_all_questions_cached_make_a_cell_without_jobs(free_world: World) -> None:
    settings = {"cached_answers": True, "cache_threshold": -1.0}
    materialize(free_world, "tier1_retrieval", "tier3_answers", **settings)
    assert n_asked(free_world, "generation") == 0
    stored, answers = answers_of(bench_of(free_world, **settings), "3", GENERATOR)
    assert stored.status == "succeeded"
    assert {case.answer for case in answers.values()} == {"25-го числа"}
    assert stored.metrics["cached_answer_rate"]["value"] == 1.0
    assert stored.metrics["avg_latency_ms"]["value"] is None
    # Two of the fourteen questions are about that page's first chunk, one about its second.
    assert stored.metrics["cached_page_precision"]["value"] == pytest.approx(3 / N, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Ещё   РАЗ?! ", "еще раз"),
        ("???", "???"),
        ("", ""),
    ],
)
def test_normalised(text: str, expected: str) -> None:
    assert normalised(text) == expected
