"""Group releases: the newest results against the pinned baseline, and what a release publishes."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from rag_bench.assets.factories.declare import asset, asset_check
from rag_bench.assets.factories.describe import number, table
from rag_bench.assets.results.retrievers import board_if_several
from rag_bench.evaluation.paired.words import HELD, MAY_I_RELEASE, PASSED
from rag_bench.resources import BenchmarkResource, DatabaseResource, ModelsResource
from rag_bench.settings import get_settings

GROUP = "releases"
#: Folder of what releases publish, in that of the reports.
FOLDER = "releases"


class BaselineConfig(dg.Config):
    """What is pinned; as it is, nothing changes."""

    pin: str = Field(
        default="",
        description="newest, or a settings hash, a dump, a model (MODEL or MODEL@SETTINGS) or an "
        "evaluation's number; empty: what is pinned stays.",
    )
    unpin: bool = Field(default=False, description="Nothing is pinned from now on.")
    why: str = Field(default="", description="The reason; it must be given to pin.")
    who: str = Field(default="", description="Empty: BENCHMARK_RUN_AUTHOR, else dagster.")


class GateConfig(dg.Config):
    """What is released, by which rules, and what asking again may cost."""

    generation_model: str = Field(
        default="", description="That is released; empty: the baseline's, or all that both have."
    )
    rules: str = Field(default="", description="A file of rules; empty: RAG_BENCH_GATE.")
    ask_again: bool = Field(
        default=True,
        description="Before it blocks, ask for fresh answers of the cases that decide; false: only "
        "say what that would cost.",
    )
    max_calls: int | None = Field(default=None, description="Empty: RAG_BENCH_GATE_MAX_CALLS.")
    max_cost_usd: float | None = Field(
        default=None, description="Empty: RAG_BENCH_GATE_MAX_COST_USD."
    )


@asset(group_name=GROUP, kinds={"postgres"}, deps=["model_runs"], code_version="1")
def baseline(
    context: dg.AssetExecutionContext, config: BaselineConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """What is held to be good. Pins what its config names, for a reason; without one it shows what
    is pinned. 0 calls.
    """
    import os

    from rag_bench.reporting.compared.pinned import HOW_TO_PIN, pin, unpin
    from rag_bench.store.releases.baselines import history

    who = config.who or os.environ.get("BENCHMARK_RUN_AUTHOR") or "dagster"
    if config.unpin:
        unpin(database.engine, who=who, why=config.why)
    elif config.pin:
        pin(database.engine, config.pin, who=who, why=config.why)
    rows = history(database.engine, limit=20)
    pinned = rows[0].side if rows else None
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{rows[0].id if rows else 0}"),
        metadata={
            "pinned": pinned or HOW_TO_PIN,
            "history": table(
                ["when", "side", "who", "why"],
                [
                    [f"{r.created_at:%Y-%m-%d %H:%M}", r.side or "nothing", r.who, r.why]
                    for r in rows
                ],
            ),
        },
    )


@asset(group_name=GROUP, kinds={"postgres"}, deps=[baseline, "model_runs"], code_version="1")
def comparison(
    context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.MaterializeResult:
    """The newest results against the pinned baseline, cell by cell: what got worse? 0 calls."""
    from rag_bench.hashing import content_hash
    from rag_bench.reporting.compared.pinned import HOW_TO_PIN, against_baseline, lines

    bench = benchmark.open(database.engine, context.run.run_id)
    found = against_baseline(database.engine, bench.run.hash)
    if found is None:
        return dg.MaterializeResult(metadata={"verdict": HOW_TO_PIN})
    rows = [
        [
            cell.label + cell.mark,
            one.name,
            one.decision.word + (" (better)" if one.decision.better else ""),
            number(one.a),
            number(one.b),
            number(one.comparison.difference.value),
            f"{number(one.comparison.difference.ci_low)} to "
            f"{number(one.comparison.difference.ci_high)}",
            number(one.comparison.minimum_detectable),
            one.comparison.difference.n_scored,
            f"rag-bench compare {cell.a} {cell.b}",
        ]
        for cell in found.cells
        if cell.compared is not None
        for one in cell.compared.metrics
        if one.directed
    ]
    columns = ["cell", "metric", "verdict", "baseline", "newest", "difference", "95 % interval"]
    columns += ["could show", "cases", "cases one by one"]
    same = [cell.label for cell in found.cells if cell.compared is None]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(
            content_hash([found.baseline.id, [(cell.a, cell.b) for cell in found.cells]])
        ),
        metadata={
            "verdict": found.verdict or "nothing is newer than the baseline",
            "baseline": found.baseline.side or "",
            "why": found.baseline.why,
            "metrics": table(columns, rows),
            "in_words": dg.MetadataValue.md("\n\n".join(lines(found))),
            "cells_that_are_the_same": len(same),
            "not_in_the_baseline": dg.MetadataValue.json(list(found.alone)),
            "comparison": dg.MetadataValue.json(_counts(found.as_json())),
        },
    )


def _counts(found: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison without its cases: users' questions are no metadata."""
    for cell in found["cells"]:
        for name in ("worse", "better", "unpaired"):
            if cell["comparison"]:
                cell["comparison"].pop(name, None)
                cell["comparison"]["inputs"] = [
                    {k: v for k, v in one.items() if k != "detail"}
                    for one in cell["comparison"]["inputs"]
                ]
    return found


