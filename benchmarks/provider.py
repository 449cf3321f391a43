"""The engine against a local provider: does it get the last call per second out of it?

    python benchmarks/provider.py [--calls 3000] [--rates 60,15] [--in-flight 8] [--profile]

A provider in a process of its own answers after 200 ms. All calls are distinct and go through
`ChatModels` into the ledger of a database of their own (dropped at the end), commits included.

* plain: 32 calls in flight. Bound: calls x 0.2 s / 32. Ratio = bound / wall time, 0.9 is asked.
* bare: the same calls by bare sockets, with no client and no ledger: what this machine, with
  whatever else runs on it, lets through at all. The plain ratio is also given against that.
* warm: the same calls again, all from the ledger.
* unknown limit: the provider refuses (429) what is over so many requests a second, or over so many
  in flight, and the client is told nothing. Ratio = calls a second / limit, 0.8 is asked, with
  no lost case. Shown: without and with Retry-After, and the refusals per answered call.
* told limit: counted by the minute, as providers do, and PROVIDER_<NAME>_RPM is set; there should
  be no refusals.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import pstats
import socket
import time
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import uvicorn

from rag_bench.errors import CaseError
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.transport.client import ChatModels
from rag_bench.llm.transport.context import call_context
from rag_bench.settings import Settings, get_settings
from rag_bench.store.database import ensure_database, libpq_url, make_engine, parse_url
from rag_bench.store.migrate import migrate

LATENCY = 0.2  # seconds
IN_FLIGHT = 32
REPLY = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Стипендию платят 25-го числа. [1]"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 700, "completion_tokens": 12, "total_tokens": 712},
    }
).encode()


class Provider:
    """A bare ASGI application: as little of its own work as can be.

    The path's first segment sets the limit: ``free``, ``rate-60``, ``rate-60-after`` (with
    Retry-After), ``minute-3600``, ``flight-8``; GET tells the counts since the last GET.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.accepted: dict[str, deque[float]] = {}
        self.in_flight: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["method"] == "GET":
            await answer(send, 200, json.dumps(self.counts).encode())
            self.counts.clear()
            return
        while (await receive()).get("more_body"):
            pass
        rule = scope["path"].split("/")[1]
        refused = self.refuses(rule)
        self.counts["refused" if refused else "answered"] += 1
        if refused:
            after = [(b"retry-after", b"1")] if rule.endswith("-after") else []
            await answer(send, 429, b'{"error": {"message": "rate limit"}}', after)
            return
        self.in_flight[rule] += 1
        await asyncio.sleep(LATENCY)
        self.in_flight[rule] -= 1
        await answer(send, 200, REPLY)

    def refuses(self, rule: str) -> bool:
        kind, _, value = rule.partition("-")
        if kind == "flight":
            return self.in_flight[rule] >= int(value)
        if kind not in ("rate", "minute"):
            return False
        now, limit = time.monotonic(), int(value.partition("-")[0])
        seen = self.accepted.setdefault(rule, deque())
        while seen and seen[0] <= now - (60.0 if kind == "minute" else 1.0):
            seen.popleft()
        if len(seen) >= limit:
            return True
        seen.append(now)
        return False


async def answer(send: Any, status: int, body: bytes, headers: Any = ()) -> None:
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": [*head, *headers]})
    await send({"type": "http.response.body", "body": body})


