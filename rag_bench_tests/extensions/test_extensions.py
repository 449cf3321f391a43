"""A metric and a rubric of somebody's own package: a file each, and everything has them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from folders import support_folders
from small_world import ANSWERS, PRODUCTION, SCORES, World, failure

from rag_bench import extensions
from rag_bench.definitions import build_defs
from rag_bench.partitions import ModelLists
from rag_bench.settings import PROJECT_ROOT

MODELS = ModelLists(
    ["simulator/sim-strong", "simulator/sim-weak"],
    ["simulator/sim-judge-sharp"],
    ["simulator/sim-gate-balanced"],
)
STAGES = (ANSWERS, SCORES, PRODUCTION)

METRIC = '''"""Whether an answer is short."""

from rag_bench.evaluation.answer_metrics import AnswerMetrics
from rag_bench.evaluation.metric_spec import UNIT, Need, Shown, Target, entries

METRICS = entries(
    ("short_answer_rate",),
    ("2", "3"),
    "rate",
    UNIT,
    True,
    "share of answers of at most eight words",
    source="house rules",
    needs=(Need.in_scope,),
    shown={"short_answer_rate": Shown("2", "short", 35)},
    targets={"short_answer_rate": Target("2", 0.9, "brevity", 105)},
)


def _of_cases(cases):
    return [{"short_answer_rate": float(len(case.answer.split()) <= 8)} for case in cases]


OF_ANSWERS = (AnswerMetrics(METRICS, _of_cases),)
'''
RUBRIC = """---
fields: question, answer
about: is the answer polite; scale 1 to 5
order: 50
tiers: ["2"]
asks: "is it polite?"
worth: {"correct": 5, "partial": 4, "wrong": 3, "hallucinated": 2, "refused": 1}
shown: [{"tier": "2", "title": "polite", "place": 45}]
target: [{"tier": "2", "value": 4.0, "area": "manners", "place": 106}]
---
# system
Ты оцениваешь вежливость ответа. Шкала, только целые числа:
5 — вежливо.
4 — почти вежливо.
3 — сухо.
2 — резко.
1 — грубо.

# user
{{question}}

{{answer}}
"""
#: Runs the graph where the extension is named, and prints what everything knows of it.
RUN = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
from small_world import World, failure, materializations
from test_extensions import MODELS, STAGES

from rag_bench.definitions import build_defs
from rag_bench.evaluation.catalogue import known
from rag_bench.reporting import leaderboard, report
from rag_bench.reporting.metric_tables import all_tables
from rag_bench.store.database import make_engine

url, data, reports = sys.argv[1:]
with dg.DagsterInstance.ephemeral() as instance:
    world = World(make_engine(url), url, Path(data), Path(reports), instance)
    metadata = {}
    for stage in STAGES:
        result = world.run(stage, MODELS)
        assert result.success, failure(result)
        for asset in ("tier2_answers", "tier2_scores"):
            for made in materializations(result, asset):
                metadata[asset] = sorted(made.metadata)
    board = leaderboard.build(world.engine)
    content = report.content(board, {}, "encoder", datetime(2026, 3, 1, tzinfo=UTC))
    written = report.write(content, board, Path(reports))
    nodes = build_defs(MODELS).resolve_asset_graph()
    print(json.dumps({
        "metadata": metadata,
        "columns": [column.title for column in leaderboard.COLUMNS],
        "ranked_by": [column.metric for column in leaderboard.RANKED_BY],
        "settings_hash": board.settings_hash,
        "board": board.as_json(),
        "areas": sorted({verdict["area"] for verdict in content["baselines"]}),
        "markdown": written.markdown.read_text(encoding="utf-8"),
        "tables": all_tables(),
        "formula": known("rubric_politeness").formula,
        "code_versions": {
            name: nodes.get(dg.AssetKey(name)).code_version
            for name in ("tier2_answers", "tier3_answers", "tier2_scores", "tier3_scores")
        },
    }))
"""