class CausesConfig(dg.Config):
    """Which change is explained, and at what price."""

    a: str = Field(default="", description="Number of the earlier evaluation.")
    b: str = Field(default="", description="Number of the later one.")
    run: bool = Field(default=False, description="Measure what is missing; false: only plan it.")
    max_calls: int | None = Field(default=None, description="Not run if it takes more; empty: any.")


@asset(group_name=GROUP, kinds={"postgres", "openai"}, deps=[comparison], code_version="1")
def causes_of_change(
    context: dg.AssetExecutionContext,
    config: CausesConfig,
    database: DatabaseResource,
    models: ModelsResource,
) -> dg.MaterializeResult:
    """Which of several things that differ changed the scores of evaluation `b` against `a`: the
    missing combinations of old and new, planned, or with `run` measured, and the change split
    among its causes. Calls models.
    """
    from rag_bench.releases.explaining import evaluations_to_explain, explain
    from rag_bench.reporting.compared.opening import open_side

    if not config.a or not config.b:
        said = "Name two evaluations, a and b, in the run config; `comparison` lists their numbers."
        return dg.MaterializeResult(metadata={"nothing_asked": said})
    engine = database.engine
    first, second = evaluations_to_explain(
        engine, open_side(engine, config.a, "a"), open_side(engine, config.b, "b")
    )
    found = models.run(
        engine,
        lambda opened: explain(
            engine,
            get_settings(),
            opened,
            first,
            second,
            run=config.run,
            max_calls=config.max_calls,
            run_id=context.run.run_id,
        ),
    )
    return dg.MaterializeResult(
        metadata={
            "in_words": dg.MetadataValue.md("\n\n".join(found.lines())),
            "calls": found.n_calls,
            "explained": dg.MetadataValue.json(found.as_json()),
        }
    )


@asset(
    group_name=GROUP,
    kinds={"postgres", "openai"},
    deps=[comparison, "model_runs"],
    code_version="1",
)
def release_gate(
    context: dg.AssetExecutionContext,
    config: GateConfig,
    database: DatabaseResource,
    benchmark: BenchmarkResource,
    models: ModelsResource,
) -> dg.MaterializeResult:
    """May it be released? By the rules of RAG_BENCH_GATE, against the pinned baseline. Before it
    says no, it asks again: fresh answers of the cases that decide, at most at the price of its
    caps. Calls models.
    """
    from rag_bench.releases.deciding import Asking, decide_release, store
    from rag_bench.reporting.compared.pinned import HOW_TO_PIN
    from rag_bench.reporting.compared.policy import read_policy, rules

    settings, engine = get_settings(), database.engine
    bench = benchmark.open(engine, context.run.run_id)
    policy = read_policy(Path(config.rules)) if config.rules else rules(settings)
    asking = Asking(
        config.ask_again,
        settings.gate_max_calls if config.max_calls is None else config.max_calls,
        settings.gate_max_cost_usd if config.max_cost_usd is None else config.max_cost_usd,
    )
    run_id = context.run.run_id
    found = models.run(
        engine,
        lambda opened: decide_release(
            engine,
            settings,
            opened,
            bench.run.hash,
            policy,
            asking,
            model=config.generation_model,
            run_id=run_id,
        ),
    )
    if found is None:
        return dg.MaterializeResult(metadata={"outcome": HOW_TO_PIN})
    stored = store(engine, found, run_id)
    rows = [
        [verdict.model, one.of, one.metric.name, one.outcome, one.metric.decision.word, one.reason]
        for verdict in found.verdicts
        for one in verdict.gated.metrics
    ]
    return dg.MaterializeResult(
        data_version=dg.DataVersion(str(stored)),
        metadata={
            "outcome": found.outcome,
            "may_i_release": MAY_I_RELEASE[found.outcome],
            "metrics": table(["model", "class", "metric", "outcome", "verdict", "reason"], rows),
            "in_words": dg.MetadataValue.md("\n\n".join(found.lines())),
            "asked_again": dg.MetadataValue.json([one.again.as_json() for one in found.verdicts]),
            "verdict": stored,
        },
    )


