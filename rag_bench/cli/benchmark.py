"""``rag-bench benchmark``: the flags of ``run_comprehensive_benchmark.py``, by the same names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli import running as runs
from rag_bench.cli.app import app
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from rag_bench.cli.analytics import Wanted

_MODELS, _DATA, _ANALYTICS = "Models", "Data and settings", "Source analytics"


@app.command()
def benchmark(
    tier: Annotated[
        str, typer.Option(help="0, 1, 2, 3, judge, judge_pipeline, ux; a list; or all.")
    ] = "all",
    mode: Annotated[
        str,
        typer.Option(
            help="synthetic or manual: which dataset to take when none is named; empty: the "
            "snapshot's default.",
            rich_help_panel=_DATA,
        ),
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="Dataset id, name or file.", rich_help_panel=_DATA)
    ] = "",
    manual_dataset: Annotated[
        str, typer.Option(help="The same, with --mode manual.", rich_help_panel=_DATA)
    ] = "",
    pairs: Annotated[
        str,
        typer.Option(
            help="Labelled pairs: id, name or file; empty: the newest imported for this snapshot.",
            rich_help_panel=_DATA,
        ),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(
            help="Only the first N questions, and labelled pairs.", min=1, rich_help_panel=_DATA
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        typer.Option(help="Chunks retrieved in tier 1.", min=1, rich_help_panel=_DATA),
    ] = None,
    search: Annotated[
        str, typer.Option(help="exact or hnsw; empty: RAG_BENCH_SEARCH.", rich_help_panel=_DATA)
    ] = "",
    contexts_per_answer: Annotated[
        int | None,
        typer.Option(help="Chunks given to the generator in tier 3.", min=1, rich_help_panel=_DATA),
    ] = None,
    tier3_all_rubrics: Annotated[
        bool,
        typer.Option(
            "--tier3-all-rubrics",
            help="Score tier 3 by faithfulness, relevance and correctness as well.",
            rich_help_panel=_DATA,
        ),
    ] = False,
    cached_answers: Annotated[
        bool,
        typer.Option(
            "--cached-answers",
            help="As in production, a question close to one rated 5 gets the stored answer.",
            rich_help_panel=_DATA,
        ),
    ] = False,
    cache_threshold: Annotated[
        float | None,
        typer.Option(
            help="Least cosine of such a question; also for tier ux.",
            min=-1,
            max=1,
            rich_help_panel=_DATA,
        ),
    ] = None,
    consistency_runs: Annotated[
        int, typer.Option(help="Answers per question.", min=1, rich_help_panel=_DATA)
    ] = 1,
    judge_eval_mode: Annotated[
        str,
        typer.Option(
            help="direct, or reasoned: the judge writes its reasoning first.",
            rich_help_panel=_DATA,
        ),
    ] = "direct",
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
    ragas: Annotated[
        bool, typer.Option("--ragas", help="RAGAS' metrics as well; many more calls.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Ask again where a reply could not be used.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be asked and its cost; send nothing.")
    ] = False,
    max_calls: Annotated[
        int | None, typer.Option(help="Stop after so many new calls; run again to go on.", min=0)
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option(
            help="Stop before the new calls cost more (USD; needs RAG_BENCH_PRICES).", min=0
        ),
    ] = None,
) -> None:
    """Run the benchmark: the tiers for every combination of the models, then the analytics.

    The same as `rag-bench sweep`, with the flags of the guide. Each model, or pair of models, is
    measured once for all the combinations that it is part of.
    """
    from rag_bench.tiers.base.measures import parse_tiers

    if manual_dataset and mode not in ("", "manual"):
        raise RagBenchError("--manual-dataset goes with --mode manual.")
    if manual_dataset and dataset:
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
    runs.run(
        models,
        runs.Options(
            parse_tiers(tier),
            {
                "dataset": manual_dataset or dataset,
                "pairs": pairs,
                "mode": mode,
                "limit": limit,
                "top_k": top_k,
                "search": search,
                "contexts_per_answer": contexts_per_answer,
                "tier3_all_rubrics": tier3_all_rubrics,
                "cached_answers": cached_answers,
                "cache_threshold": cache_threshold,
                "consistency_runs": consistency_runs,
                "judge_eval_mode": judge_eval_mode,
                "retry_failed": retry_failed,
            },
            ragas=ragas,
            skip_checks=skip_checks,
            plan=plan,
            caps=runs.Caps(max_calls, max_cost),
            analyses=analyses,
        ),
    )
