"""`rag-bench sweep` as a process of its own, killed at chosen requests and started again."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local_provider import LocalAssistant, LocalProvider
from sqlalchemy import Engine, text

SLOTS = 4
GENERATORS = ("x/sim-strong", "x/sim-weak")
JUDGES = ("x/sim-judge-sharp", "x/sim-judge-noisy")
GATES = ("x/sim-gate-balanced",)


@dataclass(frozen=True)
class Models:
    """The models of a sweep."""

    generators: Sequence[str] = GENERATORS
    judges: Sequence[str] = JUDGES
    gates: Sequence[str] = GATES


class Server(Protocol):
    """Whoever is asked, and says so before it answers."""

    on_request: Callable[[int], None] | None


@dataclass(frozen=True)
class Interrupted:
    """What was known when a sweep had been killed.

    Attributes:
        received: requests that the provider had got.
        kept: replies in the ledger, once the killed process's connections were gone.
    """

    received: int
    kept: int

    @property
    def in_flight(self) -> int:
        """Calls whose reply was not committed: they have to be made again."""
        return self.received - self.kept


def provider_environment(server: LocalProvider) -> dict[str, str]:
    """Return what names the server as the provider `x`."""
    return {
        "PROVIDER_X_BASE_URL": server.url,
        "PROVIDER_X_API_KEY": "sk-local",
        "PROVIDER_X_CONCURRENCY": str(SLOTS),
    }


def sweep_until(
    server: Server,
    environment: Mapping[str, str],
    kill_at: int | None,
    log: Path,
    number: signal.Signals = signal.SIGKILL,
    models: Models = Models(),
) -> bool:
    """Run the command; kill -9 it, or send another signal, when the provider gets request
    ``kill_at``.

    Returns:
        Whether it was ended by that. Any other end than success or that is an AssertionError.
    """
    command = [
        *(sys.executable, "-c", "from rag_bench.cli import main; main()", "sweep"),
        *("--generation-models", ",".join(models.generators)),
        *("--judge-models", ",".join(models.judges)),
        *("--production-judge-models", ",".join(models.gates)),
        # Tier judge asks the same twice on purpose, which the provider cannot tell from a repeat.
        *("--tier", "0,1,2,3,judge_pipeline"),
    ]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={
                **os.environ,
                **environment,
                **(provider_environment(server) if isinstance(server, LocalProvider) else {}),
            },
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )

        def kill(request: int) -> None:
            if request == kill_at:
                process.send_signal(number)

        server.on_request = kill
        try:
            code = process.wait(timeout=240)
        finally:
            server.on_request = None
            process.kill()
            process.wait()
    killed = code == -number if number is signal.SIGKILL else code not in (0, 1)
    assert code == 0 or (killed and kill_at), f"{code}: {log.read_text(encoding='utf-8')}"
    return code != 0


def after_the_kill(
    server: LocalProvider | LocalAssistant, engine: Engine, provider: str = "%"
) -> Interrupted:
    """Return the state once nothing of the killed process can change it any more; ``provider``:
    pattern of the calls that are counted.
    """
    query = text(
        "select count(*) from pg_stat_activity where datname = current_database() "
        "and pid <> pg_backend_pid()"
    )
    with engine.connect() as connection:
        deadline = time.monotonic() + 30
        while connection.execute(query).scalar_one():
            assert time.monotonic() < deadline, "connections of the killed process stay open"
            connection.rollback()
            time.sleep(0.05)
        counted = text("select count(*) from rag_bench.llm_call where provider like :provider")
        kept = connection.execute(counted, {"provider": provider}).scalar_one()
    return Interrupted(server.count, int(kept))


def numbers(engine: Engine) -> dict[str, Sequence[Any]]:
    """Return everything measured but times, by what was measured: metrics, and cases."""
    with engine.connect() as connection:
        evaluations = connection.execute(
            text(
                "select distinct on (tier, kind, generation_model, benchmark_judge_model, "
                "production_judge_model) * from rag_bench.evaluation order by tier, kind, "
                "generation_model, benchmark_judge_model, production_judge_model, id desc"
            )
        ).all()
        found: dict[str, Sequence[Any]] = {}
        for row in evaluations:
            roles = (row.generation_model, row.benchmark_judge_model, row.production_judge_model)
            cases = connection.execute(
                text(
                    "select case_id, repeat, answer, citations, scores - 'latency_ms' as scores, "
                    "error_code, flags from rag_bench.evaluation_case where evaluation_id = :id "
                    "order by case_id, repeat"
                ),
                {"id": row.id},
            ).all()
            metrics = {n: m for n, m in row.metrics.items() if "latency" not in n}
            name = " ".join(filter(None, (row.tier, row.kind, *roles)))
            found[name] = [row.status, row.errors, metrics, [tuple(case) for case in cases]]
    return found


def same(one: Any, other: Any) -> bool:
    """Whether two runs' numbers are equal, but for the last digits of float32 vectors: their
    rounding depends on which texts share a batch.
    """
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, abs_tol=1e-5)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)