@asset(
    group_name=GROUP,
    kinds={"json", "html"},
    deps=[release_gate, "leaderboard"],
    code_version="1",
)
def release_report(
    context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.MaterializeResult:
    """The report of a release, in the folder `releases` of the reports; only of what the gate
    passed. All results, and the ordinary report, are there whatever it says. 0 calls.
    """
    from rag_bench.reporting import report
    from rag_bench.reporting.beside_board import beside_board
    from rag_bench.reporting.leaderboard import build as read
    from rag_bench.store.releases.verdicts import newest_verdict

    bench = benchmark.open(database.engine, context.run.run_id)
    said = newest_verdict(database.engine, bench.run.hash)
    if said is None or said.outcome != PASSED:
        why = "no gate was asked under these settings: materialize release_gate"
        if said is not None:
            why = f"the gate: {said.outcome}. {MAY_I_RELEASE.get(said.outcome, '')}"  # type: ignore[call-overload]
        return dg.MaterializeResult(metadata={"published": False, "why": why})
    board = read(database.engine, bench.run.hash)
    retrievers = board_if_several(bench)
    content = report.content(
        board, bench.run.as_json(), bench.encoder_identity.name, datetime.now(UTC), retrievers
    )
    content |= {
        "release": {"verdict": said.id, **said.said},
        **beside_board(database.engine, get_settings(), board),
    }
    written = report.write(content, board, get_settings().reports_dir / FOLDER, retrievers)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(str(said.id)),
        metadata={
            "published": True,
            "verdict": said.id,
            "page": dg.MetadataValue.path(written.html),
            "json": dg.MetadataValue.path(written.json),
            "markdown": dg.MetadataValue.path(written.markdown),
        },
    )


@asset_check(asset=release_gate, name="may_be_released", blocking=True)
def may_be_released(
    database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.AssetCheckResult:
    """The newest verdict of the gate under these settings; what it does not pass is not published.

    Nothing is lost: evaluations stay, and the ordinary report is made of them.
    """
    from rag_bench.reporting.compared.pinned import HOW_TO_PIN
    from rag_bench.store.releases.baselines import current_baseline
    from rag_bench.store.releases.verdicts import newest_verdict

    bench = benchmark.open(database.engine, None)
    said = newest_verdict(database.engine, bench.run.hash)
    if current_baseline(database.engine) is None or said is None:
        return dg.AssetCheckResult(passed=True, description=HOW_TO_PIN)
    reasons = [
        f"{model['model']}: {one['metric']}: {one['reason']}"
        for model in said.said["models"]
        for one in model["metrics"]
        if one["outcome"] != PASSED
    ]
    outcome = said.outcome if said.outcome in MAY_I_RELEASE else HELD
    return dg.AssetCheckResult(
        passed=outcome == PASSED,
        description=" ".join([MAY_I_RELEASE[outcome], *reasons]),  # type: ignore[index]
        metadata={"outcome": outcome, "verdict": said.id},
    )


ASSETS = [baseline, comparison, causes_of_change, release_gate, release_report]
CHECKS = [may_be_released]
