"""Group model_lab: what a sweep will ask and cost, before anything is sent."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from pydantic import Field, create_model

from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import table
from rag_bench.assets.results.model_lab import GROUP
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource, DatabaseResource
from rag_bench.settings import get_settings
from rag_bench.tiers import registry


class PlanConfig(dg.Config):
    """Which sweep to plan; empty lists mean every partition that there is."""

    generation_models: list[str] = Field(default=[], description="Empty: all partitions.")
    judge_models: list[str] = Field(default=[], description="Benchmark judges; empty: all.")
    production_judge_models: list[str] = Field(default=[], description="Empty: all.")
    tiers: str = Field(default="all", description="As of `rag-bench sweep --tier`.")


def config_type() -> type[PlanConfig]:
    """Return the config with a field for each of the options that a sweep has a flag for."""
    fields: dict[str, Any] = {
        option.name: (bool, Field(default=False, description=option.help))
        for option in registry.flags()
    }
    made: type[PlanConfig] = create_model("SweepPlanConfig", __base__=PlanConfig, **fields)
    return made


def build(models: ModelLists) -> list[dg.AssetsDefinition]:
    """Return the asset; ``models`` are those that the definitions have partitions of."""
    Config: Any = config_type()  # noqa: N806

    @asset(
        group_name=GROUP,
        kinds={"postgres"},
        deps=list(dict.fromkeys(name for step in registry.answering() for name in step.reads)),
        code_version="1",
    )
    def sweep_plan(
        context: dg.AssetExecutionContext,
        config: Config,
        database: DatabaseResource,
        benchmark: BenchmarkResource,
    ) -> dg.MaterializeResult:
        """What a sweep of these models will ask: calls by role and model, how many the ledger
        answers already, tokens, money and time. Sends nothing. `rag-bench sweep --plan` in the UI.
        """
        import asyncio

        from rag_bench.llm.config.providers import Providers
        from rag_bench.tiers.plan.plan import plan_sweep

        def chosen(named: Sequence[str], known: Sequence[str]) -> Sequence[str]:
            return named or known

        bench = benchmark.open(database.engine, context.run.run_id)
        plan = asyncio.run(
            plan_sweep(
                bench,
                Providers.from_environment(),
                get_settings().concurrency,
                chosen(config.generation_models, models.generation),
                chosen(config.judge_models, models.benchmark_judges),
                chosen(config.production_judge_models, models.production_judges),
                registry.parse_tiers(config.tiers),
                options=[one.name for one in registry.flags() if getattr(config, one.name)],
            )
        )
        found = plan.to_json()
        columns = ["asset", "role", "model", "requests", "in ledger", "to send", "unknown"]
        columns += ["prompt tokens", "completion tokens", "USD", "seconds"]
        rows = [
            [
                *(line.asset, line.role, line.model),
                *(line.n_requests, line.n_in_ledger, line.n_to_send),
                f"at most {line.n_unknown}" if line.n_unknown else 0,
                *(line.prompt_tokens, line.completion_tokens),
                "unknown" if line.cost_usd is None else f"{line.cost_usd:.4f}",
                "unknown" if line.seconds is None else round(line.seconds),
            ]
            for line in plan.lines
        ]
        by_role: dict[str, int] = {}
        for line in plan.lines:
            by_role[line.role] = by_role.get(line.role, 0) + line.n_requests
        notes = [*plan.notes, "Tokens, money and time are estimates, unknown calls included."]
        return dg.MaterializeResult(
            metadata={
                "table": table(columns, rows),
                "notes": dg.MetadataValue.md("\n\n".join(notes)),
                "calls_to_send": plan.n_to_send,
                "calls_unknown_at_most": plan.n_unknown,
                "cost_usd": "unknown" if plan.cost_usd is None else float(plan.cost_usd),
                "hours": "unknown" if plan.seconds is None else round(plan.seconds / 3600, 3),
                "requests_by_role": dg.MetadataValue.json(by_role),
                "plan": dg.MetadataValue.json(found),
            }
        )

    return [sweep_plan]
