"""A bridge from one benchmark judge to its successor, by run config."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from rag_bench.assets.factories.calls import calls_metadata
from rag_bench.assets.factories.cells import log_progress
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import number, table
from rag_bench.errors import RagBenchError
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.models import Models


class BridgeConfig(dg.Config):
    """Which judges; without both there is nothing to do, and the run is green."""

    old: str = Field(default="", description="The judge whose scores there are.")
    new: str = Field(default="", description="The judge that takes its place.")


@asset(group_name="judges", kinds={"postgres", "openai"}, code_version="1")
def judge_bridge(
    context: dg.AssetExecutionContext,
    config: BridgeConfig,
    database: DatabaseResource,
    benchmark: BenchmarkResource,
    models: ModelsResource,
) -> dg.MaterializeResult:
    """Stored answers that one judge scored, scored by its successor as well: how far they agree,
    the shift, changes of rank, and the link of their means. Calls models.
    """
    from rag_bench.llm.transport.tally import current_tally
    from rag_bench.tiers.judges.bridge import build, rejudge, span_of

    if not config.old or not config.new:
        return dg.MaterializeResult(
            data_version=dg.DataVersion("none"),
            metadata={
                "note": "Nothing to bridge: name the judges `old` and `new` in the run config, or "
                "run `rag-bench judge-bridge OLD NEW`."
            },
        )
    bench = benchmark.open(database.engine, context.run.run_id)
    span = span_of(bench, config.old, config.new)
    asked: dict[str, int] = {}

    async def ask(opened: "Models") -> None:
        scored = await rejudge(bench, opened, span)
        tally = current_tally()
        if tally is not None:
            cells = {(str(one.generation_model), config.new) for one in scored}
            counts = [calls_metadata(tally.of_cell(cell)) for cell in sorted(cells)]
            for name in ("calls_asked", "calls_sent", "calls_from_ledger"):
                asked[name] = sum(one[name] for one in counts)
        missing = [one for one in scored if one.status == "failed" or one.needs_retry]
        if missing:
            raise RagBenchError(
                f"{config.new} has not scored all of it: {len(missing)} of {len(scored)} cells are "
                "not complete. Everything that was answered is kept; run it again to go on."
            )

    with log_progress(context):
        models.run(database.engine, ask)
    found = build(bench, config.old, config.new)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(found.version), metadata={**_metadata(found), **asked}
    )


def _metadata(found: "StoredEvaluation") -> dict[str, Any]:
    result = found.inputs["result"]
    rows = []
    for name, one in result["metrics"].items():
        shift = one["shift"]
        rows.append(
            [
                name,
                one["n_pairs"],
                number(one["exact"]["value"]),
                number(one["kappa"]),
                f"{number(shift['value'])} [{number(shift['ci_low'])}, {number(shift['ci_high'])}]",
                len(one["turned"]),
            ]
        )
    columns = ["metric", "answers", "same score", "weighted kappa", "shift", "orders turned"]
    from rag_bench.reporting.bridges import lines

    return {
        "bridge": table(columns, rows),
        "links": dg.MetadataValue.md("\n".join(f"- {line}" for line in lines(result))),
        "old": result["old"],
        "new": result["new"],
        "evaluation_id": str(found.id),
        "reused": found.reused,
    }


ASSETS = [judge_bridge]
