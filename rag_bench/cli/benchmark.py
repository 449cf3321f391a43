"""``rag-bench benchmark``: the flags of ``run_comprehensive_benchmark.py``, by the same names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli import running as runs
from rag_bench.cli.app import app
from rag_bench.cli.flags import RunFlags, with_run_flags
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from rag_bench.cli.analytics import Wanted

_MODELS, _DATA, _ANALYTICS = "Models", "Data and settings", "Source analytics"


@app.command()
@with_run_flags(_DATA)
def benchmark(
    *,
    given: RunFlags,
    manual_dataset: Annotated[
        str, typer.Option(help="The same, with --mode manual.", rich_help_panel=_DATA)
    ] = "",
    output_dir: Annotated[
        Path | None,
        typer.Option(help="Where the report goes; RAG_BENCH_REPORTS_DIR.", rich_help_panel=_DATA),
    ] = None,
    skip_checks: Annotated[
        bool,
        typer.Option(
            "--skip-checks",
            help="A failed asset check does not fail the command; it is shown in the UI.",
            rich_help_panel=_DATA,
        ),
    ] = False,
    generation_models: Annotated[
        str,
        typer.Option(
            help="Comma-separated <provider>/<model>, or names of the provider that the source or "
            "a variable names.",
            rich_help_panel=_MODELS,
        ),
    ] = "",
    judge_models: Annotated[
        str,
        typer.Option(
            "--judge-models",
            "--benchmark-judge-models",
            help="Benchmark judges, which score answers.",
            rich_help_panel=_MODELS,
        ),
    ] = "",
    production_judge_models: Annotated[
        str,
        typer.Option(help="Production judges, which decide show or hide.", rich_help_panel=_MODELS),
    ] = "",
    generation_model_source: Annotated[
        str,
        typer.Option(
            help="A provider: all models of <PROVIDER>_GEN_MODELS.", rich_help_panel=_MODELS
        ),
    ] = "",
    judge_model_source: Annotated[
        str,
        typer.Option(
            "--judge-model-source",
            "--benchmark-judge-model-source",
            help="Likewise <PROVIDER>_BM_JUDGE_MODELS.",
            rich_help_panel=_MODELS,
        ),
    ] = "",
    production_judge_model_source: Annotated[
        str,
        typer.Option(help="Likewise <PROVIDER>_JUDGE_MODELS.", rich_help_panel=_MODELS),
    ] = "",
    generation_api_key_var: Annotated[
        str,
        typer.Option(
            help="Name of the variable with the key: its provider serves names without one. The "
            "key itself goes to that provider's address only.",
            rich_help_panel=_MODELS,
        ),
    ] = "",
    generation_api_url_var: Annotated[
        str, typer.Option(help="Likewise, of the address.", rich_help_panel=_MODELS)
    ] = "",
    production_judge_api_key_var: Annotated[
        str, typer.Option(help="Of the production judges.", rich_help_panel=_MODELS)
    ] = "",
    production_judge_api_url_var: Annotated[
        str, typer.Option(help="Of the production judges.", rich_help_panel=_MODELS)
    ] = "",
    benchmark_judge_api_key_var: Annotated[
        str, typer.Option(help="Of the benchmark judges.", rich_help_panel=_MODELS)
    ] = "",
    benchmark_judge_base_url_var: Annotated[
        str,
        typer.Option(
            "--benchmark-judge-base-url-var",
            "--benchmark-judge-api-url-var",
            help="Of the benchmark judges.",
            rich_help_panel=_MODELS,
        ),
    ] = "",
    analyze_utilization: Annotated[
        bool,
        typer.Option(
            "--analyze-utilization",
            help="Which chunks questions find, and which none does.",
            rich_help_panel=_ANALYTICS,
        ),
    ] = False,
    utilization_questions_source: Annotated[
        str, typer.Option(help="real or synthetic.", rich_help_panel=_ANALYTICS)
    ] = "real",
    utilization_question_limit: Annotated[
        int, typer.Option(help="At most so many questions.", min=1, rich_help_panel=_ANALYTICS)
    ] = 500,
    utilization_top_k: Annotated[
        int, typer.Option(help="Chunks per question.", min=1, rich_help_panel=_ANALYTICS)
    ] = 10,
    analyze_topics: Annotated[
        bool,
        typer.Option(
            "--analyze-topics",
            help="What users ask about, and how well it is covered.",
            rich_help_panel=_ANALYTICS,
        ),
    ] = False,
    topics_question_limit: Annotated[
        int, typer.Option(help="At most so many questions.", min=1, rich_help_panel=_ANALYTICS)
    ] = 2000,
    topics_count: Annotated[
        int, typer.Option(help="At most so many topics.", min=1, rich_help_panel=_ANALYTICS)
    ] = 20,
    topics_top_k: Annotated[
        int, typer.Option(help="Chunks per question.", min=1, rich_help_panel=_ANALYTICS)
    ] = 5,
    analyze_domain: Annotated[
        bool,
        typer.Option(
            "--analyze-domain", help="Users' words, slang, ratings.", rich_help_panel=_ANALYTICS
        ),
    ] = False,
    domain_limit: Annotated[
        int, typer.Option(help="At most so many questions.", min=1, rich_help_panel=_ANALYTICS)
    ] = 5000,
) -> None:
    """Run the benchmark: the tiers for every combination of the models, then the analytics.

    The same as `rag-bench sweep`, with the flags of the guide. Each model, or pair of models, is
    measured once for all the combinations that it is part of.
    """
    if manual_dataset and given.benchmark["mode"] not in ("", "manual"):
        raise RagBenchError("--manual-dataset goes with --mode manual.")
    if manual_dataset and given.benchmark["dataset"]:
        raise RagBenchError("Name one dataset: --dataset or --manual-dataset.")
    analyses: list[Wanted] = []
    if analyze_utilization or analyze_topics or analyze_domain:
        from rag_bench.cli.analytics import domain, topics, utilization

        if analyze_utilization:
            analyses.append(
                utilization(
                    utilization_questions_source, utilization_question_limit, utilization_top_k
                )
            )
        if analyze_topics:
            analyses.append(topics(topics_question_limit, topics_count, topics_top_k))
        if analyze_domain:
            analyses.append(domain(domain_limit))
    if output_dir:
        # The settings are the environment's; what runs in this process reads them there.
        os.environ["RAG_BENCH_REPORTS_DIR"] = str(output_dir.absolute())
    models = runs.chosen_models(
        runs.RoleModels(
            generation_models,
            generation_model_source,
            generation_api_key_var,
            generation_api_url_var,
        ),
        runs.RoleModels(
            judge_models,
            judge_model_source,
            benchmark_judge_api_key_var,
            benchmark_judge_base_url_var,
        ),
        runs.RoleModels(
            production_judge_models,
            production_judge_model_source,
            production_judge_api_key_var,
            production_judge_api_url_var,
        ),
    )
    if manual_dataset:
        given.benchmark["dataset"] = manual_dataset
    runs.run(models, runs.Options.of(given, skip_checks=skip_checks, analyses=analyses))
