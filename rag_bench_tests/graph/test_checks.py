"""Asset checks: each passes on good data and fails on bad."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from small_world import OFFLINE, World
from sqlalchemy import text
from world_data import hash_of

from rag_bench.assets.factories import step_checks
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.snapshots import require_current
from rag_bench.tiers.registry import step_named


def change(world: World, statement: str, **values: Any) -> int:
    with world.engine.begin() as connection:
        return connection.execute(text(statement), values).rowcount


def pairs(n: int, n_shown: int) -> list[Item]:
    return [
        Item(
            f"пара-{number}",
            "Когда?",
            details={
                "answer": f"Ответ {number}",
                "context": "",
                "ground_truth_show": number < n_shown,
            },
        )
        for number in range(n)
    ]


@pytest.mark.parametrize(
    ("asset", "check", "prefix"),
    [
        ("chunk_embeddings", "every_chunk_is_embedded", "passage: "),
        ("question_embeddings", "every_question_is_embedded", "query: "),
    ],
)
def test_coverage(free_world: World, asset: str, check: str, prefix: str) -> None:
    assert free_world.check(asset)[check].passed
    from world_data import CHUNKS, TRAFFIC

    from rag_bench.hashing import text_hash

    words = CHUNKS[0][1] if asset == "chunk_embeddings" else TRAFFIC[0][0]
    assert change(
        free_world,
        "delete from rag_bench.embedding where text_hash = :hash",
        hash=text_hash(prefix + words),
    )
    found = free_world.check(asset)[check]
    assert not found.passed
    wanted = found.metadata["wanted"].value
    assert found.metadata["present"].value == wanted - 1
    assert found.description.startswith(f"{wanted - 1} of {wanted} distinct")


@pytest.mark.parametrize(
    ("n", "n_shown", "passes"), [(60, 30, True), (49, 25, False), (60, 60, False), (60, 0, False)]
)
def test_enough_labelled_pairs(free_world: World, n: int, n_shown: int, passes: bool) -> None:
    engine = free_world.engine
    current = require_current(engine).sha256
    save_dataset(engine, "пары", "show_hide", pairs(n, n_shown), snapshot=current)
    found = free_world.check("show_hide_dataset")["enough_labelled_pairs"]
    assert found.passed is passes
    assert f"{n} pairs, {n_shown} of them to show" in found.description


def test_relevant_chunks_exist(free_world: World) -> None:
    assert free_world.check("tier1_retrieval")["relevant_chunks_exist"].passed
    items = [
        Item("есть", "Когда стипендия?", "25-го", (hash_of(0),), ("u",)),
        Item("нет", "Где столовая?", "Там", ("0" * 64,), ("u",)),
        Item("не размечено", "Кто ректор?"),
    ]
    stale = save_dataset(free_world.engine, "устарел", "questions", items)
    found = free_world.check("tier1_retrieval", benchmark={"dataset": stale.id})
    assert not found["relevant_chunks_exist"].passed
    assert found["relevant_chunks_exist"].metadata["examples"].value == ["нет"]
    assert found["relevant_chunks_exist"].description.startswith("1 of 3 questions")


def test_measures_are_within_their_scale(free_world: World) -> None:
    assert free_world.check("tier1_retrieval")["measures_are_within_their_scale"].passed
    assert change(
        free_world,
        "update rag_bench.evaluation_case set "
        "scores = jsonb_set(scores, '{chunk_ndcg@10}', '1.32') where case_id = 'вопрос-03'",
    )
    found = free_world.check("tier1_retrieval")["measures_are_within_their_scale"]
    assert not found.passed
    assert found.metadata["examples"].value == ["вопрос-03: chunk_ndcg@10 1.32"]


def test_search_agrees_with_pgvector(free_world: World) -> None:
    assert free_world.check("tier1_retrieval")["search_agrees_with_pgvector"].passed
    # The ranking of one question loses its best chunk.
    assert change(
        free_world,
        "update rag_bench.evaluation_case set retrieved = retrieved - 0 "
        "where case_id = 'вопрос-00'",
    )
    assert not free_world.check("tier1_retrieval")["search_agrees_with_pgvector"].passed


def test_every_cell_is_measured(done_world: World) -> None:
    assert done_world.check("model_runs")["every_cell_is_measured"].passed
    more = replace(
        OFFLINE,
        generation=[*OFFLINE.generation, "x/новая"],
        production_judges=[*OFFLINE.production_judges, "x/вахтёр"],
    )
    found = done_world.check("model_runs", more)["every_cell_is_measured"]
    assert not found.passed
    assert set(found.metadata["missing"].value) == {
        *(f"x/новая by {judge}" for judge in OFFLINE.benchmark_judges),
        "x/вахтёр",
    }
    # Other settings: nothing is measured under them.
    assert not done_world.check("model_runs", benchmark={"limit": 2})[
        "every_cell_is_measured"
    ].passed


def test_text_measures_read_russian(monkeypatch: pytest.MonkeyPatch) -> None:
    check = step_checks.reads_russian(step_named("tier3_answers"))
    bench: Any = None  # reads nothing of the run
    assert check.evaluate(bench).passed
    from rag_bench.evaluation.metrics import text_overlap

    # What rouge_score's own tokenizer makes of Russian.
    blind = {"rouge1_f": 0.0, "rouge2_f": 0.0, "rougeL_f": 0.0}
    monkeypatch.setattr(text_overlap, "text_overlap", lambda answer, reference: blind)
    assert not check.evaluate(bench).passed


@pytest.mark.parametrize("lost", ["question", "answer"])
def test_judge_prompts_hold_question_and_answer(monkeypatch: pytest.MonkeyPatch, lost: str) -> None:
    from rag_bench.llm.tasks import prompts

    check = step_checks.prompts_are_whole(step_named("tier3_scores"))
    bench: Any = SimpleNamespace(
        run=SimpleNamespace(tier3_all_rubrics=True), dataset=SimpleNamespace(kind="manual")
    )
    found = check.evaluate(bench)
    assert found.passed
    assert sorted(found.metadata["rubrics"].value) == [
        *("answer_correctness", "answer_relevance", "e2e_quality", "faithfulness")
    ]
    render = prompts.render

    def forgetful(name: str, **values: Any) -> Any:
        """The forerunner's fault: a judge's prompt was sent without the question."""
        return render(name, **{**values, lost: "…"} if "relevance" in name else values)

    monkeypatch.setattr(prompts, "render", forgetful)
    found = check.evaluate(bench)
    assert not found.passed
    assert found.metadata["without"].value == ["answer_relevance"]


def test_replies_are_readable(done_world: World) -> None:
    """A judge passes at 95 % of its cases and not below, whatever its other measures say."""
    from rag_bench.resources import BenchmarkResource

    check = step_checks.replies_are_readable(step_named("tier3_scores"))
    bench = BenchmarkResource().open(done_world.engine, None)

    def scored(n: int) -> None:
        assert change(
            done_world,
            "update rag_bench.evaluation set metrics = jsonb_set(jsonb_set(metrics, "
            "'{rubric_e2e_quality,n_scored}', to_jsonb(cast(:n as int))), "
            "'{rubric_e2e_quality,n_expected}', '100') "
            "where tier = '3' and kind = 'scores'",
            n=n,
        )

    scored(95)
    assert check.evaluate(bench).passed
    scored(94)
    found = check.evaluate(bench)
    assert not found.passed
    low = found.metadata["share_scored"].value
    assert low["simulator/sim-judge-sharp on simulator/sim-weak"] == 0.94
    assert len(low) == 12


@pytest.mark.parametrize(
    ("asset", "name"),
    [
        ("model_runs", "judges_are_examined_alike"),
        ("model_runs", "every_cell_is_measured"),
    ],
)
def test_a_check_of_nothing_does_not_pass(free_world: World, asset: str, name: str) -> None:
    found = free_world.check(asset)[name]
    assert not found.passed
    assert found.description


def test_checks_of_a_step_that_scored_nothing_do_not_pass(free_world: World) -> None:
    """Scores without any answers: the step fails, and its checks do not say that all is well."""
    from small_world import checks_of

    result = free_world.run(["tier2_scores"])
    assert not result.success
    found = checks_of(result)["replies_are_readable"]
    assert not found.passed
    assert "Nothing was scored" in str(found.description)
