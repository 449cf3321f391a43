"""Runs of the service by their size: how long they take, and how much memory.

    python benchmarks/eval_sizes.py [--sizes 1,100,101,1000,1001,10000] [--kinds given,asked]

Starts what `make dev` starts, over a database of its own with the tests' small knowledge base,
and sends runs one after another, as a client would: short ones are waited for, long ones are
executed by Dagster and looked at until they end. ``given``: answers are given, and words are
counted; ``asked``: an offline model answers and an offline judge scores.

Memory is the most that a process held in RAM while the run was made (RSS), of three processes: the
service, Dagster's process of the run, and the one that encodes texts beside either. Memory of
10,000 cases is to stay below 1.5 x that of 1,000.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import scratch
from eval_service import MEASURED, answered, asked, developing
from scratch import small_world

ASKED = {
    "eval_type": "rubric",
    "llm_model": "simulator/sim-strong",
    "judge_model": "simulator/sim-judge-sharp",
}
#: Who a process is, by a word of its command line; the first that fits.
WHO = {"encoder_process": "encoder", "spawn_main": "run", "api": "service"}
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Memory:
    """Looks four times a second what the processes below one hold."""

    def __init__(self, root: int) -> None:
        self._root = root
        self.most: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        last = False
        while not last:
            last = self._over.wait(0.25)
            for pid in _below(self._root):
                with contextlib.suppress(OSError, ValueError):
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                    who = next((who for word, who in WHO.items() if _names(words, word)), "other")
                    held = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
                    self.most[who] = max(self.most.get(who, 0), held)


def _names(words: list[str], word: str) -> bool:
    return word in words if word == "api" else any(word in one for one in words)


def _below(root: int) -> set[int]:
    """Return the processes below one, whatever their sessions are."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(folder.name))
    found, waiting = set(), [root]
    while waiting:
        for pid in parents.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def run(client: httpx.Client, pid: int, kind: str, n: int, first: int) -> dict[str, int]:
    """Make one run; print what it took, and return the memory by process."""
    make, fields = (answered, MEASURED) if kind == "given" else (asked, ASKED)
    body = json.dumps({**fields, "cases": [make(first + number) for number in range(n)]})
    memory, started = Memory(pid), time.monotonic()
    reply = client.post("/eval/run", content=body, headers={"content-type": "application/json"})
    replied = time.monotonic() - started
    if reply.status_code not in (200, 202):
        raise SystemExit(f"{n} cases: {reply.status_code} {reply.text[:1000]}")
    state: dict[str, Any] = reply.json()
    while state["status"] in ("queued", "running"):
        time.sleep(0.5)
        state = client.get(reply.headers["location"]).json()
    seconds = time.monotonic() - started
    memory.close()
    counts = {name: state["counts"][name] for name in ("scored", "failed", "errored", "missing")}
    ran = state["timings"]["ran"]
    held = ", ".join(f"{who} {b >> 20} MB" for who, b in sorted(memory.most.items()))
    print(
        f"{kind:6} {n:6}  {reply.status_code} in {replied:6.1f} s, whole {seconds:6.1f} s (ran "
        f"{ran or 0:.1f} s), {state['status']}, {counts}; {held}",
        flush=True,
    )
    return memory.most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1,100,101,1000,1001,10000")
    parser.add_argument("--kinds", default="given,asked")
    given = parser.parse_args()
    with ExitStack() as stack:
        place = stack.enter_context(scratch.folder())
        environment = stack.enter_context(scratch.project_instance(place))
        world = stack.enter_context(scratch.world(place))
        world.run(small_world.FREE[:5])
        environment["RAG_BENCH_EVAL_RESULTS"] = str(place / "results")
        pid, client = stack.enter_context(developing(world.engine, environment))
        first = 0
        for kind in given.kinds.split(","):
            most: dict[int, dict[str, int]] = {}
            for n in map(int, given.sizes.split(",")):
                most[n] = run(client, pid, kind, n, first)
                first += n
            if {1000, 10_000} <= most.keys():
                for who in ("service", "run", "encoder"):
                    small, large = most[1000].get(who), most[10_000].get(who)
                    if small and large:
                        print(f"{kind}: {who} at 10,000 cases {large / small:.2f} x 1,000's")


if __name__ == "__main__":
    main()
