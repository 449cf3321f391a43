"""The dashboard on a large store: each tab beside its SQL, four people at once, until it is usable.

    python benchmarks/dashboard_load.py [--repeats 30] [--questions 200] [--only handlers]

The store has 1,000 combinations (10 generation models, benchmark judges and production judges),
200 questions, a case for each of them, and 100 earlier nights with other dumps: half a million
cases and 90,000 calls, dealt out by SQL from what the real graph measured on the tests' small
world (`rag_bench_tests/support/dashboard/large_store.py`).

1. Handlers: what the page's event calls, for each tab by its usual address and by its worst one.
   First when nothing is kept, as after something was measured, then as everybody else meets it:
   median and 95th percentile. Beside it its bare SQL: the statements that its figures rest on,
   which is what it asks where nothing is kept, one after the other with all rows fetched. Asked in
   turns, so that whatever else the machine does is the same for both. At most 3 is asked.
2. Four people at once on the served page, each on a tab of their own: how long one turn of all four
   takes, against the four requests one after the other. Who waited for the others' turn would have
   1 and more; what the database and the other core do meanwhile is the gain. At most 1 is asked.
3. Usable: from the start of the navigation in headless Chromium until the page answers its reader:
   the view is there, all its plots are drawn, and the last task of 50 ms and more has ended (the
   browser's own long tasks: Time to Interactive). Cold browser, warm server. Two seconds are asked
   on two quiet cores. Nothing is attached to the browser meanwhile, as to nobody's: a driver's
   inspector makes V8 parse plotly.js a second time, .4 to .5 s, which is shown besides.

All ratios are 1 or less when what is asked is met.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import scratch
from eval_service import await_answer, free_port
from sqlalchemy import Engine, event

from rag_bench.dashboard.address import TABS, View
from rag_bench.dashboard.app import look_at
from rag_bench.dashboard.context import Context, Kept, Viewer
from rag_bench.dashboard.words import Words
from rag_bench.settings import PROJECT_ROOT, Settings

sys.path.insert(0, str(PROJECT_ROOT / "rag_bench_tests" / "support" / "dashboard"))

from browser_ui import FLAGS
from dashboard_browser import Dashboard, chromium
from dashboard_world import analysed
from large_store import Size, enlarge

MOST_RATIO, MOST_WAITING, MOST_SECONDS = 3.0, 1.0, 2.0
#: Of each tab the address that asks for most.
WORST = {
    "overview": "?tab=overview&rows=all&page=9999",
    "runs": "?tab=runs&sort=status&page=20&kind=3&metric=rubric_e2e_quality",
    "models": "?tab=models&rows=triples&page=5&judge=vendor/judge-thinking-10",
    "judges": "?tab=judges&lang=ru",
    "gates": "?tab=gates&judge=vendor/gate-small-10&page=2",
    "compare": "?tab=compare&a={before}&b={newest}&filter=different",
    "questions": "?tab=questions&filter=different&sort=widest&search=а&page=2",
    "utilization": "?tab=utilization&filter=never&sort=page_url&kind=topic",
    "topics": "?tab=topics&sort=least_similar&topic=42",
    "domain": "?tab=domain&lang=ru",
}
Statements = list[tuple[str, Any]]


class Handlers:
    """The page's event on a store, without a server."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._settings, self.kept = engine, Settings(), Kept()
        self._heard: Statements | None = None
        event.listen(engine, "after_cursor_execute", self._hear)

    def _hear(self, connection: Any, cursor: Any, statement: str, given: Any, *_: Any) -> None:
        if self._heard is not None:
            self._heard.append((statement, given))

    def look(self, query: str) -> None:
        view = View.parse(query)
        context = Context(
            self._engine, self._settings, view, Words(view.lang), Viewer(), self.kept, ""
        )
        shown = str(look_at(context))
        if "could not be shown" in shown or "Не удалось показать" in shown:
            raise SystemExit(f"{query} could not be shown")

    def statements(self, query: str) -> Statements:
        """Return what a look asks where nothing is kept."""
        self.kept, self._heard = Kept(), []
        try:
            self.look(query)
            return self._heard
        finally:
            self._heard = None

    def ask(self, statements: Statements) -> None:
        """Ask for the same by hand, and fetch it."""
        connection = self._engine.raw_connection()
        try:
            for statement, given in statements:
                cursor = connection.cursor()
                cursor.execute(statement, given)
                if cursor.description:
                    cursor.fetchall()
                cursor.close()
        finally:
            connection.close()


def taken(do: Callable[[], object]) -> float:
    """Return milliseconds."""
    begun = time.perf_counter()
    do()
    return 1000 * (time.perf_counter() - begun)


