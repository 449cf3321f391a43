"""``rag-bench eval list|show|cancel|complete|report``: runs that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from rag_bench.cli.app import console
from rag_bench.cli.eval_runs.client import service
from rag_bench.cli.eval_runs.group import eval_app
from rag_bench.cli.eval_runs.running import AsJson, Key, Url

RunId = Annotated[str, typer.Argument(help="Id of a run.")]


@eval_app.command("list")
def list_runs(
    status: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="name:value (several times).")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List runs, newest first."""
    params = [("limit", str(limit)), *(("label", one) for one in label or [])]
    params += [("status", status)] if status else []
    with service(url, key) as api:
        found = api.json("GET", "/eval/runs", params=params)
    if as_json:
        _show(found)
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "status", "cases", "by", "flags"):
        table.add_column(column, no_wrap=column == "run")
    for one in found["runs"]:
        flags = ", ".join(one.get("flags") or [])
        table.add_row(one["run_id"], one["status"], str(one["n_cases"]), one["user_id"], flags)
    console.print(table)


@eval_app.command("show")
def show(run_id: RunId, url: Url = None, key: Key = None) -> None:
    """Show how far a run is, as JSON."""
    with service(url, key) as api:
        _show(api.run(run_id))


@eval_app.command("cancel")
def cancel(run_id: RunId, url: Url = None, key: Key = None) -> None:
    """Cancel a run: calls in flight end, and everything answered is kept."""
    with service(url, key) as api:
        found = api.json("DELETE", f"/eval/runs/{run_id}", repeatable=False)
    typer.echo(f"{run_id}: {found.get('status')}")


@eval_app.command("complete")
def complete(
    run_id: RunId,
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Add these (several times).")
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Ask what has no valid result yet; with metrics, these too. Then: rag-bench eval follow."""
    body = json.dumps({"metrics": metrics} if metrics else {}).encode()
    headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
    with service(url, key) as api:
        found = api.json(
            "POST",
            f"/eval/runs/{run_id}/complete",
            content=body,
            headers=headers,
            repeatable=False,
        )
    typer.echo(f"{run_id}: {found.get('status')}")


@eval_app.command("report")
def report(
    run_id: RunId,
    output: Annotated[Path | None, typer.Option(help="Unset: run_ID.html here.")] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Save a run's report as an HTML file."""
    target = output or Path(f"run_{run_id}.html")
    with service(url, key) as api:
        target.write_bytes(api.ask("GET", f"/eval/runs/{run_id}/report").content)
    typer.echo(str(target))


def _show(found: dict[str, Any]) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
