"""Replies that the ledger holds: how many a second, beside a bare SELECT of the same rows?

    python benchmarks/ledger_hits.py [--calls 5000] [--rounds 5] [--workers 64] [--profile]

The ledger of a database of its own (dropped at the end) is filled through the real client, by a
provider inside this process that answers at once. Then, in turns so that both meet the same
machine:

* bare: the rows by their keys, as many at once as there are workers, over one connection; the
  replies are fetched and not looked at. The bound: nothing can be found faster, one by one.
* hits: `ChatModels.chat` in a case each, as the tiers ask, by that many workers; no call is made.
* cells: the same as jobs of a sweep's cells, their bookkeeping included.

Shown are the medians of the rounds, the ratio to the bound, and the processor's time per hit.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import statistics
import time
from functools import partial
from typing import Any

import httpx
import psycopg
import scratch

from rag_bench.llm.config.providers import Providers
from rag_bench.llm.transport.client import ChatModels
from rag_bench.settings import Settings
from rag_bench.store.database import make_engine
from rag_bench.store.migrate import migrate
from rag_bench.tiers.base.cells import Cell, run_cells

ENVIRONMENT = {
    "PROVIDER_LOCAL_BASE_URL": "http://provider.invalid/v1",
    "PROVIDER_LOCAL_API_KEY": "sk-benchmark",
    "PROVIDER_LOCAL_CONCURRENCY": "32",
}
CONTEXT = "Стипендию перечисляют 25-го числа каждого месяца на карту. " * 40
REPLY: dict[str, Any] = {
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


class Provider(httpx.AsyncBaseTransport):
    """Answers at once, and counts."""

    def __init__(self) -> None:
        self.count = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.count += 1
        return httpx.Response(200, json=REPLY)


class Clock:
    """The wall's and the processor's seconds of a block."""

    def __enter__(self) -> Clock:
        self._wall, self._used = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall = time.perf_counter() - self._wall
        self.used = time.process_time() - self._used


async def ask(models: ChatModels, number: int) -> None:
    message = [{"role": "user", "content": f"{CONTEXT}\nВопрос {number}: когда?"}]
    async with models.case("generation", f"q{number}"):
        await models.chat("local/m", "generation", message)


async def ask_all(models: ChatModels, calls: int, workers: int) -> None:
    queue = iter(range(calls))

    async def work() -> None:
        for number in queue:
            await ask(models, number)

    await asyncio.gather(*(work() for _ in range(workers)))


async def as_cells(models: ChatModels, calls: int, workers: int) -> None:
    jobs = [partial(ask, models, number) for number in range(calls)]
    cell = Cell("local/m", "local", jobs, len)
    await run_cells([cell], lambda _: workers // 2, lambda *_: None, lambda *_: None)


def bare(url: str, keys: list[str], at_once: int) -> None:
    query = (
        "SELECT key, response::text, error_code, error_detail, latency_ms "
        "FROM rag_bench.llm_call WHERE key = ANY(%s) AND status = 'ok'"
    )
    with psycopg.connect(url, autocommit=True) as connection:
        for start in range(0, len(keys), at_once):
            rows = connection.execute(query, [keys[start : start + at_once]]).fetchall()
            assert rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--profile", action="store_true", help="where the time of hits goes")
    given = parser.parse_args()
    provider = Provider()

    def run(url: str, what: Any) -> Clock:
        async def inside() -> Clock:
            async with ChatModels(
                Providers(ENVIRONMENT), url, Settings(), {"local": lambda: provider}
            ) as models:
                await what(models, given.workers, given.workers)  # connections, imports
                with Clock() as clock:
                    await what(models, given.calls, given.workers)
                return clock

        return asyncio.run(inside())

    with scratch.database() as url:
        engine = make_engine(url)
        migrate(engine)
        engine.dispose()
        run(url, ask_all)
        sent = provider.count
        assert sent == given.calls
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE rag_bench.llm_call")
            keys = [key for (key,) in connection.execute("SELECT key FROM rag_bench.llm_call")]
        if given.profile:
            profile = cProfile.Profile()
            profile.enable()
            run(url, ask_all)
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
            return
        times: dict[str, list[Clock]] = {"bare": [], "hits": [], "cells": []}
        for _ in range(given.rounds):
            with Clock() as clock:
                bare(url, keys, given.workers)
            times["bare"].append(clock)
            times["hits"].append(run(url, ask_all))
            times["cells"].append(run(url, as_cells))
        assert provider.count == sent, "a reply of the ledger was asked for again"
    bound = statistics.median(clock.wall for clock in times["bare"])
    for name, clocks in times.items():
        wall = statistics.median(clock.wall for clock in clocks)
        used = statistics.median(clock.used for clock in clocks)
        print(
            f"{name:<5} {given.calls / wall:8.0f} a second, {wall / bound:5.1f} x the bound; "
            f"{used / given.calls * 1e6:5.0f} us of processor each "
            f"(best {given.calls / min(clock.wall for clock in clocks):.0f} a second)"
        )


if __name__ == "__main__":
    main()
