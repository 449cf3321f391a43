"""kill -9 of whatever takes part in a run of the service, each in turn, at work on 1,001 cases.

    python benchmarks/eval_kills.py [--cases 1001] [--latency 0.05] [--only run postgresql …]

A real `rag-bench serve`, a real `dagster-daemon run` and a PostgreSQL of their own; a local
provider counts what it is asked. Of each kill is checked, after what was killed was started again:
the run ends by itself, no case is without a result, and no more calls were repeated than were in
flight.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import scratch
from scratch import LocalProvider

sys.path.insert(0, str(scratch.PROJECT_ROOT / "rag_bench_tests" / "support" / "eval_runs"))
from eval_run_rows import given_case

from rag_bench.access.scopes import Scope
from rag_bench.dagster_home import open_instance, prepare
from rag_bench.processes import pid_here
from rag_bench.resources import PROCESS_TAG
from rag_bench.settings import Settings
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.store.access import keys
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.migrate import migrate

SLOTS = 8
#: The kill comes when so much of a run's calls was made.
AT = 0.3
PATIENCE = 600.0
_SERVE = "from rag_bench.cli import main; main()"


@dataclass
class Place:
    """The processes and how to reach them."""

    environment: Mapping[str, str]
    server: EmbeddedServer
    instance: Any
    port: int
    key: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        command = {
            "service": [sys.executable, "-c", _SERVE, "serve", "--port", str(self.port)],
            "daemon": [
                *(sys.executable, "-m", "dagster._daemon", "run"),
                *("-w", str(scratch.PROJECT_ROOT / "workspace.yaml")),
            ],
        }[name]
        with (Path(self.environment["RAG_BENCH_HOME"]) / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=dict(self.environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # A shell in the background ignores SIGINT, and Dagster would take that over.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def kill(self, name: str, *, whole_group: bool = False) -> None:
        process = self.processes[name]
        if whole_group:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()

    def post(self, body: Mapping[str, Any]) -> httpx.Response:
        return httpx.post(
            f"http://127.0.0.1:{self.port}/eval/run",
            json=body,
            headers={"Authorization": f"Bearer {self.key}"},
            timeout=120,
        )

    def served(self) -> None:
        """Wait until the service answers."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(httpx.HTTPError):
                if httpx.get(f"http://127.0.0.1:{self.port}/healthz").is_success:
                    return
            time.sleep(0.2)
        sys.exit("the service did not start")

    def rows(self, query: str) -> list[Any]:
        """Return a query's rows, waiting while the database is away."""
        import psycopg

        end = time.monotonic() + PATIENCE
        while True:
            try:
                with psycopg.connect(self.server.url()) as connection:
                    return connection.execute(query).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def kill_run(self, run_id: str) -> None:
        [[dagster_run_id]] = self.rows(
            f"select dagster_run_id from rag_bench.eval_run where id = '{run_id}'"
        )
        run = self.instance.get_run_by_id(dagster_run_id)
        pid = pid_here(run.tags[PROCESS_TAG])
        assert pid, run.tags
        os.kill(pid, signal.SIGKILL)

    def kill_database(self) -> None:
        pid = int((self.server.data / "postmaster.pid").read_text().split("\n", 1)[0])
        os.kill(pid, signal.SIGKILL)


def victims(place: Place) -> dict[str, tuple[Callable[[str], None], Callable[[], Any], bool]]:
    """Return what is killed: how, how it is started again, whether the service executes the run."""
    start = place.start
    return {
        "the service, which executes": (
            lambda _: place.kill("service"),
            lambda: start("service"),
            True,
        ),
        "the service": (lambda _: place.kill("service"), lambda: start("service"), False),
        "the daemon": (lambda _: place.kill("daemon"), lambda: start("daemon"), False),
        "all of Dagster": (
            lambda _: place.kill("daemon", whole_group=True),
            lambda: start("daemon"),
            False,
        ),
        "the run": (place.kill_run, lambda: None, False),
        "PostgreSQL": (lambda _: place.kill_database(), place.server.start, False),
        "PostgreSQL, service": (lambda _: place.kill_database(), place.server.start, True),
    }


