"""What the service adds to the least that could be done: one short run, and reads under load.

    python benchmarks/eval_service.py [--runs 200] [--cases 1001] [--reads 400]
                                      [--executed-by service,dagster]

Two servers, each in a process of its own, on one database: the service as `rag-bench serve` starts
it, and a bare FastAPI endpoint that reads the same body by the same model, inserts one row and
commits. Asked in turns, so that whatever else the machine does is the same for both.

1. One case with an answer given and metrics that ask no model: median of the service to median of
   the endpoint; at most 3 is asked.
2. While a run of 1,001 cases without answers is executed by the service's own process (the harder
   case), its state is read. The 95th percentile is compared with 50 ms x (the endpoint's 95th
   percentile under this load / when idle).
3. The same while Dagster executes it, as it does by default: everything that `rag-bench dev` starts
   runs beside it. Reads begin when the run does; how long Dagster took to begin it is told apart.

All ratios are 1 or less when what is asked is met.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Annotated, Any

import httpx
import scratch
import uvicorn
from fastapi import Body, FastAPI
from scratch import small_world
from sqlalchemy import Engine, text
from world_data import GOLD

from rag_bench.eval_runs.intake.request import EvalRequest
from rag_bench.store.access import keys
from rag_bench.store.database import make_engine

MOST_RATIO, MOST_MS = 3.0, 50.0
#: What is measured of given answers: no model is asked and no text encoded.
MEASURED = {"eval_type": [], "metrics": ["BLEU", "ROUGE", "chrF"]}


def bare(url: str) -> FastAPI:
    """Return the endpoint that does the least."""
    app, engine = FastAPI(), make_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table if not exists bare (id serial, body jsonb)"))

    @app.post("/run")
    def run(body: Annotated[EvalRequest, Body()]) -> dict[str, int]:
        with engine.begin() as connection:
            row = connection.execute(
                text("insert into bare (body) values (:body) returning id"),
                {"body": body.model_dump_json(exclude_unset=True)},
            )
            return {"id": row.scalar_one()}

    return app


def _serve_bare(url: str, port: int) -> None:
    uvicorn.run(bare(url), host="127.0.0.1", port=port, log_level="error", access_log=False)


def free_port() -> int:
    """Return a port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_answer(url: str, seconds: float = 120.0) -> None:
    """Return when a server answers at all."""
    end = time.monotonic() + seconds
    while True:
        try:
            httpx.get(url, timeout=5)
            return
        except httpx.TransportError:
            if time.monotonic() > end:
                raise SystemExit(f"{url} does not answer") from None
            time.sleep(0.1)


