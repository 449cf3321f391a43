"""Each field of the run config can be set by both commands and in the Launchpad."""

from __future__ import annotations

from typing import Any

import click
import dagster as dg
import pytest
import typer

from rag_bench.benchmark_fields import BenchmarkFields, words_of
from rag_bench.cli import running
from rag_bench.cli.app import app
from rag_bench.definitions import build_defs
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource

MODELS = ModelLists(["a/1"], ["b/1"], ["c/1"])
#: A value of each field that is not its default. A new field fails here until it has one.
VALUES: dict[str, Any] = {
    "dataset": "gold",
    "mode": "manual",
    "limit": 3,
    "pairs": "labels",
    "retriever": "bm25",
    "top_k": 4,
    "search": "hnsw",
    "contexts_per_answer": 2,
    "consistency_runs": 2,
    "judge_eval_mode": "reasoned",
    "tier3_all_rubrics": True,
    "cached_answers": True,
    "cache_threshold": 0.5,
    "retry_failed": True,
}


def command(name: str) -> click.Command:
    found: Any = typer.main.get_command(app)
    made: click.Command = found.commands[name]
    return made


def given(monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> running.Options:
    """Return what a command would run with; nothing is run."""
    seen: list[running.Options] = []
    monkeypatch.setattr(running, "run", lambda models, options: seen.append(options))
    command(name).main([*words], standalone_mode=False)
    [options] = seen
    return options


def test_the_values_are_those_of_all_fields() -> None:
    assert set(VALUES) == set(BenchmarkFields.model_fields)
    assert set(VALUES) == set(BenchmarkResource.model_fields)
    for name, value in VALUES.items():
        assert BenchmarkFields.model_fields[name].default != value


@pytest.mark.parametrize("name", ["sweep", "benchmark"])
def test_a_command_sets_every_field(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words: list[str] = []
    for field, value in VALUES.items():
        flag = f"--{field.replace('_', '-')}"
        words += [flag] if value is True else [flag, str(value)]
    found = given(monkeypatch, name, *words, "--ragas", "--plan", "--max-calls", "7")
    assert found.benchmark == VALUES
    assert found.options == {"ragas"}
    assert found.plan
    assert found.caps == running.Caps(7, None)


@pytest.mark.parametrize("name", ["sweep", "benchmark"])
def test_without_flags_it_is_the_resource_s_own_defaults(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = given(monkeypatch, name)
    assert found.benchmark == BenchmarkFields().model_dump()
    assert found.tiers == {"0", "1", "2", "3", "judge", "judge_pipeline", "ux"}
    assert found.options == frozenset()


@pytest.mark.parametrize("field", sorted(VALUES))
def test_the_launchpad_takes_every_field(field: str) -> None:
    job = build_defs(MODELS).resolve_job_def("refresh")
    config = {"resources": {"benchmark": {"config": {field: VALUES[field]}}}}
    assert dg.validate_run_config(job, config)
    with pytest.raises(dg.DagsterInvalidConfigError):
        dg.validate_run_config(
            job, {"resources": {"benchmark": {"config": {f"{field}_": VALUES[field]}}}}
        )


def test_words_that_a_field_may_be() -> None:
    assert words_of("search") == ("", "exact", "hnsw")
    assert words_of("limit") == ()