@pytest.fixture
def extension(tmp_path: Path) -> Path:
    for name, text in {
        "house/metrics/brevity.py": METRIC,
        "house/prompts/rubric_politeness.md": RUBRIC,
    }.items():
        path = tmp_path / "packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "packages"


def with_extension(world: World, extension: Path) -> dict[str, Any]:
    """Run the graph in a process that names the extension; return what it printed."""
    here = str(Path(__file__).parent)
    paths = [str(extension), here, *support_folders(), str(PROJECT_ROOT)]
    found = subprocess.run(
        [sys.executable, "-c", RUN, world.url, str(world.data), str(world.reports)],
        env=os.environ | {extensions.VARIABLE: "house", "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-4000:]
    printed: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return printed


def calls(world: World) -> dict[str, int]:
    rows = world.rows("select role, count(*) as n from rag_bench.llm_call group by role")
    return {row["role"]: row["n"] for row in rows}


def test_a_metric_and_a_rubric_of_an_extension_are_everywhere(
    free_world: World, extension: Path
) -> None:
    world = free_world
    for stage in STAGES:
        result = world.run(stage, MODELS)
        assert result.success, failure(result)
    before = calls(world)
    (settings,) = {
        r["settings_hash"]
        for r in world.rows("select settings_hash from rag_bench.evaluation where kind = 'scores'")
    }

    found = with_extension(world, extension)

    # The same settings: nothing that was measured is orphaned, and nothing is asked again but what
    # is new. Two generators that give one answer share a judge's call.
    assert found["settings_hash"] == settings
    after = calls(world)
    assert after["generation"] == before["generation"]
    assert after["production_judge"] == before["production_judge"]
    asked = after["benchmark_judge"] - before["benchmark_judge"]
    polite = world.rows(
        "select count(*) as n from rag_bench.evaluation e"
        " join rag_bench.evaluation_case c on c.evaluation_id = e.id"
        " where e.tier = '2' and c.scores ? 'rubric_politeness'"
    )[0]["n"]
    assert 0 < asked <= polite
    # Metadata of the assets, columns, ranking.
    assert "short_answer_rate" in found["metadata"]["tier2_answers"]
    assert "rubric_politeness" in found["metadata"]["tier2_scores"]
    assert found["columns"] == [
        *("e2e quality", "correctness", "faithfulness", "short", "relevance", "polite"),
        *("similarity", "ROUGE-L", "show F1"),
    ]
    assert "rubric_politeness" not in found["ranked_by"]
    # JSON and report.
    for row in found["board"]["rows"]:
        tier = row["metrics"]["tier_2"]
        assert tier["short_answer_rate"]["n_scored"] == tier["rubric_politeness"]["n_scored"]
        assert 1 <= tier["rubric_politeness"]["value"] <= 5
        assert "short_answer_rate" in row["metrics"]["tier_3"]
        assert "rubric_politeness" not in row["metrics"]["tier_3"]
    models = {line["generation_model"]: line for line in found["board"]["generation_models"]}
    strong, weak = (
        models[name]["metrics"]["tier_2.rubric_politeness"]["value"] for name in MODELS.generation
    )
    assert strong > weak, "the simulated judge scores by the rubric's own worth"
    assert {"brevity", "manners"} <= set(found["areas"])
    assert " short |" in found["markdown"]
    assert "| manners | tier_2 | rubric_politeness |" in found["markdown"]
    # The tables of the documents.
    assert "## house.metrics.brevity" in found["tables"]
    assert (
        "| `short_answer_rate` ↑ | share of answers of at most eight words | rate | 0 to 1 | "
        "house rules | column “short” (tier 2); at least 0.9 (tier 2, brevity) |"
    ) in found["tables"]
    assert "is it polite?" in found["formula"]
    # What shows as stale is what the extension changes.
    graph = build_defs(MODELS).resolve_asset_graph()
    stale = {
        name
        for name, version in found["code_versions"].items()
        if version != graph.get(dg.AssetKey(name)).code_version
    }
    assert stale == {"tier2_answers", "tier3_answers", "tier2_scores"}
