"""What a partition of a sweep costs beside its models: Dagster and the store, per cell.

    python benchmarks/sweep_overhead.py [--generators 20] [--judges 10] [--questions 1]

The same cells (tier 2: answers per generator, scores per generator and judge) are made three
times on databases of their own, with offline models in this process:

* direct: the tiers' own functions, as the assets call them, without Dagster;
* replies known: direct again, every reply from the ledger: what scoring and storing cost;
* assets: `rag-bench sweep`'s way, each stage a run, Dagster's storage in PostgreSQL;
* found finished: the assets once more, when there is nothing to do.

Prints milliseconds per cell and the ratio assets / direct. The encoder is loaded before.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import scratch
from scratch import small_world

from rag_bench.assembly import open_models
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource
from rag_bench.retrieval import encoder
from rag_bench.settings import get_settings
from rag_bench.simulator import app
from rag_bench.simulator.roster import GENERATORS, JUDGES, Catalogue


def many_models(n_generators: int, n_judges: int) -> ModelLists:
    """Let the simulator serve so many copies of its models; return their keys."""
    generators = [replace(GENERATORS[n % 3], name=f"gen-{n}") for n in range(n_generators)]
    judges = [replace(JUDGES[n % 3], name=f"judge-{n}") for n in range(n_judges)]
    served = Catalogue((*generators, *judges))
    app.Catalogue = lambda: served  # type: ignore[assignment,misc]
    keys = [[f"simulator/{model.name}" for model in models] for models in (generators, judges)]
    return ModelLists(keys[0], keys[1], ["simulator/unused"])


def directly(world: small_world.World, models: ModelLists, benchmark: dict[str, Any]) -> None:
    """Make all cells by the tiers' own functions."""
    from evaluated import evaluated

    from rag_bench.tiers.answers import answers, scores
    from rag_bench.tiers.registry import step_named

    bench = BenchmarkResource(**benchmark).open(world.engine, None)
    pairs = list(itertools.product(models.generation, models.benchmark_judges))

    async def main() -> None:
        async with open_models(get_settings(), world.engine) as opened:
            for tasks, step, keys in (
                (answers.answer_tasks, step_named("tier2_answers"), models.generation),
                (scores.score_tasks, step_named("tier2_scores"), pairs),
            ):
                await evaluated(tasks, bench, opened, step, keys, lambda key, found: None)

    asyncio.run(main())


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generators", type=int, default=20)
    parser.add_argument("--judges", type=int, default=10)
    parser.add_argument("--questions", type=int, default=1)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("dagster").setLevel(logging.CRITICAL)

    models = many_models(arguments.generators, arguments.judges)
    n_cells = len(models.generation) * (1 + len(models.benchmark_judges))
    benchmark = {"limit": arguments.questions}
    loaded = encoder.load_encoder(get_settings())
    encoder.load_encoder = lambda settings: loaded

    with scratch.folder() as place, scratch.world(place) as base:
        assert base.run(small_world.FREE).success
        directly(base, many_models(1, 1), benchmark)  # first calls import the SDK
        many_models(arguments.generators, arguments.judges)
        base.engine.dispose()
        template = str(base.engine.url.database)
        with scratch.world(place, template) as world:
            direct = timed(lambda: directly(world, models, benchmark))
            with world.engine.begin() as connection:
                from sqlalchemy import text

                connection.execute(
                    text("delete from rag_bench.evaluation where generation_model is not null")
                )
            known = timed(lambda: directly(world, models, benchmark))
            n_calls = world.count("llm_call", "request ->> 'model' like '%-%'")
        with (
            scratch.project_instance(place) as environment,
            scratch.world(place, template) as world,
        ):
            os.environ |= environment
            from rag_bench.dagster_home import open_instance
            from rag_bench.sweep import Sweep

            sweep = Sweep(open_instance(get_settings()), models)
            parts = sweep._partitions

            def by_assets() -> None:
                for name, assets, partitions in (
                    ("answers", ["tier2_answers"], parts.generation),
                    ("scores", ["tier2_scores"], parts.grid),
                ):
                    done = sweep.materialize(
                        name, assets, partitions=partitions, benchmark=benchmark
                    )
                    assert not done.errors, done.errors

            assets = timed(by_assets)
            again = timed(by_assets)

    print(
        f"{n_cells} cells of {arguments.questions} question(s): {len(models.generation)} "
        f"generators, {len(models.benchmark_judges)} judges, about {n_calls} calls"
    )
    for name, seconds in (
        ("direct", direct),
        ("direct, replies known", known),
        ("assets", assets),
        ("assets, found finished", again),
    ):
        print(f"{name:<24} {seconds:7.2f} s  {seconds / n_cells * 1000:7.1f} ms per cell")
    print(
        f"Dagster: {(assets - direct) / n_cells * 1000:.1f} ms per cell; "
        f"ratio assets / direct {assets / direct:.2f}"
    )


if __name__ == "__main__":
    main()
