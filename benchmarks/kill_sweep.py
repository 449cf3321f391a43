"""kill -9 of `rag-bench sweep` at random requests, again and again, until it is through.

    python benchmarks/kill_sweep.py [--kills 6] [--seed 0] [--latency 0.02]

A local provider counts what it is asked. Checked at the end: the numbers are those of a sweep
that nobody disturbed (all but times), every request of that sweep was asked, and none more than
the calls in flight at the kills was asked again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
import warnings

import scratch
from scratch import LocalProvider, killed_sweep, small_world

from rag_bench.partitions import ModelLists
from rag_bench.simulator.answer_key import answer_key_from_database


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.02, help="seconds per reply")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    dice = random.Random(arguments.seed)
    models = ModelLists(killed_sweep.GENERATORS, killed_sweep.JUDGES, killed_sweep.GATES)

    with scratch.folder() as place, scratch.world(place) as base:
        assert base.run(small_world.FREE).success
        key = answer_key_from_database(base.engine)
        base.engine.dispose()
        template = str(base.engine.url.database)
        with LocalProvider(lambda: key).serving() as calm, scratch.world(place, template) as world:
            os.environ |= killed_sweep.provider_environment(calm)
            for result in world.run_all(models):
                assert result.success, small_world.failure(result)
            expected, n_calls = killed_sweep.numbers(world.engine), calm.count
        print(f"undisturbed: {n_calls} calls, {calm.repeated} repeated")

        log = place / "sweep.log"
        with (
            scratch.project_instance(place) as environment,
            scratch.world(place, template) as world,
            LocalProvider(lambda: key, arguments.latency).serving() as provider,
        ):
            environment["RAG_BENCH_DATABASE_URL"] = world.url
            lost = 0
            kills = arguments.kills
            while kills:
                left = n_calls - len(provider.by_body)
                if left < 2 * killed_sweep.SLOTS:
                    break
                at = provider.count + dice.randint(1, max(1, 2 * left // (kills + 1)))
                started = time.monotonic()
                if not killed_sweep.sweep_until(provider, environment, at, log):
                    break
                state = killed_sweep.after_the_kill(provider, world.engine)
                print(
                    f"killed at request {at} after {time.monotonic() - started:.1f} s: "
                    f"{state.kept} replies kept, {state.in_flight - lost} in flight"
                )
                lost, kills = state.in_flight, kills - 1
            killed_sweep.sweep_until(provider, environment, None, log)
            same = killed_sweep.same(killed_sweep.numbers(world.engine), expected)
            complete = len(provider.by_body) == n_calls
            print(
                f"{provider.count} calls, {provider.repeated} repeated, {lost} were in flight at "
                f"{arguments.kills - kills} kills; every call was made: {complete}; "
                f"numbers equal: {same}"
            )
    if not (same and complete and provider.repeated <= lost):
        sys.exit("FAILED")


if __name__ == "__main__":
    main()
