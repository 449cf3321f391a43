"""Processes that execute runs of the service, to be killed; and runs that ask a local provider."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import dagster as dg
from dagster._core.launcher import LaunchRunContext, RunLauncher
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from eval_run_rows import given_case
from local_provider import LocalProvider
from sqlalchemy import Engine, text

from rag_bench.eval_runs.intake.preparing import prepare
from rag_bench.settings import Settings
from rag_bench.store.eval_runs.creating import create

SLOTS = 4
_SERVICE = """
import signal
from rag_bench.eval_runs.runner import Runner
from rag_bench.settings import get_settings
from rag_bench.store.database import make_engine
Runner(make_engine(), get_settings()).start()
signal.pause()
"""
_DAGSTER = """
import sys
import dagster as dg
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._utils.interrupts import setup_interrupt_handlers
from rag_bench.definitions import defs
setup_interrupt_handlers()
instance = dg.DagsterInstance.get()
run = instance.get_run_by_id(sys.argv[1])
execute_run(InMemoryJob(defs.resolve_job_def(run.job_name)), run, instance)
"""


def provider_variables(provider: LocalProvider) -> dict[str, str]:
    return {
        "PROVIDER_X_BASE_URL": provider.url,
        "PROVIDER_X_API_KEY": "sk-local",
        "PROVIDER_X_CONCURRENCY": str(SLOTS),
    }


def asked(
    engine: Engine,
    n_cases: int,
    place: Literal["service", "dagster"] = "service",
    subject: str = "ann",
    first: int = 1,
    judge: str = "x/sim-judge-sharp",
) -> str:
    """Store a run whose cases bring their answers, each of them to be judged by rubrics.

    ``first``: number of the first case, in the text of each.
    """
    body = {
        "cases": [given_case(first + n) for n in range(n_cases)],
        "judge_model": judge,
        "eval_type": "rubric",
    }
    prepared = prepare(engine, Settings(), body)
    run = prepared.run(
        user_id=subject,
        subject=subject,
        trace_id="ab" * 16,
        mode="async",
        place=place,
    )
    with engine.begin() as connection:
        return create(connection, run, prepared.cases)


def unanswered(engine: Engine, run_id: str) -> int:
    """How many cases of a run have no result."""
    query = "select count(*) from rag_bench.eval_run_case where run_id = :id and result is null"
    with engine.connect() as connection:
        return int(connection.execute(text(query), {"id": run_id}).scalar_one())


def replies(engine: Engine) -> int:
    """How many replies the ledger has."""
    query = "select count(*) from rag_bench.llm_call where status = 'ok'"
    with engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


@contextmanager
def service(**environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that executes what waits, until the block ends."""
    process = _started(_SERVICE, environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def kill_at(provider: LocalProvider, request: int, kill: Any) -> None:
    """Call ``kill`` when the provider gets this request, before it is answered."""

    def on_request(number: int) -> None:
        if number == request:
            kill()

    provider.on_request = on_request


def _started(
    script: str, environment: Mapping[str, str], *arguments: str
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **environment},
        # A shell in the background ignores SIGINT, and a child would take that over.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


class ProcessLauncher(RunLauncher, ConfigurableClass):
    """Executes each run of Dagster's in a process of its own, as Dagster does."""

    processes: dict[str, subprocess.Popen[bytes]] = {}  # noqa: RUF012

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        super().__init__()

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> ProcessLauncher:
        return cls(inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        run_id = context.dagster_run.run_id
        self.processes[run_id] = _started(_DAGSTER, {}, run_id)

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        assert isinstance(run, dg.DagsterRun)
        self._instance.report_run_canceling(run)
        self.processes[run_id].send_signal(signal.SIGINT)
        return True

    def join(self, timeout: int = 120) -> None:
        for process in self.processes.values():
            process.wait(timeout)