@contextmanager
def bare_client(url: str) -> Iterator[httpx.Client]:
    """Serve the bare endpoint over a database; yield a client of it."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve_bare, args=(url, port), daemon=True
    )
    process.start()
    try:
        await_answer(f"http://127.0.0.1:{port}/")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        process.terminate()
        process.join()


@contextmanager
def command_client(
    engine: Engine,
    environment: dict[str, str],
    port: int,
    *arguments: str,
    stderr: int | None = None,
) -> Iterator[tuple[int, httpx.Client]]:
    """Run `rag-bench` with these arguments; yield its process id and a client, with a key, of the
    API that it serves on ``port``.
    """
    code = "import sys; from rag_bench.cli import main; sys.argv[0] = 'rag-bench'; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        await_answer(f"{address}/healthz")
        with engine.begin() as connection:
            made = keys.create(
                connection,
                name="benchmark",
                user_id="benchmark",
                scopes=["read", "run"],
                lifetime=timedelta(hours=6),
                requests_per_minute=1_000_000,
            )
        headers = {"Authorization": f"Bearer {made.text}"}
        with httpx.Client(base_url=address, headers=headers, timeout=600) as client:
            # What it loads after its start would be measured with the first requests.
            end = time.monotonic() + 120
            while client.get("/readyz").json().get("warming") and time.monotonic() < end:
                time.sleep(0.5)
            yield process.pid, client
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def service_client(engine: Engine, environment: dict[str, str]) -> Iterator[httpx.Client]:
    """Start `rag-bench serve` over a database; yield a client of it with a key."""
    port = free_port()
    with command_client(engine, environment, port, "serve", "--port", str(port)) as (_, client):
        yield client


@contextmanager
def developing(engine: Engine, environment: dict[str, str]) -> Iterator[tuple[int, httpx.Client]]:
    """Start `rag-bench dev`; yield its process and a client of the API."""
    port = free_port()
    ports = ("--port", str(free_port()), "--api-port", str(port), "--dashboard-port", "0")
    with command_client(engine, environment, port, "dev", *ports, stderr=subprocess.DEVNULL) as (
        pid,
        client,
    ):
        end = time.monotonic() + 180
        while client.get("/readyz").json().get("status") != "ready":
            if time.monotonic() > end:
                print(f"not ready: {client.get('/readyz').text}")
                break
            time.sleep(1)
        yield pid, client


def answered(number: int) -> dict[str, Any]:
    """Return a case with its answer; no two are the same."""
    return {
        "id": f"case {number}",
        "question": f"Когда платят стипендию номер {number}?",
        "ground_truth_answer": "Стипендию платят 25-го числа каждого месяца.",
        "answer": f"Стипендию номер {number} перечисляют 25-го числа [1].",
        "contexts": ["Стипендию перечисляют 25-го числа каждого месяца на карту «Мир»."],
    }


def asked(number: int) -> dict[str, Any]:
    """Return a case that a model is to answer; no two are the same."""
    item = GOLD[number % len(GOLD)]
    question, reference = item[0], item[1]
    return {
        "id": f"case {number}",
        "question": f"{question} ({number})",
        "ground_truth_answer": str(reference),
    }


def timed(ask: Callable[..., httpx.Response], path: str, body: str | None = None) -> float:
    """Return the milliseconds of one request, which must succeed."""
    started = time.perf_counter()
    if body is None:
        reply = ask(path)
    else:
        reply = ask(path, content=body, headers={"content-type": "application/json"})
    ms = 1000 * (time.perf_counter() - started)
    if reply.status_code >= 300:
        raise SystemExit(f"{reply.request.url}: {reply.status_code} {reply.text[:500]}")
    return ms


def p95(times: list[float]) -> float:
    """Return the 95th percentile."""
    return statistics.quantiles(times, n=20)[-1]


def warm(service: httpx.Client, seconds: float = 180.0) -> None:
    """Return when the service has loaded what it loads at its start."""
    end = time.monotonic() + seconds
    while service.get("/readyz").json()["status"] == "warming" and time.monotonic() < end:
        time.sleep(0.5)


def one_case(service: httpx.Client, endpoint: httpx.Client, n: int) -> tuple[float, list[float]]:
    """Measure part 1; return the ratio and the endpoint's times."""
    of_service, of_endpoint = [], []
    for number in range(n + 10):
        body = json.dumps({**MEASURED, "cases": [answered(number)]})
        ours = timed(service.post, "/eval/run", body)
        least = timed(endpoint.post, "/run", body)
        if number >= 10:  # what loads at first use is no part of it
            of_service.append(ours)
            of_endpoint.append(least)
    ours, least = statistics.median(of_service), statistics.median(of_endpoint)
    print(
        f"one case: service {ours:.1f} ms (p95 {p95(of_service):.1f}), bare endpoint {least:.1f} "
        f"ms (p95 {p95(of_endpoint):.1f}): {ours / least:.2f} x; {MOST_RATIO:g} is asked"
    )
    return ours / least / MOST_RATIO, of_endpoint