def p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def measure_handlers(engine: Engine, queries: dict[str, str], repeats: int) -> list[float]:
    """Print how long each address takes beside its SQL; return all ratios to what is asked."""
    handlers, ratios = Handlers(engine), []
    for query in queries.values():
        handlers.look(query)  # so that every module is imported
    print(f"{'':22}{'nothing kept':>20} {'usual':>26} {'bare SQL':>19}  ratio to SQL")
    print(f"{'':22}{'ms':>9}{'statements':>11} {'median':>13}{'p95':>13} {'median':>10}{'p95':>9}")
    for name, query in queries.items():
        asked = handlers.statements(query)
        cold, warm, bare = [], [], []
        for n in range(repeats):
            if n % 10 == 0:
                handlers.kept = Kept()
                cold.append(taken(lambda: handlers.look(query)))  # noqa: B023
            warm.append(taken(lambda: handlers.look(query)))  # noqa: B023
            bare.append(taken(lambda: handlers.ask(asked)))  # noqa: B023
        middle, late = statistics.median(warm), p95(warm)
        by_middle, by_late = middle / statistics.median(bare), late / p95(bare)
        first = statistics.median(cold) / statistics.median(bare)
        ratios += [by_middle / MOST_RATIO, by_late / MOST_RATIO]
        print(
            f"{name:22}{statistics.median(cold):9.0f}{len(asked):11}{middle:14.1f}{late:13.1f}"
            f"{statistics.median(bare):11.1f}{p95(bare):9.1f}  {by_middle:.2f}, {by_late:.2f}"
            f"; nothing kept {first:.2f}"
        )
    return ratios


def look_by_http(client: httpx.Client, number: int, query: str) -> None:
    """Ask for a view as the page does: join the queue of the event, and read the stream."""
    session = f"load{threading.get_ident()}{time.monotonic_ns()}"
    body = {"data": [query], "fn_index": number, "session_hash": session}
    client.post("/gradio_api/queue/join", json=body).raise_for_status()
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:") and json.loads(line[5:])["msg"] == "process_completed":
                if not json.loads(line[5:])["success"]:
                    raise SystemExit(f"{query}: {line}")
                return


def _loads(dependency: dict[str, Any]) -> bool:
    """Whether an event is the one that fills the page when it is opened."""
    return any(target[1] == "load" for target in dependency["targets"])