def ask(place: Place, first: int, n_cases: int, in_service: bool) -> str:
    """Ask for a run; return its id when it is there."""
    body = {
        "cases": [
            given_case(first + n) for n in range(min(n_cases, 1000 if in_service else n_cases))
        ],
        "judge_model": "x/sim-judge-sharp",
        "eval_type": "rubric",
        "mode": "sync" if in_service else "async",
    }

    def post() -> None:
        with suppress(httpx.HTTPError):  # it waits, and the service is killed meanwhile
            reply = place.post(body)
            if reply.status_code >= 300:
                print(reply.text)

    [[newest]] = place.rows("select coalesce(max(id), '') from rag_bench.eval_run")
    threading.Thread(target=post, daemon=True).start()
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = place.rows(f"select id from rag_bench.eval_run where id > '{newest}'")
        if found:
            return str(found[0][0])
        time.sleep(0.1)
    sys.exit("no run was made")


def tried(
    place: Place, provider: LocalProvider, name: str, first: int, n_cases: int
) -> tuple[bool, int]:
    """Kill one of them in a run; return whether all was well, and how many cases the run had."""
    kill, again, in_service = victims(place)[name]
    before, repeated_before = provider.count, provider.repeated
    run_id = ask(place, first, n_cases, in_service)
    n_cases -= in_service
    killed = threading.Event()
    target = before + int(AT * n_cases)

    def on_request(number: int) -> None:
        # In the provider's own thread: nothing is answered until it has happened.
        if number == target:
            kill(run_id)
            killed.set()

    provider.on_request = on_request
    if not killed.wait(PATIENCE):
        sys.exit(f"{name}: the run did not begin")
    in_flight, killed_at = provider.in_flight, time.monotonic()
    provider.on_request = None
    time.sleep(2)
    again()
    place.served()
    end = time.monotonic() + PATIENCE
    status = ""
    while time.monotonic() < end:
        [[status]] = place.rows(f"select status from rag_bench.eval_run where id = '{run_id}'")
        if status not in ("queued", "running"):
            break
        time.sleep(0.5)
    seconds = time.monotonic() - killed_at
    [[unanswered]] = place.rows(
        f"select count(*) from rag_bench.eval_run_case where run_id = '{run_id}' and result is null"
    )
    [[interrupted]] = place.rows(
        "select count(*) from rag_bench.eval_event where kind = 'interrupted' "
        f"and run_id = '{run_id}'"
    )
    repeated = provider.repeated - repeated_before
    well = status == "succeeded" and unanswered == 0 and repeated <= SLOTS
    print(
        f"{name:28} {status:10} {unanswered:8} {in_flight:10} {repeated:9} {interrupted:12} "
        f"{seconds:8.1f}",
        flush=True,
    )
    return well, n_cases


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1001)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds per reply")
    parser.add_argument("--only", nargs="*", help="which victims; default: all")
    arguments = parser.parse_args()
    logging.disable(logging.ERROR)  # what the provider says of clients that were killed
    with scratch.folder() as folder, LocalProvider(AnswerKey, arguments.latency).serving() as x:
        for name in [name for name in os.environ if name.startswith("RAG_BENCH_")]:
            del os.environ[name]
        os.environ |= {
            "RAG_BENCH_HOME": str(folder / "home"),
            "RAG_BENCH_DATA_DIR": str(folder / "data"),
            # One case more, and Dagster executes the run.
            "RAG_BENCH_EVAL_WAIT_MOST_CASES": str(arguments.cases - 1),
            "PROVIDER_X_BASE_URL": x.url,
            "PROVIDER_X_API_KEY": "sk-local",
            "PROVIDER_X_CONCURRENCY": str(SLOTS),
        }
        os.environ.pop("DAGSTER_HOME", None)
        settings = Settings()
        server = EmbeddedServer(settings.home)
        server.start()
        engine = make_engine(server.url())
        migrate(engine)
        with engine.begin() as connection:
            made = keys.create(
                connection,
                name="benchmark",
                user_id="benchmark",
                scopes=[Scope.RUN_PAID, Scope.RUN, Scope.READ],
                lifetime=None,
            )
        engine.dispose()
        instance = open_instance(settings)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {**os.environ, **prepare(settings)}
        place = Place(environment, server, instance, port, made.text)
        failed, first = [], 1
        try:
            for name in ("service", "daemon"):
                place.start(name)
            place.served()
            print(
                f"{'killed':28} {'status':10} {'no reply':>8} {'in flight':>10} {'repeated':>9} "
                f"{'interrupted':>12} {'seconds':>8}"
            )
            for name in arguments.only or victims(place):
                well, asked = tried(place, x, name, first, arguments.cases)
                first += asked
                if not well:
                    failed.append(name)
        finally:
            for process in place.processes.values():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            server.delete()
    if failed:
        sys.exit(f"FAILED: {', '.join(failed)}")


if __name__ == "__main__":
    main()
