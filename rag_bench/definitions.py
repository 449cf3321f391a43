"""The code location: every definition, assembled; nothing else."""

from __future__ import annotations

import dagster as dg

from rag_bench import automation, checks
from rag_bench.assets.factories import labels, tier_assets
from rag_bench.assets.inputs import chunk_checks, datasets, embeddings, source, traffic
from rag_bench.assets.results import (
    analytics,
    benchmark_topics,
    dataset_health,
    model_lab,
    near_duplicates,
    plan,
    releases,
    reports,
    retrievers,
    vector_map,
)
from rag_bench.assets.self_test import planted, statistics
from rag_bench.assets.service import eval_run
from rag_bench.assets.tiers import judge_bridge, judge_calibration, judge_canary
from rag_bench.llm.config.providers import Providers
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.processes import look_for_garbage_rarely
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource


def build_defs(models: ModelLists | None = None) -> dg.Definitions:
    """Assemble the definitions for these models, by default all that are configured."""
    models = models or ModelLists.from_providers(Providers.from_environment())
    partitions = Partitions.of(models)
    lab = model_lab.build()
    report = reports.build(lab[1])
    assets = labels.labelled(
        [
            *source.ASSETS,
            *embeddings.ASSETS,
            *datasets.ASSETS,
            *traffic.ASSETS,
            *tier_assets.build(partitions),
            judge_canary.build(partitions),
            judge_calibration.build(partitions),
            *judge_bridge.ASSETS,
            *retrievers.ASSETS,
            *plan.build(models),
            *lab,
            *report,
            *dataset_health.ASSETS,
            *releases.ASSETS,
            *analytics.ASSETS,
            *vector_map.ASSETS,
            *near_duplicates.ASSETS,
            *benchmark_topics.ASSETS,
            *eval_run.ASSETS,
            *statistics.ASSETS,
            *planted.ASSETS,
        ]
    )
    automated = automation.build(partitions, assets)
    return dg.Definitions(
        assets=assets,
        asset_checks=[
            *checks.build(lab[0], models),
            *chunk_checks.CHECKS,
            *releases.CHECKS,
            *statistics.CHECKS,
            *planted.CHECKS,
        ],
        resources={
            "database": DatabaseResource(),
            "benchmark": BenchmarkResource(),
            "models": ModelsResource(),
        },
        jobs=automated.jobs,
        schedules=automated.schedules,
        sensors=automated.sensors,
        # One process per run: steps are not CPU work, and a new interpreter per step costs more.
        executor=dg.in_process_executor,
    )


look_for_garbage_rarely()  # each run has a process, which loads much that stays
defs = build_defs()
