"""`rag-bench dev` over a small finished sweep, and a browser to look at its Dagster UI."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest
from small_world import Done
from world_data import write_data

from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.dagster_home import instance_yaml
from rag_bench.llm.config import offline
from rag_bench.store.embedded import EmbeddedServer

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    # Nothing that calls home: a closed network refuses it over and over.
    *("--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-size=1600,1200"),
)
GENERATORS = ("simulator/extractive", "simulator/sim-weak")
#: Partitions where the environment names no model: the answers that users got are among them.
N_GENERATORS = len((*offline.GENERATORS, PRODUCTION_LOG.key))
N_CELLS = N_GENERATORS * len(offline.BENCHMARK_JUDGES)
SWEEP = (
    *("--generation-models", ",".join(GENERATORS)),
    *("--judge-models", "simulator/sim-judge-sharp"),
    *("--production-judge-models", "simulator/sim-gate-balanced"),
)
#: `rag-bench dev` without the API and the dashboard.
NOTHING_BESIDE = ("--api-port", "0", "--dashboard-port", "0")
PAGE_SECONDS = 30
_READY_SECONDS = 90
_STOP_SECONDS = 45


def until(what: str, seconds: float, look: Callable[[], Any]) -> Any:
    """Look again and again until there is something to see; returns it."""
    end = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"{what}: not within {seconds:g} s")
        time.sleep(0.2)


def processes_of(home: Path) -> dict[int, str]:
    """The living processes that were started with this DAGSTER_HOME, by id, with their commands."""
    mark, found = f"DAGSTER_HOME={home}\0".encode(), {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
    return found


@dataclass
class Ui:
    """A running UI."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]
    log: Path

    def query(self, text: str, **variables: object) -> Any:
        """Ask the UI's own GraphQL."""
        asked = {"query": text, "variables": variables}
        answer = httpx.post(f"{self.url}/graphql", json=asked, timeout=30).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def ready(self) -> bool:
        """Whether the code location is loaded and the daemon takes runs from the queue."""
        if self.process.poll() is not None:
            pytest.fail(f"rag-bench dev has ended:\n{self.log.read_text()[-3000:]}")
        try:
            found = self.query(
                "{assetNodes{id} instance{daemonHealth{allDaemonStatuses{daemonType healthy}}}}"
            )
        except httpx.HTTPError:
            return False
        healthy = {
            status["daemonType"]
            for status in found["instance"]["daemonHealth"]["allDaemonStatuses"]
            if status["healthy"]
        }
        return bool(found["assetNodes"]) and "QUEUED_RUN_COORDINATOR" in healthy


class Page:
    """A page of the UI: everything is waited for by looking."""

    def __init__(self, browser: Chrome, ui: Ui, path: str) -> None:
        self.browser = browser
        browser.get(ui.url + path)

    def text(self) -> str:
        text = str(self.browser.execute_script("return document.body.innerText"))
        return text.replace("\u00a0", " ")

    def shows(self, *words: str) -> None:
        missing = list(words)

        def look() -> bool:
            text = self.text()
            missing[:] = [word for word in words if word not in text]
            return not missing

        try:
            until(f"{words}", PAGE_SECONDS, look)
        except pytest.fail.Exception:
            pytest.fail(f"the page does not show {missing}:\n{self.text()[:2000]}")

    def click(self, words: str, nth: int = 0) -> None:
        """Click the n-th visible, enabled element whose text is just this."""
        script = """
            const [words, nth] = arguments;
            const says = e => e.innerText && e.innerText.replace(/\\u00a0/g, ' ').trim() === words;
            const clickable = 'button, a, [role=button], span';
            const found = [...document.querySelectorAll(clickable)].filter(e =>
                says(e) && e.offsetParent && !e.closest(':disabled, [aria-disabled=true]')
                && ![...e.querySelectorAll(clickable)].some(says));
            if (found.length <= nth) return false;
            found[nth].scrollIntoView({block: 'center'});
            found[nth].click();
            return true;
        """
        until(
            f"something to click: {words!r}",
            PAGE_SECONDS,
            lambda: self.browser.execute_script(script, words, nth),
        )


@contextmanager
def _databases(server: EmbeddedServer, template: str) -> Iterator[tuple[str, str]]:
    """A copy of a database of ours and an empty one for Dagster; both are dropped at the end."""
    ours, dagster = (f"test_{kind}_{uuid.uuid4().hex[:12]}" for kind in ("ui", "ui_dagster"))
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{ours}" template "{template}"')
        admin.execute(f'create database "{dagster}"')
    try:
        yield server.url(ours), server.url(dagster)
    finally:
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            for name in (ours, dagster):
                admin.execute(f'drop database if exists "{name}" with (force)')


@contextmanager
def running_ui(
    server: EmbeddedServer,
    template: str,
    data: Path,
    folder: Path,
    before: Sequence[str] = (),
) -> Iterator[Ui]:
    """`rag-bench dev` on a free port, over a copy of a database of ours.

    ``before``: a command of rag-bench that is run first, on the same databases.
    """
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    pytest.importorskip("selenium")
    if not Path("/proc/self/environ").exists():
        pytest.skip("needs /proc to see that no process is left")
    home = folder / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(instance_yaml(), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rag_bench = [sys.executable, "-c", "from rag_bench.cli import main; main()"]
    with _databases(server, template) as (ours, dagster):
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "RAG_BENCH_DATABASE_URL": ours,
            "RAG_BENCH_DAGSTER_DATABASE_URL": dagster,
            "RAG_BENCH_DATA_DIR": str(data),
            "RAG_BENCH_REPORTS_DIR": str(folder / "reports"),
        }
        log = folder / "dev.log"
        try:
            if before:
                subprocess.run([*rag_bench, *before], env=environment, check=True)
            with log.open("wb") as out:
                process = subprocess.Popen(
                    [*rag_bench, "dev", "--port", str(port), *NOTHING_BESIDE],
                    env=environment,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )
            running = Ui(f"http://127.0.0.1:{port}", home, process, log)
            until("the UI", _READY_SECONDS, running.ready)
            yield running
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(_STOP_SECONDS)
        finally:
            for pid in processes_of(home):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def ui(
    server: EmbeddedServer,
    whole_graph: Done,
    world_data: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ui]:
    """The UI over the small world with everything measured.

    The sweep before it asks and encodes nothing: it tells Dagster's database of the test's own
    about two generators by one judge.
    """
    folder = tmp_path_factory.mktemp("ui")
    with running_ui(server, whole_graph.database, world_data, folder, ["sweep", *SWEEP]) as running:
        yield running


@pytest.fixture(scope="module")
def empty_ui(
    server: EmbeddedServer, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ui]:
    """The UI of an installation that has a data folder and nothing else."""
    folder = tmp_path_factory.mktemp("empty_ui")
    with running_ui(server, template_database, write_data(folder / "data"), folder) as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """A headless Chromium with an empty profile."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()
