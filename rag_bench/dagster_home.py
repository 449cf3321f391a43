"""Dagster's instance of this project: where it lives, and runs whose process is gone."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rag_bench.sensors.dead_runs import end_if_dead
from rag_bench.settings import PROJECT_ROOT, Settings
from rag_bench.store.database import dagster_url, ensure_database

if TYPE_CHECKING:
    from dagster import DagsterInstance

URL_VARIABLE = "RAG_BENCH_DAGSTER_URL"

_STARTS_RUNS, _SILENT_SECONDS = "QUEUED_RUN_COORDINATOR", 120.0

#: So many connections beside one that is kept: whoever records at once, in threads of a command.
_MORE_CONNECTIONS = 10

#: The scheme in the variable must be postgresql+psycopg2, as dagster-postgres needs it.
_STORAGE = f"""\
storage:
  postgres:
    postgres_url:
      env: {URL_VARIABLE}

"""


def instance_yaml() -> str:
    """Return the instance's settings: the project's dagster.yaml, kept in PostgreSQL."""
    return _STORAGE + (PROJECT_ROOT / "dagster.yaml").read_text(encoding="utf-8")


def prepare(settings: Settings) -> dict[str, str]:
    """Make database and instance folder ready; return the environment that Dagster needs.

    A ``DAGSTER_HOME`` of the user's with a ``dagster.yaml`` in it is left alone.
    """
    url = ensure_database(settings)
    environment = {
        "RAG_BENCH_DATABASE_URL": url,
        URL_VARIABLE: dagster_url(settings, url),
        "RAG_BENCH_HOME": str(settings.home.absolute()),
    }
    given = os.environ.get("DAGSTER_HOME")
    if given and (Path(given) / "dagster.yaml").exists():
        return environment
    home = settings.home.absolute() / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    target, text = home / "dagster.yaml", instance_yaml()
    if not target.exists() or target.read_text(encoding="utf-8") != text:
        staging = target.with_name(f"dagster.yaml.{os.getpid()}.part")
        staging.write_text(text, encoding="utf-8")
        staging.replace(target)
    return {**environment, "DAGSTER_HOME": str(home)}


def open_instance(settings: Settings) -> DagsterInstance:
    """Return the instance, with the environment of this process set up for it."""
    os.environ.update(prepare(settings))
    from dagster import DagsterInstance

    instance = DagsterInstance.get()
    # Dagster's own switch from a new connection for every query to some that stay open: a rerun
    # of a big sweep spent a fifth of its time on connecting. 0: no time limit for a statement.
    instance.optimize_for_webserver(
        statement_timeout=0, pool_recycle=3600, max_overflow=_MORE_CONNECTIONS
    )
    return instance


def daemon_lives(instance: DagsterInstance) -> bool:
    """Whether Dagster's daemon that starts queued runs gave a sign of life within two minutes.

    It gives one every 30 seconds; Dagster itself calls it healthy for half an hour.
    """
    status = instance.get_daemon_statuses([_STARTS_RUNS])[_STARTS_RUNS]
    if not status.required:
        return True  # a DAGSTER_HOME of the user's whose runs are started without it
    last = status.last_heartbeat
    return last is not None and time.time() - last.timestamp < _SILENT_SECONDS


def clear_dead_runs(instance: DagsterInstance) -> list[str]:
    """End the runs that are recorded as working on this machine and whose process is gone
    (`rag_bench.sensors.dead_runs`); return their ids.
    """
    from dagster import DagsterRunStatus, RunsFilter

    working = [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    runs = instance.get_runs(RunsFilter(statuses=working))
    return [run.run_id for run in runs if end_if_dead(instance, run)]
