"""The code location: loads anywhere, quickly, and is exactly the graph that was meant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster import AssetKey
from expected_graph import (
    CHECKS,
    EXPECTED,
    GATES,
    GENERATION,
    GRID,
    JOBS,
    JUDGES,
    MEASURED,
    NONE,
    PAYS,
    RETRIEVERS,
    RUNS,
)
from sqlalchemy import Engine, text

from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.assets.factories.tables import column_schema
from rag_bench.definitions import build_defs
from rag_bench.errors import ConfigurationError
from rag_bench.llm.config import offline
from rag_bench.partitions import ModelLists
from rag_bench.retrievers import retrievers
from rag_bench.settings import get_settings

MODELS = ModelLists(["simulator/extractive", "x/модель:free"], ["x/судья"], ["x/b/c"])


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return build_defs(MODELS)


@pytest.fixture(scope="module")
def graph(defs: dg.Definitions) -> dg.AssetGraph:
    return defs.resolve_asset_graph()


def partitions_of(graph: dg.AssetGraph, name: str) -> list[str]:
    definition = graph.get(AssetKey(name)).partitions_def
    if isinstance(definition, dg.DynamicPartitionsDefinition):
        return [f"dynamic: {definition.name}"]
    return [] if definition is None else [str(key) for key in definition.get_partition_keys()]


def test_the_graph_is_the_one_that_was_meant(graph: dg.AssetGraph) -> None:
    keys = {
        NONE: [],
        GENERATION: list(MODELS.generation),
        GATES: list(MODELS.production_judges),
        JUDGES: list(MODELS.benchmark_judges),
        RETRIEVERS: list(retrievers(get_settings())),
        RUNS: ["dynamic: eval_runs"],
        GRID: ["x/судья|simulator/extractive", "x/судья|x/модель:free"],
    }
    found = {}
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        name = key.to_user_string()
        split = next(s for s, wanted in keys.items() if partitions_of(graph, name) == wanted)
        parents = {parent.to_user_string() for parent in node.parent_keys}
        found[name] = (node.group_name, parents, split, set(node.kinds))
    assert found == {
        name: (group, inputs | ({"chunk"} if name in MEASURED else set()), split, kinds)
        for name, (group, inputs, split, kinds) in EXPECTED.items()
    }


def test_everything_says_what_it_is(graph: dg.AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert len(node.description or "") > 40, key
        assert node.code_version, key
        # Paying is said where a person reads it.
        pays = EXPECTED[key.to_user_string()][3] >= PAYS
        said = " ".join((node.description or "").split())
        assert ("Calls models." in said or "Calls a model." in said) is pays
        assert not node.pools, "runs share a provider by leases, and do not wait for each other"


def test_nothing_runs_by_itself(defs: dg.Definitions, graph: dg.AssetGraph) -> None:
    for key in graph.get_all_asset_keys():
        assert graph.get(key).automation_condition is None
    repository = defs.get_repository_def()
    assert [sensor.name for sensor in repository.sensor_defs] == [
        "dump_folder",
        "eval_run_outbox",  # starts what somebody has asked the service for
        "hooks_received",  # starts what a signed hook asks for, and nothing without one
        "report_what_was_measured",
    ]


def test_the_checks(graph: dg.AssetGraph) -> None:
    assert {(k.asset_key.to_user_string(), k.name) for k in graph.asset_check_keys} == CHECKS
    for key in graph.asset_check_keys:
        assert graph.get(key).description


@pytest.mark.parametrize(
    ("downstream", "upstream", "key", "wanted"),
    [
        *[
            (f"tier{t}_scores", f"tier{t}_answers", f"x/судья|{g}", {g})
            for t in "23"
            for g in MODELS.generation
        ],
        ("tier2_answers", "manual_dataset", "x/модель:free", None),
        ("tier3_answers", "tier1_retrieval", "x/модель:free", None),
        ("production_judge_scores", "show_hide_dataset", "x/b/c", None),
    ],
)
def test_every_cell_is_made_from_its_own_input(
    graph: dg.AssetGraph, downstream: str, upstream: str, key: str, wanted: set[str] | None
) -> None:
    """`None`: from the whole of an input without partitions."""
    node, above = graph.get(AssetKey(downstream)), graph.get(AssetKey(upstream))
    assert key in partitions_of(graph, downstream)
    subset = node.partitions_def.subset_with_partition_keys([key])
    mapping = graph.get_partition_mapping(AssetKey(downstream), AssetKey(upstream))
    if wanted is None:
        assert above.partitions_def is None
        return
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        subset, node.partitions_def, above.partitions_def
    )
    assert set(found.partitions_subset.get_partition_keys()) == wanted
    assert not found.required_but_nonexistent_subset.get_partition_keys()


def test_definitions_are_loadable(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    for name in JOBS:
        assert defs.resolve_job_def(name)


def test_jobs_cover_the_graph_but_for_datasets_made_on_demand(defs: dg.Definitions) -> None:
    selected = {
        key.to_user_string()
        for name in JOBS
        for key in defs.resolve_job_def(name).asset_layer.selected_asset_keys
    }
    assert selected == EXPECTED.keys() - {
        *("synthetic_dataset", "traffic_dataset", "causes_of_change"),
        "judge_bridge",
    }


SCRIPT = """
import json, sys, warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    import dagster as dg
    from rag_bench.definitions import defs
    graph = defs.resolve_asset_graph()
    defs.get_repository_def().get_all_jobs()
