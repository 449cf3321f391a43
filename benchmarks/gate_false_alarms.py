"""How often a release gate errs, per gate and per quarter of 13 weekly gates; a table for the docs.

    python benchmarks/gate_false_alarms.py [--quarters 154]

At the default 2,002 gates a line, all lines in a minute or two; no change for the worse unless the
line says so.
"""

from __future__ import annotations

import argparse
import time

from rag_bench.evaluation.paired.false_alarms import World, simulate

#: Title, world.
LINES = (
    ("200 pages × 1, all noise", World(200, 1)),
    ("500 pages × 1, all noise", World(500, 1)),
    ("40 pages × 5, all noise", World(40, 5)),
    ("40 pages × 5, a third fall with their page", World(40, 5, together=1 / 3)),
    ("40 pages × 5, half stays, a third with the page", World(40, 5, stays=0.5, together=1 / 3)),
    ("40 pages × 5, all stays, a third with the page", World(40, 5, stays=1.0, together=1 / 3)),
    ("200 pages × 1, all stays", World(200, 1, stays=1.0)),
    ("200 pages × 1, 5 points lost, all noise", World(200, 1, loss=0.05)),
    ("500 pages × 1, 5 points lost, all noise", World(500, 1, loss=0.05)),
    ("40 pages × 5, 5 points lost, half stays", World(40, 5, stays=0.5, loss=0.05)),
)


def main() -> None:
    """Print a line per world."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quarters", type=int, default=154)
    quarters = parser.parse_args().quarters
    print(
        f"{quarters * 13:,} gates a line; Monte-Carlo error of .02: ±.006, of a quarter's .25: ±.07"
    )
    head = ("alarm", "again", "quarter", "again", "passes", "again")
    print(f"{'':50}" + "".join(f"{one:>9}" for one in head))
    for title, world in LINES:
        started = time.monotonic()
        found = simulate(world, quarters=quarters)
        shares = (
            *(found.alarm, found.alarm_again, found.quarter, found.quarter_again),
            *(found.passed, found.passed_again),
        )
        seconds = time.monotonic() - started
        print(f"{title:50}" + "".join(f"{one:9.3f}" for one in shares) + f"   {seconds:.0f} s")


if __name__ == "__main__":
    main()
