"""A small sweep as people run it, against its bound.

    python benchmarks/small_sweep.py [--squad ../shared/data/xquad/xquad.ru.json] [--rerun]

Imports a SQuAD file into a database of its own and measures tier 1, so that the vectors of chunks
and questions are there. Then it times the command

    rag-bench sweep --tier 3 --limit 200

in a process of its own, from its start to its end, with three generators and three judges of a
provider in another process that answers after 200 ms. Bound = calls received x latency / calls in
flight: what the provider alone would take. 1.3 x the bound is asked. With ``--rerun`` the same
command is timed once more: there is nothing to ask then.

Shown: the command's own table of stages, the seconds of the whole process and of the table's total,
how many calls the provider got, both ratios; and, as the provider saw it, the phases: the seconds
before the first call, the calls a second while there were any, the gaps between stages (nothing in
flight for 50 ms), the seconds after the last reply; and the processor's seconds of the command with
its encoder, which say more than the clock where the machine has other work.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import multiprocessing
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import scratch
import uvicorn

from rag_bench.settings import PROJECT_ROOT

GENERATORS = ("local/one", "local/two", "local/three")
JUDGES = ("local/strict", "local/mild", "local/odd")
SHORTEST_GAP = 0.05  # seconds with nothing in flight


class Provider:
    """A bare ASGI application: little work of its own, replies that follow from the request.

    A generator quotes a sentence of its fragment, which one depends on its name; a judge gives a
    score.
    """

    def __init__(self, latency: float) -> None:
        self.latency = latency
        self.counts: Counter[str] = Counter()
        self.phases: list[tuple[float, float]] = []  # from a first call to no call in flight

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "GET":
            told = {**self.counts, "phases": self.phases}
            await _send(send, json.dumps(told).encode())
            return
        parts, more = [], True
        while more:
            event = await receive()
            parts.append(event["body"])
            more = event["more_body"]
        body = json.loads(b"".join(parts))
        self.counts["calls"] += 1
        self.counts["now"] += 1
        if self.counts["now"] == 1:
            now = time.monotonic()
            if self.phases and now - self.phases[-1][1] < SHORTEST_GAP:
                self.phases[-1] = (self.phases[-1][0], now)
            else:
                self.phases.append((now, now))
        self.counts["most in flight"] = max(self.counts["most in flight"], self.counts["now"])
        await asyncio.sleep(self.latency)
        self.counts["now"] -= 1
        self.phases[-1] = (self.phases[-1][0], time.monotonic())
        await _send(send, json.dumps(_completion(_reply(body))).encode())


def _reply(body: Mapping[str, Any]) -> str:
    model, words = body["model"], "\n".join(message["content"] for message in body["messages"])
    dice = hashlib.sha256(f"{model}\n{words}".encode()).digest()
    if f"local/{model}" in JUDGES:
        return json.dumps({"score": dice[0] % 5 + 1})
    sentences = re.findall(r"[^.!?\n]{30,}[.!?]", words.rpartition("[1]")[2]) or ["Да."]
    return sentences[dice[0] % len(sentences)].strip() + " [1]"


def _completion(content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 700, "completion_tokens": 60, "total_tokens": 760},
    }


async def _send(send: Any, body: bytes) -> None:
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


def _serve(listener: socket.socket, latency: float) -> None:
    config = uvicorn.Config(Provider(latency), log_level="error", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


@contextmanager
def provider_process(latency: float) -> Iterator[str]:
    """Yield the address of the provider, in a process of its own."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(listener, latency), daemon=True
        )
        process.start()
        try:
            _counts(url)  # the listener holds it until the process serves
            yield url
        finally:
            process.terminate()
            process.join()


def _counts(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=60) as reply:
        told: dict[str, Any] = json.load(reply)
        return told


@dataclass(frozen=True)
class Ran:
    """A command that ended: its start and end by the system's monotonic clock, the processor's
    seconds of it and its children, and what it printed.
    """

    started: float
    ended: float
    processor: float
    printed: str

    @property
    def seconds(self) -> float:
        return self.ended - self.started


