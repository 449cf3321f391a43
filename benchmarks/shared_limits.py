"""Several processes on one provider of 8 slots: what they get, and what it counts in flight.

    python benchmarks/shared_limits.py [--calls 1200] [--latency 0.2] [--sweep 10000]

Real processes, a provider in a process of its own that counts, and a database of its own.

* together: the same number of calls by 1, 2 and 4 processes. Ratio = calls a second / those of one.
* killed: two processes, one is killed; seconds until the other holds all slots.
* small: 100 calls alone, and beside a sweep of 10,000. Ratio = time beside / time alone.

Shown everywhere: the most calls that were in flight.
"""

from __future__ import annotations

import argparse
import signal
import time

import psycopg
import scratch
from sharing_processes import CountingProvider, counting_provider, workers

from rag_bench.store.database import make_engine
from rag_bench.store.migrate import migrate

SLOTS = 8


def together(provider: CountingProvider, url: str, n: int, calls: int) -> float:
    """Return the calls a second of n processes together."""
    provider.told("/reset")
    names = [(f"together{n}.{i}", calls // n) for i in range(n)]
    with workers(provider, url, SLOTS, names) as started:
        begun = time.perf_counter()
        for worker in started:
            worker.go()
        results = [worker.result() for worker in started]
        seconds = max(result["seconds"] for result in results)
    answered = sum(result["answered"] for result in results)
    print(
        f"{n} processes: {answered} of {calls} answered, {answered / seconds:.1f} calls/s, "
        f"{time.perf_counter() - begun:.1f} s, most in flight {provider.told()['most']}"
    )
    return answered / seconds


def killed(provider: CountingProvider, url: str) -> None:
    provider.told("/reset")
    names = [("killed", 100_000), ("lives", 100_000)]
    with workers(provider, url, SLOTS, names) as (one, other):
        one.go()
        other.go()
        provider.wait_for("killed", 20)
        provider.wait_for("lives", 20)
        one.send(signal.SIGKILL)
        begun = time.perf_counter()
        with psycopg.connect(url, autocommit=True) as connection:
            query = "select max(slots) from rag_bench.provider_lease"
            while (connection.execute(query).fetchone() or (0,))[0] < SLOTS:
                time.sleep(0.02)
        print(
            f"killed: its share was back after {time.perf_counter() - begun:.1f} s, "
            f"most in flight {provider.told()['most']}"
        )
    time.sleep(8)  # its lease is over before the next begins


def small(provider: CountingProvider, url: str, calls: int) -> None:
    provider.told("/reset")
    with workers(provider, url, SLOTS, [("alone", 100)]) as (alone,):
        alone.go()
        by_itself = alone.result()["seconds"]
    with workers(provider, url, SLOTS, [("sweep", calls), ("beside", 100)]) as (sweep, beside):
        sweep.go()
        provider.wait_for("sweep", 40)
        beside.go()
        shared = beside.result()["seconds"]
    print(
        f"small: 100 calls alone {by_itself:.1f} s, beside a sweep {shared:.1f} s, ratio "
        f"{shared / by_itself:.2f}, most in flight {provider.told()['most']}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1200)
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--sweep", type=int, default=10_000)
    given = parser.parse_args()
    with scratch.database() as url, counting_provider(given.latency) as provider:
        engine = make_engine(url)
        migrate(engine)
        engine.dispose()
        alone = together(provider, url, 1, given.calls)
        for n in (2, 4):
            print(f"  ratio {together(provider, url, n, given.calls) / alone:.3f}")
        killed(provider, url)
        small(provider, url, given.sweep)


if __name__ == "__main__":
    main()