def measure_people(url: str, queries: Sequence[str], repeats: int) -> float:
    """Print how long four wait at once, and alone; return the ratio to what is asked."""

    config = httpx.get(f"{url}/config", timeout=60).json()
    [number] = [one["id"] for one in config["dependencies"] if _loads(one)]

    def patient(client: httpx.Client, query: str, waited: list[float]) -> None:
        for _ in range(repeats):
            waited.append(taken(lambda: look_by_http(client, number, query)))

    alone: list[list[float]] = [[] for _ in queries]
    together: list[list[float]] = [[] for _ in queries]
    with _clients(url, len(queries)) as clients:
        for client, query, waited in zip(clients, queries, alone, strict=True):
            look_by_http(client, number, query)
            patient(client, query, waited)
        threads = [
            threading.Thread(target=patient, args=given)
            for given in zip(clients, queries, together, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for query, single, four in zip(queries, alone, together, strict=True):
        one, many = statistics.median(single), statistics.median(four)
        print(f"{query:22} alone {one:7.0f} ms, four at once {many:7.0f} ms")
    turn = max(statistics.median(four) for four in together)
    ratio = turn / sum(statistics.median(single) for single in alone)
    print(f"{'a turn of all four':22} against one after the other: {ratio:.2f}")
    return ratio / MOST_WAITING


@contextmanager
def _served() -> Iterator[str]:
    """Run `rag-bench dashboard` over the database of the environment; yield its address."""
    port = free_port()
    code = "import sys; from rag_bench.cli import main; sys.argv[0] = 'rag-bench'; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "dashboard", "--port", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        await_answer(f"http://127.0.0.1:{port}/config")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def _clients(url: str, n: int) -> Iterator[list[httpx.Client]]:
    clients = [httpx.Client(base_url=url, timeout=120) for _ in range(n)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


#: Of a page that nobody watched: when its text was there, when its last long task ended, in ms,
#: and how many of its plots are not drawn.
_WATCHED = """
    new Promise(told => {
        const ends = performance.getEntriesByName("rb-shown").map(mark => mark.startTime);
        const shown = ends[0];
        new PerformanceObserver(found => {
            for (const one of found.getEntries()) ends.push(one.startTime + one.duration);
        }).observe({type: "longtask", buffered: true});
        const plots = [...document.querySelectorAll("[id^=rb-plot-]")].filter(e => e.offsetParent);
        const missing = plots.filter(e => !e.querySelector(".js-plotly-plot .main-svg"));
        setTimeout(() => told([shown, Math.max(...ends), missing.length]), 200);
    })
"""
#: What a page has time for, before it is looked at.
_PATIENCE_SECONDS = 6.0


def unwatched(url: str, profile: Path) -> tuple[float, float]:
    """Open a page in a browser that is told to, and not listened to; return seconds until its text
    is there and until it answers.
    """
    port = free_port()
    command = ["chromium", *FLAGS, "--window-size=1440,1000", f"--user-data-dir={profile}"]
    with subprocess.Popen(
        [*command, f"--remote-debugging-port={port}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            await_answer(f"http://127.0.0.1:{port}/json/version")
            time.sleep(1)  # a browser that has just started is busy with itself
            return _told(port, url)
        finally:
            process.terminate()


def _told(port: int, url: str) -> tuple[float, float]:
    """Lead the browser's only page to an address, wait, and ask it what its clock says."""
    from websockets.sync.client import connect  # uvicorn's, which the servers bring

    pages = httpx.get(f"http://127.0.0.1:{port}/json").json()
    [page] = [one for one in pages if one["type"] == "page"]
    with connect(page["webSocketDebuggerUrl"]) as devtools:

        def do(method: str, **given: object) -> Any:
            devtools.send(json.dumps({"id": 1, "method": method, "params": given}))
            return json.loads(devtools.recv())["result"]

        do("Page.navigate", url=url)
        time.sleep(_PATIENCE_SECONDS)
        found = do("Runtime.evaluate", expression=_WATCHED, awaitPromise=True, returnByValue=True)
    shown, interactive, missing = found["result"]["value"]
    if shown is None or missing:
        raise SystemExit(f"{url} was not drawn within {_PATIENCE_SECONDS:g} s.")
    return shown / 1000, interactive / 1000


def driven(url: str, tab: str, profile: Path) -> float:
    """Return seconds until a page is drawn in a browser that a driver watches."""
    with chromium(profile) as browser:
        page = Dashboard(browser, f"{url}/")
        page.browser.get("about:blank")
        begun = time.perf_counter()
        page.open(f"?tab={tab}")
        page.drawn()
        return time.perf_counter() - begun


def measure_pages(url: str, place: Path, repeats: int) -> list[float]:
    """Print how long a page takes until it is usable; return the ratios to what is asked."""
    ratios = []
    print(f"{'seconds until':22}{'text':>8}{'usable':>8}{'drawn, with a driver':>22}")
    for tab in TABS:
        found = [unwatched(f"{url}/?tab={tab}", place / f"{tab}{n}") for n in range(repeats)]
        text, usable = (statistics.median(values) for values in zip(*found, strict=True))
        watched = [driven(url, tab, place / f"{tab}-driven{n}") for n in range(repeats)]
        ratios.append(usable / MOST_SECONDS)
        print(f"{tab:22}{text:8.2f}{usable:8.2f}{statistics.median(watched):22.2f}", flush=True)
    return ratios


def main() -> None:
    """Make the store, measure, and end with an error where more was taken than is asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--questions", type=int, default=Size.questions)
    parser.add_argument("--only", choices=["handlers", "people", "pages"])
    given = parser.parse_args()
    with scratch.folder() as place, scratch.world(place) as world:
        analysed(world)
        begun = time.monotonic()
        enlarge(world.engine, Size(questions=given.questions))
        print(f"The store was made large in {time.monotonic() - begun:.0f} s.")
        measure(world.engine, place, given)


def measure(engine: Engine, place: Path, given: argparse.Namespace) -> None:
    """Measure what was asked for on a large store."""
    from rag_bench.store.evaluations.listing import neighbours_in_time

    [(before, newest)] = neighbours_in_time(engine, 1)
    worst = {tab: query.format(before=before, newest=newest.id) for tab, query in WORST.items()}
    queries = {
        name: query
        for tab in TABS
        for name, query in ((tab, f"?tab={tab}"), (f"{tab}, worst", worst[tab]))
    }
    ratios: list[float] = []
    if given.only in (None, "handlers"):
        ratios += measure_handlers(engine, queries, given.repeats)
    if given.only != "handlers":
        with _served() as url:
            tabs = ["?tab=models", "?tab=judges", "?tab=questions", "?tab=topics"]
            if given.only != "pages":
                ratios.append(measure_people(url, tabs, max(5, given.repeats // 3)))
            if given.only != "people":
                ratios += measure_pages(url, place, 3)
    print(f"\nlargest ratio to what is asked: {max(ratios):.2f}")
    if max(ratios) > 1:
        raise SystemExit("More was taken than is asked.")


if __name__ == "__main__":
    main()