def command(environment: Mapping[str, str], *arguments: str) -> Ran:
    """Run `rag-bench` in a process of its own."""
    # As the console script does it, in whatever checkout this is.
    code = "import sys; from rag_bench.cli import main; sys.argv[0] = 'rag-bench'; main()"
    before, started = os.times(), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    after, ended = os.times(), time.monotonic()
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}:\n{done.stdout}\n{done.stderr}")
    processor = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    return Ran(started, ended, processor, done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = PROJECT_ROOT.parent / "shared" / "data" / "xquad" / "xquad.ru.json"
    parser.add_argument("--squad", type=Path, default=default)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--in-flight", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--rerun", action="store_true")
    given = parser.parse_args()

    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rag_bench_")))
        url = stack.enter_context(provider_process(given.latency))
        environment = {
            **stack.enter_context(scratch.project_instance(place)),
            "RAG_BENCH_DATABASE_URL": (database := stack.enter_context(scratch.database())),
            "RAG_BENCH_DATA_DIR": str(place / "data"),
            "RAG_BENCH_REPORTS_DIR": str(place / "reports"),
            "PROVIDER_LOCAL_BASE_URL": f"{url}/v1",
            "PROVIDER_LOCAL_API_KEY": "sk-benchmark",
            "PROVIDER_LOCAL_CONCURRENCY": str(given.in_flight),
        }
        command(environment, "import-squad", str(given.squad))
        limit = ("--limit", str(given.limit))
        # Tier 1 with the settings of the sweep: chunks and questions get their vectors.
        command(environment, "sweep", "--tier", "1", *limit)
        sweep = (
            *("sweep", "--tier", "3", *limit, "--generation-models", ",".join(GENERATORS)),
            *("--judge-models", ",".join(JUDGES)),
        )
        ran = command(environment, *sweep)
        counted = _counts(url)
        bound = counted["calls"] * given.latency / given.in_flight
        show("sweep", ran, bound)
        show_phases(ran, counted, given.in_flight / given.latency)
        print(f"calls {counted['calls']}, most in flight {counted['most in flight']}")
        with psycopg.connect(database) as connection:
            failed = connection.execute(
                "select count(*) from rag_bench.evaluation where status <> 'succeeded'"
            ).fetchone()
        print(f"evaluations that did not succeed: {failed[0] if failed else '?'}")
        if given.rerun:
            show("rerun", command(environment, *sweep), bound)
            print(f"calls {_counts(url)['calls'] - counted['calls']}")


def show(what: str, ran: Ran, bound: float) -> None:
    """Print a command's stages and its time against the bound."""
    stages = [line for line in ran.printed.splitlines() if re.search(r" \d+\.\d s\b", line)]
    print("\n".join(stages))
    total = re.search(r"^total +([\d.]+) s", ran.printed, re.MULTILINE)
    stated = float(total.group(1)) if total else float("nan")
    print(
        f"{what}: the process {ran.seconds:.1f} s, its stages {stated:.1f} s; bound {bound:.1f} s; "
        f"{ran.seconds / bound:.2f} and {stated / bound:.2f} x the bound; "
        f"{ran.processor:.1f} s of the processor"
    )


def show_phases(ran: Ran, counted: Mapping[str, Any], possible: float) -> None:
    """Print what the provider saw of a command: when it was asked, and how fast."""
    phases: Sequence[tuple[float, float]] = counted["phases"]
    gaps = [later[0] - earlier[1] for earlier, later in pairwise(phases)]
    asked = sum(end - start for start, end in phases)
    print(
        f"before the first call {phases[0][0] - ran.started:.1f} s; "
        f"{counted['calls'] / asked:.0f} calls a second of {possible:.0f} possible; gaps "
        f"{', '.join(f'{gap:.1f} s' for gap in gaps) or 'none'}; "
        f"after the last reply {ran.ended - phases[-1][1]:.1f} s"
    )


if __name__ == "__main__":
    main()
