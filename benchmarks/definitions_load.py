"""Loading the definitions against `import dagster`: what every run's process pays first.

    python benchmarks/definitions_load.py [--rounds 7]

Each measurement is a fresh interpreter's; rounds alternate, the best counts. Prints milliseconds
and the ratio definitions / dagster (1.0: our code costs nothing), and what is loaded beside.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

SCRIPT = """
import sys, time, json, warnings
warnings.simplefilter("ignore")
started, cpu = time.perf_counter(), time.process_time()
{work}
print(json.dumps([time.perf_counter() - started, time.process_time() - cpu, len(sys.modules)]))
"""
WORKS = {
    "import dagster": "import dagster",
    "import rag_bench.definitions": "import rag_bench.definitions",
    "... and resolve every job": (
        "from rag_bench.definitions import defs; defs.get_repository_def().get_all_jobs()"
    ),
}


def measure(work: str) -> list[float]:
    """Return wall seconds, CPU seconds and the number of modules of a fresh interpreter."""
    command = [sys.executable, "-c", SCRIPT.format(work=work)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(number) for number in json.loads(done.stdout)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    found: dict[str, list[list[float]]] = {name: [] for name in WORKS}
    for _ in range(rounds):
        for name, work in WORKS.items():
            found[name].append(measure(work))
    base = min(wall for wall, _, _ in found["import dagster"])
    base_cpu = min(cpu for _, cpu, _ in found["import dagster"])
    for name, runs in found.items():
        wall, cpu = min(run[0] for run in runs), min(run[1] for run in runs)
        print(
            f"{name:<30} {wall * 1000:7.0f} ms  ratio {wall / base:4.2f}   "
            f"CPU {cpu * 1000:6.0f} ms  ratio {cpu / base_cpu:4.2f}   {runs[0][2]:.0f} modules"
        )


if __name__ == "__main__":
    main()
