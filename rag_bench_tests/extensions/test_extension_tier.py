"""A tier of somebody's own package: one file, its prompt, and everything has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from folders import support_folders
from small_world import World

from rag_bench import extensions
from rag_bench.settings import PROJECT_ROOT

GENERATORS = ["simulator/sim-strong", "simulator/sim-weak"]
JUDGE, GATE = "simulator/sim-judge-sharp", "simulator/sim-gate-balanced"

TIER = '''"""Tier house: how long questions are, and whether the gate shows references."""

from rag_bench.tiers.registry import Axis, Option, Step, TierSpec
from rag_bench.tiers.stages import REFRESH, Stage

GATES = Stage("house_gates", "gates of the house", "References, by every gate (calls).", "06:30")
ASKED = Option("house_extra", "What the house measures only if it is asked for.")

TIER = TierSpec(
    "house",
    "house",
    (
        Step(
            "house_questions",
            "metrics",
            "house_tier.work:question_tasks",
            "1",
            REFRESH,
            "Tier house: words of a question.",
            reads=("manual_dataset",),
            pays=False,
            kinds=("postgres",),
        ),
        Step(
            "house_references",
            "scores",
            "house_tier.work:reference_tasks",
            "1",
            GATES,
            "Tier house: references that the gate shows. Calls models.",
            by=Axis.GATE,
            reads=("manual_dataset",),
            prompts=("production_judge",),
            checks=("rag_bench.assets.factories.step_checks:replies_are_readable",),
        ),
        Step(
            "house_more",
            "ragas",
            "house_tier.work:reference_tasks",
            "1",
            GATES,
            "Tier house: the same, on request. Calls models.",
            by=Axis.GATE,
            reads=("manual_dataset",),
            option=ASKED,
        ),
    ),
)
'''
WORK = """from functools import partial

from rag_bench.errors import CaseError
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.pipeline import Verdict, show_or_hide
from rag_bench.store.evaluations import Case
from rag_bench.tiers.base.evaluate import Measured, Roles, Task, Work, n_retryable


def question_tasks(bench, models, step, keys):
    def measured(_):
        words = [float(len(item.question.split())) for item in bench.items]
        cases = [Case(i.item_id, scores={"question_words": w}) for i, w in zip(bench.items, words)]
        metric = mean_metric(words, [item.cluster for item in bench.items])
        return Measured({"question_words": metric}, cases, n_scored=len(cases))

    hashed = (step.kind, step.tier, step.version)
    work = Work([], measured)
    return [Task(None, step.tier, step.kind, hashed, step.version, lambda: work)]


def reference_tasks(bench, models, step, keys):
    return [
        Task(
            gate,
            step.tier,
            step.kind,
            (step.kind, step.tier, gate, step.version, step.code_version()),
            step.version,
            partial(_work, bench, models, step, gate),
            Roles(production_judge_model=gate),
            asked=gate,
        )
        for gate in keys
    ]


def _work(bench, models, step, gate):
    async def job(item):
        async with models.chat_models.case(Role.production_judge, item.item_id, metric=step.tier):
            answer = item.reference_answer
            return await show_or_hide(models.chat_models, gate, item.question, answer, answer)

    return Work([partial(job, item) for item in bench.items], partial(_measured, bench))


def _measured(bench, results):
    shown = [r.show if isinstance(r, Verdict) else None for r in results]
    cases = [
        Case(item.item_id, error_code=r.code, error_detail=r.detail)
        if isinstance(r, CaseError)
        else Case(item.item_id, scores={"shown": r.show})
        for item, r in zip(bench.items, results)
    ]
    n = sum(one is not None for one in shown)
    return Measured({"references_shown": rate_metric(shown)}, cases, n, n_retryable(results))
"""
METRIC = """from rag_bench.evaluation.metric_spec import UNIT, entries

METRICS = (
    *entries(("question_words",), ("house",), "mean", None, True, "words of a question"),
    *entries(("references_shown",), ("house",), "rate", UNIT, True, "references shown"),
)
"""
#: Runs in a process that names the extension; prints what everything knows of the tier.
RUN = """
import asyncio, json, sys

import dagster as dg

from rag_bench import automation
from rag_bench.cli.app import app
from rag_bench.cli.running import Options
from rag_bench.definitions import build_defs
from rag_bench.llm.config.providers import Providers
from rag_bench.partitions import ModelLists, Partitions
from rag_bench.reporting import leaderboard
from rag_bench.resources import BenchmarkResource
from rag_bench.store.database import make_engine
from rag_bench.store.evaluations import model_runs
from rag_bench.sweep import Sweep, SweepRequest
from rag_bench.tiers import registry
from rag_bench.tiers.plan.plan import plan_sweep
import typer

generators, judge, gate = json.loads(sys.argv[1])
models = ModelLists(generators, [judge], [gate])
defs = build_defs(models)
graph = defs.resolve_asset_graph()
tiers = registry.parse_tiers("house,2")
engine = make_engine()
bench = BenchmarkResource(limit=4).open(engine, None)