def under_load(
    service: httpx.Client,
    endpoint: httpx.Client,
    by: str,
    cases: int,
    reads: int,
    idle: list[float],
    first: int = 0,
) -> float:
    """Measure part 2, or 3; return the ratio.

    ``by``: who executes the run, in words. ``first``: number of its first case, none of which may
    have run before: replies of the ledger are no load.
    """
    body = {
        "cases": [asked(first + number) for number in range(cases)],
        "llm_model": "simulator/sim-strong",
        "judge_model": "simulator/sim-judge-sharp",
        "eval_type": "rubric",
        "mode": "async",
    }
    reply = service.post("/eval/run", json=body)
    if reply.status_code != 202:
        raise SystemExit(f"{reply.status_code} {reply.text[:500]}")
    path = reply.headers["location"]
    small = json.dumps({**MEASURED, "cases": [answered(0)]})
    made = time.monotonic()
    while service.get(path).json()["status"] == "queued":
        if time.monotonic() - made > 300:
            raise SystemExit("nobody has begun the run in 300 s")
        time.sleep(0.2)
    started = time.monotonic()
    of_reads: list[float] = []
    loaded: list[float] = []
    while True:
        of_reads.append(timed(service.get, path))
        loaded.append(timed(endpoint.post, "/run", small))
        state = service.get(path).json()
        if state["status"] not in ("queued", "running"):
            break
        time.sleep(0.05)
        if len(of_reads) >= reads:
            break
    seconds = time.monotonic() - started
    while state["status"] in ("queued", "running"):
        time.sleep(0.5)
        state = service.get(path).json()
    allowed = MOST_MS * max(1.0, p95(loaded) / p95(idle))
    print(
        f"run of {cases} cases by {by}: {state['status']}, begun after {started - made:.1f} s; "
        f"{len(of_reads)} reads in {seconds:.0f} s, p50 "
        f"{statistics.median(of_reads):.1f}, p95 {p95(of_reads):.1f} ms; endpoint p95 "
        f"{p95(loaded):.1f} ms under the load, {p95(idle):.1f} idle: {allowed:.0f} ms are allowed, "
        f"{p95(of_reads) / allowed:.2f} of them"
    )
    return p95(of_reads) / allowed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--cases", type=int, default=1001)
    parser.add_argument("--reads", type=int, default=400)
    parser.add_argument("--executed-by", default="service,dagster")
    given = parser.parse_args()
    with ExitStack() as stack:
        place = stack.enter_context(scratch.folder())
        environment = stack.enter_context(scratch.project_instance(place))
        world = stack.enter_context(scratch.world(place))
        world.run(small_world.FREE[:5])
        environment["RAG_BENCH_EVAL_RESULTS"] = str(place / "results")
        in_service = environment | {
            "RAG_BENCH_EVAL_WAIT_CASES": str(given.cases),
            "RAG_BENCH_EVAL_WAIT_MOST_CASES": str(given.cases),
            "RAG_BENCH_EVAL_WAIT_SECONDS": "600",
        }
        endpoint = stack.enter_context(bare_client(world.url))
        allowed: dict[str, float] = {}
        with service_client(world.engine, in_service) as service:
            warm(service)
            allowed["one case"], idle = one_case(service, endpoint, given.runs)
            load = (given.cases, given.reads, idle)
            if "service" in given.executed_by.split(","):
                ratio = under_load(service, endpoint, "the service", *load)
                allowed["reads while the service executes"] = ratio
        if "dagster" in given.executed_by.split(","):
            # Whatever the number of cases: no wait at all, so the run is Dagster's.
            by_dagster = environment | {"RAG_BENCH_EVAL_WAIT_MOST_CASES": "0"}
            with developing(world.engine, by_dagster) as (_, service):
                ratio = under_load(service, endpoint, "Dagster", *load, first=given.cases)
                allowed["reads while Dagster executes"] = ratio
        told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in allowed.items())
        print(f"of what is allowed: {told}")


if __name__ == "__main__":
    main()
