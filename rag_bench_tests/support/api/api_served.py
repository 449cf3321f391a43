"""The API as it is served: `rag-bench serve` in a process of its own, asked over a socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_READY_SECONDS = 60


@dataclass(frozen=True)
class Served:
    """A served API: its address, its log, the environment that its commands need."""

    url: str
    log: Path
    environment: Mapping[str, str]


@contextmanager
def serving(database_url: str, dagster: str, folder: Path, **more: str) -> Iterator[Served]:
    """Serve a database until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "RAG_BENCH_HOME": str(folder / "home"),
        "RAG_BENCH_DATABASE_URL": database_url,
        "RAG_BENCH_DAGSTER_DATABASE_URL": dagster,
        "RAG_BENCH_DAGSTER_URL": "",
        "DAGSTER_HOME": "",
        "RAG_BENCH_API_WARM": "false",
        **more,
    }
    command = [sys.executable, "-c", "from rag_bench.cli import main; main()", "serve"]
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--port", str(port)], env=environment, stdout=out, stderr=out
        )
    served = Served(f"http://127.0.0.1:{port}", log, environment)
    try:
        end = time.monotonic() + _READY_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            try:
                httpx.get(f"{served.url}/healthz").raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