ours = [str(w.message) for w in said if issubclass(w.category, (DeprecationWarning, FutureWarning))
        and "rag_bench" in w.filename]
print(json.dumps({
    "modules": sorted({name.partition(".")[0] for name in sys.modules}),
    "generation": list(graph.get(dg.AssetKey("tier2_answers")).partitions_def.get_partition_keys()),
    "warnings": ours,
}, ensure_ascii=False))
"""


def fresh(environment: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Load the definitions in a new interpreter with nothing but this environment."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_they_load_with_an_empty_environment_and_without_heavy_modules(tmp_path: Path) -> None:
    done = fresh({}, tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    heavy = {
        *("torch", "transformers", "sentence_transformers", "openai", "pandas", "scipy"),
        *("matplotlib", "sklearn", "sacrebleu", "rouge_score", "ir_measures", "fastapi"),
    }
    assert not heavy & set(found["modules"])
    assert found["generation"][: len(offline.GENERATORS)] == list(offline.GENERATORS)
    assert found["warnings"] == []
    assert not list(tmp_path.iterdir())  # nothing was written


def test_models_of_the_environment_are_partitions(tmp_path: Path) -> None:
    done = fresh(
        {
            "PROVIDER_YANDEX_API_KEY": "k",
            "PROVIDER_YANDEX_BASE_URL": "https://llm.example.org/v1",
            "YANDEX_GEN_MODELS": "gpt://каталог/модель:latest,openai/gpt-4o-mini",
        },
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["generation"] == [
        *offline.GENERATORS,
        "yandex/gpt://каталог/модель:latest",
        "yandex/openai/gpt-4o-mini",
        PRODUCTION_LOG.key,
    ]


@pytest.mark.parametrize(
    ("variable", "content"),
    [
        ("YANDEX_GEN_MODELS", "хорошая,пло|хая"),
        ("YANDEX_BM_JUDGE_MODELS", "a[1]"),
        ("YANDEX_JUDGE_MODELS", "a,,b"),
    ],
)
def test_a_bad_model_name_names_its_variable(tmp_path: Path, variable: str, content: str) -> None:
    done = fresh(
        {
            "PROVIDER_YANDEX_API_KEY": "k",
            "PROVIDER_YANDEX_BASE_URL": "https://llm.example.org/v1",
            variable: content,
        },
        tmp_path,
    )
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("rag_bench.errors.ConfigurationError")
    assert variable in last


def test_every_asset_says_whether_it_pays_whose_it_is_and_of_which_tier() -> None:
    specs = {
        spec.key.to_user_string(): spec for spec in build_defs(MODELS).resolve_all_asset_specs()
    }
    for name, spec in specs.items():
        pays = "openai" in EXPECTED[name][3]
        assert ("pays" in spec.tags, "offline" in spec.tags) == (pays, not pays), name
        assert spec.owners == ["team:assistant"]
    tiers = {name: spec.tags.get("tier") for name, spec in specs.items()}
    assert tiers["tier1_retrieval"] == "1"
    assert tiers["tier3_scores"] == "3"
    assert tiers["tier_ux_dialogs"] == "ux"
    assert tiers["benchmark_judge_quality"] == "judge"
    assert tiers["production_judge_scores"] == "judge_pipeline"
    assert tiers["retrieval_lab"] == "1"
    assert tiers["leaderboard"] is None


def test_owners_are_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_BENCH_OWNERS", "team:help-desk, anna@example.org")
    [spec, *_] = build_defs(MODELS).resolve_all_asset_specs()
    assert spec.owners == ["team:help-desk", "anna@example.org"]
    monkeypatch.setenv("RAG_BENCH_OWNERS", "the help desk")
    with pytest.raises(ConfigurationError, match="RAG_BENCH_OWNERS"):
        build_defs(MODELS)


@pytest.mark.parametrize("name", ["chunk", "question_answer", "model_runs"])
def test_a_table_s_columns_are_those_of_the_database(name: str, engine: Engine) -> None:
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "select column_name from information_schema.columns "
                "where table_schema = 'rag_bench' and table_name = :name"
            ),
            {"name": name},
        )
        columns = {row[0] for row in rows}
    schema = column_schema(name)["dagster/column_schema"]
    assert {column.name for column in schema.columns} == columns
