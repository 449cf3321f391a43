"""Names that people, scripts and other programs use stay: those of 0.1.0, as it had them.

A name that must go is taken out of ``public_names.json`` with a line in CHANGELOG.md that says why.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import dagster as dg
import pytest
import typer

from rag_bench.cli.app import app
from rag_bench.definitions import build_defs
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource
from rag_bench.settings import Settings

BEFORE: dict[str, Any] = json.loads(
    (Path(__file__).parent / "public_names.json").read_text(encoding="utf-8")
)
MODELS = ModelLists(("a/g",), ("a/j",), ("a/p",))


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_defs(MODELS)


def gone(before: Iterable[str], now: Iterable[str]) -> list[str]:
    return sorted(set(before) - set(now))


def test_assets_keep_their_names_groups_and_partition_keys(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    now = {}
    for key in map(dg.AssetKey, BEFORE["assets"]):
        node = graph.get(key)
        splits = node.partitions_def
        now[key.to_user_string()] = {
            "group": node.group_name,
            "partitions": list(splits.get_partition_keys()) if splits else None,
        }
    assert {name: now.get(name) for name in BEFORE["assets"]} == BEFORE["assets"]
    checks = [f"{key.asset_key.to_user_string()}:{key.name}" for key in graph.asset_check_keys]
    assert gone(BEFORE["checks"], checks) == []


def test_jobs_schedules_and_sensors(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    assert gone(BEFORE["jobs"], (job.name for job in repository.get_all_jobs())) == []
    assert gone(BEFORE["schedules"], (one.name for one in repository.schedule_defs)) == []
    assert gone(BEFORE["sensors"], (one.name for one in repository.sensor_defs)) == []


def flags(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[str]]]:
    """Yield each command with its flags and arguments."""
    inner: Mapping[str, click.Command] | None = getattr(command, "commands", None)
    if inner is None:
        names = [name for one in command.params for name in (*one.opts, *one.secondary_opts)]
        yield " ".join(path), names
    for name, each in (inner or {}).items():
        yield from flags(each, (*path, name))


@pytest.mark.parametrize("command", BEFORE["commands"])
def test_commands_and_flags(command: str) -> None:
    now = dict(flags(typer.main.get_command(app)))
    assert command in now
    assert gone(BEFORE["commands"][command], now[command]) == []


def test_variables_and_run_config() -> None:
    variables = [f"RAG_BENCH_{name.upper()}" for name in Settings.model_fields]
    assert gone(BEFORE["variables"], variables) == []
    assert gone(BEFORE["run_config"], BenchmarkResource.model_fields) == []
