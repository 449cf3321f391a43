"""Commands that stay: ``dev`` (the Dagster UI) and ``simulator`` (the offline models)."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli.app import app, errors
from rag_bench.cli.ports import is_taken, require_free
from rag_bench.errors import RagBenchError
from rag_bench.settings import PROJECT_ROOT, get_settings

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from sqlalchemy import Engine

# `python -m dagster` without a warning that frightens for nothing: the project's dagster.yaml is in
# the current folder, and what is used was written from it into DAGSTER_HOME.
_DAGSTER = (
    "import logging; from dagster._cli import main; logging.getLogger('dagster').addFilter("
    "lambda record: 'Found a dagster instance configuration' not in str(record.msg)); main()"
)
_WATCH_SECONDS = 5
_STOP_SECONDS = 20
#: What requests that are answered get still when the API is stopped.
_LEFT_SECONDS = 5


@app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    host: Annotated[
        str, typer.Option(help="Address to bind to. The UI has no login: keep it local.")
    ] = "127.0.0.1",
    api_port: Annotated[int, typer.Option(help="Port of the API; 0: none.")] = 8000,
    dashboard_port: Annotated[int, typer.Option(help="Port of the dashboard; 0: none.")] = 7860,
) -> None:
    """Start database, Dagster UI, API and dashboard; Ctrl-C stops all but the database."""
    from rag_bench.dagster_home import clear_dead_runs, open_instance
    from rag_bench.dagster_home import prepare as prepare_home
    from rag_bench.store.embedded import EmbeddedServer

    # Without what the environment files say: "Reload definitions" is to read them anew.
    environment = dict(os.environ)
    require_free(host, port)
    settings = get_settings()
    embedded = None if settings.database_url else EmbeddedServer(settings.home)
    prepared = prepare_home(settings)
    instance = open_instance(settings)
    from rag_bench.cli.app import open_engine

    engine = open_engine()
    for run_id in clear_dead_runs(instance):
        errors.print(f"Run {run_id[:8]} had lost its process; it is marked as failed now.")
    workspace = PROJECT_ROOT / "workspace.yaml"
    command = [sys.executable, "-c", _DAGSTER, "dev", "-w", str(workspace)]
    command += ["-h", host, "-p", str(port)]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    # A shell in the background ignores SIGINT, and Dagster would take that over for SIGTERM, too.
    process = subprocess.Popen(
        command,
        cwd=PROJECT_ROOT,
        env={**environment, **prepared, **_quiet(environment)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        start_new_session=True,
    )
    typer.echo(f"Dagster UI: http://{host}:{port} (ready when it says so below; Ctrl-C to stop)")
    served = []
    if api := _start_beside("api", host, api_port, environment):
        served.append(api)
        say_how_to_ask(engine, settings.home, host, api_port)
    # Without a login, so it stays on this machine whatever the UI is bound to.
    named = ("--dagster-url", f"http://{host}:{port}")
    if shown := _start_beside("dashboard", "127.0.0.1", dashboard_port, environment, *named):
        served.append(shown)
    engine.dispose()
    try:
        while process.poll() is None:
            time.sleep(_WATCH_SECONDS)
            if embedded and not embedded.running():
                errors.print("PostgreSQL was gone; starting it again.")
                embedded.start()
    except KeyboardInterrupt:
        typer.echo("stopping")
    finally:
        _stop(process)
        for beside in served:
            beside.kill()  # they only read
            beside.wait()
    if process.returncode not in (0, -signal.SIGINT, -signal.SIGTERM, None):
        raise RagBenchError(f"dagster dev ended with code {process.returncode}.")


def _start_beside(
    name: str, host: str, port: int, environment: Mapping[str, str], *more: str
) -> subprocess.Popen[bytes] | None:
    """Start `rag-bench <name>` beside the UI, unless it is not wanted or the port is taken."""
    if not port:
        return None
    if is_taken(host, port):
        errors.print(
            f"Port {port} is taken: no {name}; choose another with --{name}-port.",
            highlight=False,
        )
        return None
    command = [sys.executable, "-c", "from rag_bench.cli import main; main()", name]
    # In a session of its own, so that Ctrl-C reaches only the one who stops it.
    return subprocess.Popen(
        [*command, "--host", host, "--port", str(port), *more],
        env=environment,
        start_new_session=True,
    )


def say_how_to_ask(engine: Engine, home: Path, host: str, port: int) -> None:
    """Make the development key, if there is none that is good, and print how to use it."""
    from rag_bench.cli.service.development_key import development_key

    path = shlex.quote(str(development_key(engine, home.absolute())))
    typer.echo(f"API: http://{host}:{port}/docs (name: any; password: the key in {path}), or")
    typer.echo(f'  curl -H "Authorization: Bearer $(cat {path})" http://{host}:{port}/leaderboard')


def _quiet(environment: Mapping[str, str]) -> dict[str, str]:
    """Keep the advice to use another command of Dagster's out of the user's terminal."""
    given = environment.get("PYTHONWARNINGS")
    ours = "ignore:Function `dev_command` is superseded"
    return {"PYTHONWARNINGS": f"{given},{ours}" if given else ours}


def _stop(process: subprocess.Popen[bytes]) -> None:
    for repeated in (signal.SIGINT, signal.SIGTERM):
        # A second Ctrl-C would leave Dagster's processes behind.
        signal.signal(repeated, signal.SIG_IGN)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_STOP_SECONDS)
    # The code servers end after Dagster itself, and not always: one that cannot reach its
    # database stays. They are in Dagster's process group, and so are the runs they execute.
    with suppress(ProcessLookupError):
        end = time.monotonic() + _STOP_SECONDS
        while time.monotonic() < end:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@app.command()
def simulator(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8099,
    host: Annotated[str, typer.Option(help="Address to bind to.")] = "127.0.0.1",
) -> None:
    """Serve the offline models over HTTP, in the OpenAI chat protocol.

    They know the questions of the datasets that are stored when this starts.
    """
    from rag_bench.cli.app import open_engine
    from rag_bench.simulator.answer_key import answer_key_from_database
    from rag_bench.simulator.app import Simulator
    from rag_bench.simulator.server import serve
    from rag_bench.simulator.truth import PostgresTruth

    require_free(host, port)
    engine = open_engine()
    simulated = Simulator(answer_key_from_database(engine), PostgresTruth(engine))
    typer.echo(f"OpenAI base URL: http://{host}:{port}/v1")
    serve(host, port, simulated)


@app.command()
def prepare() -> None:
    """Make database, tables and Dagster's instance ready, for servers that are started apart."""
    from rag_bench.cli.app import open_engine
    from rag_bench.dagster_home import open_instance

    open_instance(get_settings())
    open_engine().dispose()
    typer.echo(f"DAGSTER_HOME={os.environ['DAGSTER_HOME']}")


