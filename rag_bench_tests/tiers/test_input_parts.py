"""What each kind of task hashes, part by part: another part, or another order, and no stored result
would be found again.
"""

from __future__ import annotations

from typing import Any, cast

from small_world import OFFLINE, World

from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Providers
from rag_bench.resources import BenchmarkResource
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Planned, Task
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.judges.production_judge import STEP, production_judge_tasks

GENERATOR, JUDGE = OFFLINE.generation[0], OFFLINE.benchmark_judges[0]
GATE = OFFLINE.production_judges[0]


def opened(world: World, **settings: Any) -> tuple[Bench, Models]:
    return BenchmarkResource(**settings).open(world.engine, None), Models(
        cast(Any, None), Providers({}), 16
    )


def hashed(planned: Planned[Any]) -> tuple[Any, ...]:
    assert isinstance(planned, Task)
    return planned.hashed


def test_the_hash_of_parts_is_that_of_the_version_before() -> None:
    # Made with the version before there were tasks.
    parts = ["settings", "scores", "2", "a/generator", "a/judge", "3", "answers", {"a": 1}]
    assert content_hash(parts) == "374a8b203b23ee560214c75b5efae7ff8e97bb379837a72559163c7d9cf0afe2"


def test_parts_of_a_production_judge(done_world: World) -> None:
    bench, models = opened(done_world)
    [task] = production_judge_tasks(bench, models, STEP, [GATE])
    assert bench.pairs is not None
    assert hashed(task) == ("judge_pipeline", GATE, bench.pairs.id, "2")
    assert bench.input_hash(*hashed(task)) == content_hash([bench.run.hash, *hashed(task)])
