"""The code location: every definition, assembled; nothing else."""

from __future__ import annotations

import dagster as dg

from rag_bench import automation, checks
from rag_bench.assets import (
    answers_and_scores,
    datasets,
    embeddings,
    judges,
    model_lab,
    reports,
    retrieval,
    source,
)
from rag_bench.llm.providers import Providers
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource


def build_defs(models: ModelLists | None = None) -> dg.Definitions:
    """Assemble the definitions for these models, by default all that are configured."""
    models = models or ModelLists.from_providers(Providers.from_environment())
    partitions = Partitions.of(models)
    tier2 = answers_and_scores.build(answers_and_scores.GENERATION, partitions)
    tier3 = answers_and_scores.build(answers_and_scores.END_TO_END, partitions)
    production = judges.build(partitions)
    lab = model_lab.build([tier2[1], tier3[1], *production])
    report = reports.build(lab[1])
    automated = automation.build(partitions)
    return dg.Definitions(
        assets=[
            *source.ASSETS,
            *embeddings.ASSETS,
            *datasets.ASSETS,
            *retrieval.ASSETS,
            *tier2,
            *tier3,
            *production,
            *lab,
            *report,
        ],
        asset_checks=checks.build(lab[0], models),
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


defs = build_defs()