@app.command("env")
def environment_lines() -> None:
    """Print the variables that Dagster's own commands need: eval "$(rag-bench env)".

    Starts the embedded database unless RAG_BENCH_DATABASE_URL names another.
    """
    from rag_bench.dagster_home import prepare as prepare_home

    found = prepare_home(get_settings())
    if "DAGSTER_HOME" not in found:  # the user's own
        found["DAGSTER_HOME"] = os.environ["DAGSTER_HOME"]
    for name, value in found.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


@app.command("api")
@app.command("serve")
def api(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to bind to. Without TLS keys can be read on the way.")
    ] = "127.0.0.1",
    dashboard: Annotated[
        bool | None,
        typer.Option(help="Serve the dashboard at /dashboard; unset: if HOST is not this machine."),
    ] = None,
) -> None:
    """Serve the results as JSON over HTTP to those who have a key (`rag-bench keys create`)."""
    import uvicorn

    from rag_bench.api.app import build
    from rag_bench.api.logs import log_config
    from rag_bench.cli.app import open_engine

    require_free(host, port)
    settings = get_settings()
    engine = open_engine()
    application = build(engine, settings, _daemon_watch(), executes=True, warms=settings.api_warm)
    typer.echo(f"http://{host}:{port}/docs")
    if _with_dashboard(dashboard, host):
        from rag_bench.dashboard.serving import PATH, beside

        beside(application, engine, settings, warm=settings.api_warm)
        typer.echo(f"Dashboard: http://{host}:{port}{PATH}/ (password: a key that may read)")
    uvicorn.run(
        application,
        host=host,
        port=port,
        log_config=log_config(settings.log_format),
        access_log=False,  # the gate writes one, with who asked and the trace
        server_header=False,
        timeout_graceful_shutdown=_LEFT_SECONDS,  # or a follower would hold up the end
        # Else whoever asks from this machine could write any address into the audit.
        proxy_headers=bool(settings.api_proxies),
        forwarded_allow_ips=settings.api_proxies or None,
    )


@app.command()
def dashboard(
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 7860,
    host: Annotated[
        str, typer.Option(help="Address of this machine; it has no login, so no other is taken.")
    ] = "127.0.0.1",
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Users' words may be shown with personal data.")
    ] = False,
    dagster_url: Annotated[
        str, typer.Option(help="Address of the Dagster UI, for links to runs.")
    ] = "http://127.0.0.1:3000",
) -> None:
    """Serve the dashboard: which models to run, and what got worse, in a browser."""
    import uvicorn

    from rag_bench.cli.app import open_engine
    from rag_bench.dashboard.serving import local

    require_free(host, port)
    settings = get_settings()
    engine = open_engine()
    typer.echo("Looking at every tab once, so that nobody waits for the first look …")
    application = local(
        engine, settings, host, unmasked=unmasked, dagster_url=dagster_url, warm=True
    )
    typer.echo(f"Dashboard: http://{host}:{port}")
    uvicorn.run(application, host=host, port=port, log_level="warning", server_header=False)


def _with_dashboard(wanted: bool | None, host: str) -> bool:
    """Whether the API serves the dashboard: said, or where others than this machine reach it."""
    from importlib.util import find_spec

    from rag_bench.dashboard.loopback import is_loopback

    if wanted is not None:
        return wanted
    return not is_loopback(host) and find_spec("gradio") is not None


def _daemon_watch() -> Callable[[], bool]:
    """Return what looks for Dagster's daemon; Dagster is loaded when it is first asked."""
    opened: list[DagsterInstance] = []

    def lives() -> bool:
        from rag_bench.dagster_home import daemon_lives, open_instance

        if not opened:
            opened.append(open_instance(get_settings()))
        return daemon_lives(opened[0])

    return lives
