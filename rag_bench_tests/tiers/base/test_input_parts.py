"""What each kind of task hashes, part by part: another part, or another order, and no stored result
would be found again.
"""

from __future__ import annotations

from typing import Any, cast

from evaluated import tasks_of
from small_world import OFFLINE, World

from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.ragas import prompts as ragas_prompts
from rag_bench.llm.tasks import prompts
from rag_bench.resources import BenchmarkResource
from rag_bench.store import traffic
from rag_bench.tiers.answers import answers, ragas, scores
from rag_bench.tiers.answers.earlier import answers_of
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Planned
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.judges import benchmark_judge, production_judge
from rag_bench.tiers.registry import step_named
from rag_bench.tiers.retrieval import retrieval
from rag_bench.tiers.traffic import ux
from rag_bench.tiers.users_metrics import custom_metrics

GENERATOR, JUDGE = OFFLINE.generation[0], OFFLINE.benchmark_judges[0]
GATE = OFFLINE.production_judges[0]


def opened(world: World, **settings: Any) -> tuple[Bench, Models]:
    bench = BenchmarkResource(**settings).open(world.engine, None)
    return bench, Models(cast(Any, None), Providers({}), 16)


def hashed(planned: list[Planned[Any]] | Any) -> tuple[Any, ...]:
    [task] = tasks_of(planned)
    return task.hashed


def stored_answers_hash(bench: Bench, tier: str) -> str:
    """Worked out as the version before tasks did."""
    _, cases = answers_of(bench, tier, GENERATOR)
    return content_hash(
        [
            [key, case.answer, case.error_code, [r["chunk_hash"] for r in case.retrieved or []]]
            for key, case in sorted(cases.items())
        ]
    )


def test_the_hash_of_parts_is_that_of_the_version_before() -> None:
    # Made with the version before there were tasks.
    parts = ["settings", "scores", "2", "a/generator", "a/judge", "3", "answers", {"a": 1}]
    assert content_hash(parts) == "374a8b203b23ee560214c75b5efae7ff8e97bb379837a72559163c7d9cf0afe2"


def test_parts_that_no_model_has_part_in(done_world: World) -> None:
    bench, _ = opened(done_world)
    keys = [None]
    geometry = retrieval.geometry_tasks(bench, None, step_named("tier0_embedding_geometry"), keys)
    assert hashed(geometry) == ("metrics", "0", "4")
    found = retrieval.retrieval_tasks(bench, None, step_named("tier1_retrieval"), keys)
    assert hashed(found) == ("metrics", "1", "5")
    rows = traffic.questions_by_time(bench.engine, bench.snapshot.sha256)
    of_rows = content_hash(
        [
            [
                *(row.source_id, row.question, row.answer, row.page_url, row.score, row.user_id),
                *(bool(row.stop_point), row.created_at and row.created_at.timestamp()),
            ]
            for row in rows
        ]
    )
    assert hashed(ux.dialog_tasks(bench, None, step_named("tier_ux_dialogs"), keys)) == (
        "metrics",
        "ux",
        "3",
        of_rows,
    )


def test_parts_of_answers_and_their_scores(done_world: World) -> None:
    bench, models = opened(done_world)
    for tier in ("2", "3"):
        source = {} if tier == "2" else {"retrieval_evaluation": _tier_1(bench)}
        made = answers.answer_tasks(bench, models, step_named(f"tier{tier}_answers"), [GENERATOR])
        assert hashed(made) == ("answers", tier, GENERATOR, "6", source)
        judged = scores.score_tasks(
            bench, models, step_named(f"tier{tier}_scores"), [(GENERATOR, JUDGE)]
        )
        of_answers = stored_answers_hash(bench, tier)
        assert hashed(judged) == ("scores", tier, GENERATOR, JUDGE, "3", of_answers, "reask")


def test_parts_of_ragas(done_world: World) -> None:
    bench, models = opened(done_world)
    instrument = {
        "ragas_version": ragas_prompts.ragas_version(),
        "ragas_language": "ru",
        "ragas_prompt_hash": ragas_prompts.prompt_hash("ru"),
    }
    pair = (GENERATOR, JUDGE)
    of_answers = {"answers_hash": stored_answers_hash(bench, "3"), **instrument}
    made = ragas.ragas_answer_tasks(bench, models, step_named("tier3_ragas_scores"), [pair])
    assert hashed(made) == ("ragas", "3", GENERATOR, JUDGE, "3", of_answers, "reask")
    chosen = {
        key: retrieval.contexts_given(bench, ranking)
        for key, ranking in retrieval.retrieved(bench).rankings.items()
    }
    of_contexts = {"contexts_hash": content_hash(chosen), **instrument}
    made = ragas.ragas_context_tasks(bench, models, step_named("tier3_context_scores"), [JUDGE])
    assert hashed(made) == ("ragas", "3", None, JUDGE, "3", of_contexts, "reask")


def test_parts_of_the_users_metrics(done_world: World) -> None:
    bench, _ = opened(done_world)
    nothing = custom_metrics.ExtraMeasures()
    made = custom_metrics.tasks_with(
        nothing, bench, step_named("tier3_custom_metrics"), [GENERATOR]
    )
    of_answers = stored_answers_hash(bench, "3")
    assert hashed(made) == ("custom", "3", GENERATOR, "2", {}, of_answers)


def test_parts_of_judges(done_world: World) -> None:
    bench, models = opened(done_world)
    assert bench.pairs is not None
    gates = production_judge.production_judge_tasks(
        bench, models, step_named("production_judge_scores"), [GATE]
    )
    assert hashed(gates) == ("judge_pipeline", GATE, bench.pairs.id, "2")
    judges = benchmark_judge.benchmark_judge_tasks(
        bench, models, step_named("benchmark_judge_quality"), [JUDGE]
    )
    sample = benchmark_judge.sample_of(bench, bench.pairs)
    asked_with = prompts.prompt_hash(
        [
            "pairwise_preference",
            "pairwise_reply_direct",
            "reply_direct",
            "rubric_answer_relevance",
            "rubric_faithfulness",
        ]
    )
    assert hashed(judges) == ("judge", JUDGE, "2", asked_with, sample.hash, "reask")


def test_the_address_is_of_the_settings_and_the_parts(done_world: World) -> None:
    bench, models = opened(done_world)
    parts = hashed(
        production_judge.production_judge_tasks(
            bench, models, step_named("production_judge_scores"), [GATE]
        )
    )
    assert bench.input_hash(*parts) == content_hash([bench.run.hash, *parts])
    # What the sweep of the fixture made is found under it.
    stored = done_world.rows(
        "select input_hash from rag_bench.evaluation where tier = 'judge_pipeline'"
    )
    assert bench.input_hash(*parts) in {row["input_hash"] for row in stored}


def _tier_1(bench: Bench) -> int:
    return retrieval.stored_retrieval(bench).id
