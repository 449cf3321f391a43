"""The same numbers on any machine: tests, or the demo's leaderboard, under other numeric kernels.

    python benchmarks/same_on_any_machine.py tests            # `make test-numerics`
    python benchmarks/same_on_any_machine.py demo [--limit N] [--models 4] [--switches NAME,...]

Numeric libraries choose their kernels by the processor; their own switches choose those of other
processors, so that one machine can play several. ``tests`` runs the tests of what comes of vectors
and linear algebra (`NUMERIC`; those marked ``once`` excepted) under each and prints pytest's
summaries. ``demo`` loads the demo into an empty database of its own and sweeps it under each, then
compares all published metrics, and the leaderboard to three decimals; it uses the embedded server
of RAG_BENCH_HOME. Either ends with 1 if anything differs or fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NUMERIC = (
    *(
        "evaluation",
        "analytics",
        "retrieval",
        "tiers/answers/test_bertscore.py",
        "tiers/test_ux_tier.py",
    ),
    *("test_kernels.py", "privacy"),
)
#: What a shell may have set already; taken out, or all switches would be one.
PRESET = (
    *("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"),
    *("MKL_CBWR", "MKL_NUM_THREADS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA"),
)
#: Published numbers are rounded to six decimals; beyond this two runs are not the same.
TOLERANCE = 2e-5
SIMULATED = (
    *("simulator/sim-strong", "simulator/sim-medium", "simulator/sim-weak"),
    *("simulator/sim-careful", "simulator/sim-bold", "simulator/sim-chatty"),
)


@dataclass(frozen=True)
class Switch:
    """Kernels of another processor. ``needs``: a flag of /proc/cpuinfo without which it cannot be
    played; "" for any x86.
    """

    name: str
    environment: Mapping[str, str]
    needs: str = ""


def threads(n: int) -> dict[str, str]:
    """Return the variables for ``n`` threads of every library."""
    return dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(n))


#: Each library's kernels, and one thread and two. numpy and scipy compute by OpenBLAS, torch by MKL
#: and ATen: none reads another's switch, so that one run can play a switch of each. One thread
#: where nothing else is asked: two runs of two threads each would hold each other up on two cores.
SWITCHES = (
    Switch(
        "Haswell's OpenBLAS, MKL without choice",
        {"OPENBLAS_CORETYPE": "Haswell", "MKL_CBWR": "COMPATIBLE", **threads(1)},
        "avx2",
    ),
    Switch(
        "SkylakeX's OpenBLAS, ATen without vectors",
        {"OPENBLAS_CORETYPE": "SkylakeX", "ATEN_CPU_CAPABILITY": "default", **threads(1)},
        "avx512f",
    ),
    Switch(
        "an old processor: all of them",
        {
            "OPENBLAS_CORETYPE": "Sandybridge",
            "MKL_CBWR": "COMPATIBLE",
            "ATEN_CPU_CAPABILITY": "default",
            **threads(1),
        },
        "avx",
    ),
    Switch("this processor, two threads", threads(2)),
)


def playable() -> list[Switch]:
    """Return the switches that this machine can play, and say which it cannot."""
    if platform.machine() not in ("x86_64", "AMD64"):
        print(f"{platform.machine()}: only the number of threads can be switched")
        return [switch for switch in SWITCHES if switch.environment == threads(2)]
    flags = set(Path("/proc/cpuinfo").read_text().split()) if Path("/proc/cpuinfo").exists() else ()
    for switch in SWITCHES:
        if switch.needs and switch.needs not in flags:
            print(f"{switch.name}: left out, the processor has no {switch.needs}")
    return [switch for switch in SWITCHES if not switch.needs or switch.needs in flags]


def environment(switch: Switch, **more: str) -> dict[str, str]:
    """Return this process's environment under a switch."""
    mine = {name: value for name, value in os.environ.items() if name not in PRESET}
    return {**mine, **switch.environment, **more}


def run_tests(switches: list[Switch], pytest: list[str]) -> int:
    """Run the numeric tests under each switch, two at a time; return how many runs failed."""

    def run(switch: Switch) -> tuple[Switch, subprocess.CompletedProcess[str], float]:
        started = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*command, "-m", "not once", *(f"rag_bench_tests/{path}" for path in NUMERIC), *pytest],
            cwd=ROOT,
            env=environment(switch),
            capture_output=True,
            text=True,
            check=False,
        )
        return switch, done, time.monotonic() - started

    failed = 0
    with ThreadPoolExecutor(2) as pool:
        for switch, done, seconds in pool.map(run, switches):
            failed += done.returncode != 0
            if done.returncode:
                print(done.stdout[-20_000:], done.stderr[-2_000:], sep="\n")
            last = (done.stdout.strip().splitlines() or ["no output"])[-1]
            print(f"{switch.name}: {last} ({seconds:.0f} s)", flush=True)
    return failed


@contextmanager
def empty_database() -> Iterator[str]:
    """Give the URL of an empty database of the embedded server."""
    import psycopg

    from rag_bench.settings import Settings
    from rag_bench.store.embedded import EmbeddedServer

    server = EmbeddedServer(Settings().home)
    server.start()
    name = f"same_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
        admin.execute(f'create database "{name}"')
    try:
        yield server.url(name)
    finally:
        with psycopg.connect(server.url("postgres"), autocommit=True) as admin:
            admin.execute(f'drop database "{name}" with (force)')