def plan():
    made = asyncio.run(
        plan_sweep(bench, Providers({}), 16, *(generators, [judge], [gate]), ["house"])
    )
    return [[line.asset, line.model, line.n_requests, line.n_to_send] for line in made.lines]


before, said = plan(), []
with dg.DagsterInstance.ephemeral() as instance:
    request = SweepRequest(models, tiers, {"limit": 4})
    results = Sweep(instance, models).run(request, said.append)
    keys = {
        name: [
            event.partition_key
            for event in instance.fetch_materializations(dg.AssetKey(name), limit=9).records
        ]
        for name in ("house_questions", "house_references", "house_more")
    }
board = leaderboard.build(engine, bench.run.hash).as_json()
command = typer.main.get_command(app).commands["sweep"]
print(json.dumps({
    "errors": [list(result.errors) for result in results],
    "said": said,
    "recorded": keys,
    "plan": [before, plan()],
    "all": "house" in registry.parse_tiers("all"),
    "assets": {
        key.path[-1]: [node.group_name, sorted(p.path[-1] for p in node.parent_keys)]
        for key in graph.get_all_asset_keys()
        if (node := graph.get(key)) and key.path[-1].startswith("house")
    },
    "tags": dict(graph.get(dg.AssetKey("house_references")).tags),
    "joined": sorted(k.path[-1] for k in graph.get(dg.AssetKey("model_runs")).parent_keys),
    "stages": [
        [stage.name, stage.cron, stage.pays, list(stage.assets)]
        for stage in automation.stages(Partitions.of(models))
    ],
    "jobs": [job.name for job in defs.jobs],
    "schedules": [one.name for one in defs.schedules],
    "plan_config": automation.shown_config([], ["sweep_plan"]),
    "flags": [flag for option in command.params for flag in option.opts],
    "help": next(option.help for option in command.params if "--tier" in option.opts),
    "runs": [row["metrics"].get("tier_house") for row in model_runs(engine, bench.run.hash)],
    "board": board["rows"][0]["metrics"]["tier_house"],
}, default=str))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    files = {"tiers/house.py": TIER, "work.py": WORK, "metrics/house.py": METRIC}
    for name, text in files.items():
        path = tmp_path / "packages" / "house_tier" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "packages"


def run(package: Path, named: str = "house_tier") -> Mapping[str, Any]:
    """Return what the process printed."""
    paths = [package, *support_folders(), PROJECT_ROOT]
    found = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps([GENERATORS, JUDGE, GATE])],
        env=os.environ
        | {extensions.VARIABLE: named, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-4000:]
    printed: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return printed


def test_a_tier_of_an_extension_is_everywhere(free_world: World, package: Path) -> None:
    found = run(package)
    # Sweep: the free step with the free part, the paid one in its own stage before the report.
    assert found["errors"] == [[]] * 5
    assert found["said"] == [
        *("embeddings, datasets, retrieval", "answers", "scores"),
        *("gates of the house", "leaderboard and report"),
    ]
    assert found["recorded"] == {
        "house_questions": [None],
        "house_references": [GATE],
        "house_more": [],  # nobody asked for it
    }
    # Plan: before nothing was answered, afterwards nothing is left to send.
    assert found["plan"] == [
        [["house_references", GATE, 4, 4]],
        [["house_references", GATE, 4, 0]],
    ]
    # Assets, their edges and tags; what the leaderboard is joined from.
    assert found["assets"] == {
        name: ["house", ["chunk", "manual_dataset"]]
        for name in ("house_questions", "house_references", "house_more")
    }
    assert {"tier": "house", "pays": "yes"}.items() <= found["tags"].items()
    assert {"house_questions", "house_references", "house_more"} <= set(found["joined"])
    # Jobs and schedules, in their order.
    stages = {name: (cron, pays, assets) for name, cron, pays, assets in found["stages"]}
    assert stages["house_gates"] == ("30 6 * * 1", True, ["house_references", "house_more"])
    assert "house_questions" in stages["refresh"][2]
    names = list(stages)
    assert names.index("production_judges") < names.index("house_gates") < names.index("report")
    assert "house_gates" in found["jobs"]
    assert "weekly_house_gates" in found["schedules"]
    # Commands and the weekly plan.
    assert found["all"]
    assert "house" in found["help"]
    assert "--house-extra" in found["flags"]
    assert found["plan_config"]["ops"]["sweep_plan"]["config"] == {
        "all_retrievers": True,
        "house_extra": True,
        "ragas": True,
    }
    # Results, joined with all others.
    assert len(found["runs"]) == len(GENERATORS)
    for metrics in [*found["runs"], found["board"]]:
        assert set(metrics) == {"question_words", "references_shown"}
        assert metrics["question_words"]["value"] > 1
        assert metrics["references_shown"]["n_scored"] == 4