def serve(listener: socket.socket) -> None:
    config = uvicorn.Config(Provider(), log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def provider_process() -> Iterator[str]:
    """Yield the address of a provider in its own process."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(listener,), daemon=True
    )
    process.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    while True:
        try:
            counts(url)
            break
        except OSError:
            time.sleep(0.1)
    yield url
    process.terminate()
    process.join()


def counts(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/counts", timeout=5) as reply:
        told: dict[str, int] = json.load(reply)
        return told


@contextmanager
def scratch_database() -> Iterator[str]:
    """Yield the URL of a fresh, migrated database, dropped at the end."""
    url = ensure_database(get_settings())
    name = f"bench_{int(time.time() * 1000):x}"
    with psycopg.connect(libpq_url(url), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
        own = parse_url(url, "psycopg").set(database=name).render_as_string(hide_password=False)
        try:
            engine = make_engine(own)
            migrate(engine)
            engine.dispose()
            yield own
        finally:
            admin.execute(f'drop database "{name}" with (force)')


async def ask(
    database: str, base_url: str, calls: int, *, in_flight: int = IN_FLIGHT, rpm: str = ""
) -> tuple[float, int]:
    """Ask so many distinct questions; return the seconds and the cases lost."""
    providers = Providers(
        {
            "PROVIDER_LOCAL_BASE_URL": base_url,
            "PROVIDER_LOCAL_API_KEY": "sk-benchmark",
            "PROVIDER_LOCAL_CONCURRENCY": str(in_flight),
            "PROVIDER_LOCAL_RPM": rpm,
        }
    )
    context = "Стипендию перечисляют 25-го числа каждого месяца на карту. " * 40
    queue = iter(range(calls))
    lost = 0
    async with ChatModels(providers, database, Settings()) as models:

        async def work() -> None:
            nonlocal lost
            for n in queue:
                message = [{"role": "user", "content": f"{context}\nВопрос {n}: когда?"}]
                with call_context("generation", f"q{n}"):
                    try:
                        await models.chat("local/m", "generation", message)
                    except CaseError as error:
                        lost += 1
                        print("  lost:", error)

        await models.chat("local/m", "generation", [{"role": "user", "content": base_url}])
        started = time.perf_counter()
        # As a sweep does: while one worker waits for its commit, another calls.
        await asyncio.gather(*(work() for _ in range(2 * in_flight)))
        return time.perf_counter() - started, lost


async def ask_bare(port: int, calls: int) -> float:
    """Ask by bare sockets, one connection per call in flight; return the seconds."""
    words = "Стипендию перечисляют 25-го числа каждого месяца на карту. " * 40
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": words}]}).encode()
    head = (
        "POST /free/v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    queue = iter(range(calls))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in queue:
            writer.write(head.encode() + body)
            answer_head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(answer_head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--rates", default="60,15")
    parser.add_argument("--in-flight", default="8")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each limited case")
    parser.add_argument("--profile", action="store_true", help="where the plain case's time goes")
    given = parser.parse_args()
    with provider_process() as url, scratch_database() as database:
        bound = given.calls * LATENCY / IN_FLIGHT
        profile = cProfile.Profile(time.process_time) if given.profile else None
        if profile:
            profile.enable()
        used = time.process_time()
        wall, lost = asyncio.run(ask(database, f"{url}/free/v1", given.calls))
        used = time.process_time() - used
        if profile:
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        bare = asyncio.run(ask_bare(int(url.rpartition(":")[2]), given.calls))
        counts(url)
        print(f"bare: {given.calls} calls in {bare:.1f} s, ratio {bound / bare:.3f}")
        print(
            f"plain: {given.calls} calls in {wall:.1f} s, bound {bound:.1f} s, ratio "
            f"{bound / wall:.3f} ({bare / wall:.3f} of bare); "
            f"{used / given.calls * 1000:.2f} ms of processor per call; lost {lost}"
        )
        wall, lost = asyncio.run(ask(database, f"{url}/free/v1", given.calls))
        print(
            f"warm: {given.calls} replies of the ledger in {wall:.1f} s, "
            f"{given.calls / wall:.0f} a second; calls made {counts(url).get('answered', 0)}"
        )
        for limit in (float(rate) for rate in given.rates.split(",") if rate):
            n = int(limit * given.seconds)
            for name, rule, rpm in (
                ("unknown", f"rate-{limit:g}", ""),
                ("unknown, Retry-After 1", f"rate-{limit:g}-after", ""),
                ("told", f"minute-{limit * 60:g}", f"{limit * 60:g}"),
            ):
                path = f"{url}/{rule}/{'told' if rpm else 'untold'}/v1"
                wall, lost = asyncio.run(ask(database, path, n, rpm=rpm))
                report(f"{limit:g} calls/s, {name}", n, wall, limit, lost, counts(url))
        for most in (int(most) for most in given.in_flight.split(",") if most):
            limit = most / LATENCY
            n = int(limit * given.seconds)
            wall, lost = asyncio.run(ask(database, f"{url}/flight-{most}/v1", n))
            report(f"{most} in flight, unknown", n, wall, limit, lost, counts(url))


def report(
    name: str, n: int, wall: float, limit: float, lost: int, counted: dict[str, int]
) -> None:
    refused = counted.get("refused", 0) / max(1, counted.get("answered", 0))
    print(
        f"{name}: {n} calls in {wall:.1f} s, {n / wall:.1f} a second, ratio "
        f"{n / wall / limit:.3f}; {refused:.3f} refusals per call; lost {lost}"
    )


if __name__ == "__main__":
    main()