#: Loads the demo, sweeps it, prints what was published; run under a switch.
PROGRAM = """
import json, sys
from sqlalchemy import text
import dagster as dg
from rag_bench.demo.dump import build_demo_dump
from rag_bench.partitions import ModelLists
from rag_bench.reporting.leaderboard import COLUMNS, build
from rag_bench.settings import get_settings
from rag_bench.source.load import load_dump
from rag_bench.store import evaluations
from rag_bench.store.database import make_engine
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.migrate import migrate
from rag_bench.sweep import Sweep, SweepRequest

wanted = json.loads(sys.argv[1])
settings = get_settings()
engine = make_engine()
migrate(engine)
built = build_demo_dump(settings.data_dir, settings.dumps, EmbeddedServer(settings.home))
load_dump(engine, built.path)
models = ModelLists(*wanted["models"])
with dg.DagsterInstance.ephemeral() as instance:
    request = SweepRequest(
        models, frozenset(wanted["tiers"]), {"limit": wanted["limit"]} if wanted["limit"] else {},
        report=False,
    )
    results = Sweep(instance, models).run(request, lambda stage: print(stage, file=sys.stderr))
failed = [error for result in results for error in result.errors]
key = evaluations.newest_settings_hash(engine)
board = build(engine, key)
with engine.connect() as connection:
    found = connection.execute(text(
        "select concat_ws(' ', tier, kind, generation_model, benchmark_judge_model, "
        "production_judge_model) as name, metrics, errors, inputs ->> 'outcome_hash' as outcome "
        "from rag_bench.evaluation order by id"
    )).all()
print(json.dumps({
    "failed": failed,
    "version": evaluations.version_of_all(engine, key),
    "board": [
        [row.rank, row.generation_model, row.benchmark_judge_model, row.production_judge_model,
         *(None if row.value(c) is None else f"{row.value(c):.3f}" for c in COLUMNS)]
        for row in board.rows
    ],
    "published": {row.name: row.metrics for row in found},
    "errors": {row.name: row.errors for row in found},
    "outcomes": {row.name: row.outcome for row in found},
}))
"""


def numbers_of(published: Mapping[str, Any]) -> dict[str, float]:
    """Return every published number but durations, by where it stands."""
    return {
        f"{evaluation} {metric} {part}": record[part]
        for evaluation, metrics in published.items()
        for metric, record in metrics.items()
        for part in ("value", "ci_low", "ci_high", "low_if_missing", "high_if_missing")
        if "latency" not in metric and record.get(part) is not None
    }


def run_demo(switches: list[Switch], n_models: int, limit: int | None) -> int:
    """Sweep the demo under each switch; return how many differ from the first."""
    generators = list(SIMULATED[:n_models])
    wanted = {
        "models": [generators, ["simulator/sim-judge-sharp"], ["simulator/sim-gate-balanced"]],
        "tiers": ["0", "1", "2", "3", "judge_pipeline"],
        "limit": limit,
    }
    first: dict[str, Any] = {}
    differing = 0
    for switch in switches:
        started = time.monotonic()
        with empty_database() as url, tempfile.TemporaryDirectory() as reports:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, json.dumps(wanted)],
                cwd=ROOT,
                env=environment(switch, RAG_BENCH_DATABASE_URL=url, RAG_BENCH_REPORTS_DIR=reports),
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            print(f"{switch.name}: ended with {done.returncode}\n{done.stderr[-3000:]}")
            differing += 1
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        first = first or found
        mine, theirs = numbers_of(found["published"]), numbers_of(first["published"])
        apart = {name: abs(mine[name] - theirs[name]) for name in mine.keys() & theirs.keys()}
        most = max(apart, key=lambda name: apart[name], default="")
        same_board = found["board"] == first["board"]
        ok = (
            not found["failed"]
            and mine.keys() == theirs.keys()
            and same_board
            and found["errors"] == first["errors"]
            # Derived from others, the density's unit is not a cosine's.
            and all(d <= TOLERANCE for name, d in apart.items() if "density" not in name)
        )
        differing += not ok
        print(
            f"{switch.name}: leaderboard of {len(found['board'])} rows "
            f"{'equal' if same_board else 'DIFFERENT'} to three decimals; "
            f"{sum(d > 0 for d in apart.values())} of {len(apart)} published numbers differ, by at "
            f"most {apart.get(most, 0):.1e} ({most}); data version "
            f"{'equal' if found['version'] == first['version'] else 'different'}, "
            f"{sum(found['outcomes'][n] != o for n, o in first['outcomes'].items())} of "
            f"{len(first['outcomes'])} outcomes differ; {len(found['failed'])} failed "
            f"({time.monotonic() - started:.0f} s)",
            flush=True,
        )
        for message in found["failed"]:
            print(f"  {message}")
        for row, other in zip(found["board"], first["board"], strict=False):
            if row != other:
                print(f"  {row}\n  {other}")
    return differing


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["tests", "demo"])
    parser.add_argument("--switches", help="names of switches, or parts of them; default: all")
    parser.add_argument("--limit", type=int, help="only the first N questions of the demo")
    parser.add_argument("--models", type=int, default=4, help="generation models of the demo's")
    parser.add_argument("pytest", nargs="*", help="arguments to pytest, after --")
    given = parser.parse_args()
    switches = playable()
    if given.switches:
        parts = given.switches.split(",")
        switches = [s for s in switches if any(part in s.name for part in parts)]
    if given.what == "tests":
        return 1 if run_tests(switches, given.pytest) else 0
    return 1 if run_demo(switches, given.models, given.limit) else 0


if __name__ == "__main__":
    sys.exit(main())
