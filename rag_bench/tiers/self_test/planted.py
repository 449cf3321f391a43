"""Faults planted through the whole path, by a process of its own: one evaluation, a case per fault.

The process (`rag_bench.planted`) works on scratch databases beside the user's, with the offline
models; of the user's environment it gets what the encoder needs. What it finds comes line by line.
Asks no provider.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from rag_bench import progress
from rag_bench.errors import RagBenchError
from rag_bench.hashing import content_hash, file_sha256
from rag_bench.settings import PROJECT_ROOT
from rag_bench.store.evaluations import Case, NewEvaluation, StoredEvaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

TIER = "self_test_planted_faults"
#: The sources of the world that faults are planted in.
DATA = PROJECT_ROOT / "data"
_SOURCES = ("corpus", "phrasings", "gold", "show_hide")
_CODE = (".py", ".md", ".sql", ".toml", ".txt", ".json")
_COMMAND = (
    "import sys; sys.path[:] = {path!r}; from rag_bench.planted.process import main; "
    "sys.exit(main())"
)
# What the process must not see: keys, models, extensions and settings of the user's.
_NOT_GIVEN = ("PROVIDER_", "RAG_BENCH_", "GENERATION_", "JUDGE_", "BENCHMARKS_JUDGE_")
_NOT_GIVEN_ENDS = ("_GEN_MODELS", "_JUDGE_MODELS")
_GIVEN = (
    *("RAG_BENCH_HOME", "RAG_BENCH_ENCODER", "RAG_BENCH_ENCODER_MAX_TOKENS"),
    "RAG_BENCH_ENCODER_BATCH_SIZE",
)
_SECONDS_TO_LEAVE = 60.0

Report = Callable[[str, int, int], None]


def try_faults(
    engine: Engine,
    faults: Sequence[str] = (),
    *,
    data: Path = DATA,
    run_id: str | None = None,
    report: Report = progress.report,
) -> StoredEvaluation:
    """Plant faults, each through the whole path, and store what found them.

    The same faults under the same code are found, not planted again.

    Args:
        engine: the user's database; only the result is written to it.
        faults: which, by name; none: all. The controls are always among them.
        data: sources of the world.
        run_id: the Dagster run, for the record.
        report: told how far it is.

    Raises:
        RagBenchError: no such fault, a server that lets us make no databases, or a world that is
            not sound before anything is planted.
    """
    from rag_bench.store import evaluations

    code = code_hash(data)
    settings = {"self_test": "planted faults", "faults": sorted(set(faults)), "code": code}
    address = content_hash(settings)
    if found := evaluations.find_finished(engine, address):
        return found
    started = datetime.now(UTC)
    rows = list(_rows(engine, faults, data, report))
    new = NewEvaluation(
        TIER,
        "metrics",
        address,
        settings,
        address,
        started,
        dagster_run_id=run_id,
        inputs={
            "code": code,
            "planted": sum(not row["control"] for row in rows),
            "seconds": {f"{row['fault']}, {row['size']}": row.pop("seconds") for row in rows},
        },
    )
    cases = [
        Case(f"{line:02} {row['fault']}: {row['size']}", scores={"line": line, **row})
        for line, row in enumerate(rows)
    ]
    return evaluations.save_evaluation(engine, new, cases, n_scored=len(cases))


def faults_meant(said: str) -> list[str] | None:
    """Return the names in the words of the setting: ``all`` (an empty list), ``none`` (None), or
    names separated by commas.
    """
    names = [name.strip() for name in said.split(",") if name.strip()]
    if names == ["none"]:
        return None
    return [] if names == ["all"] else names


def is_of_this_code(found: StoredEvaluation) -> bool:
    """Whether a stored trial was of the code that runs now."""
    return bool(found.inputs.get("code") == code_hash())


def code_hash(data: Path = DATA) -> str:
    """Return the address of all that the trial runs: this code, and the sources of the world."""
    package = PROJECT_ROOT / "rag_bench"
    files = [path for path in package.rglob("*") if path.suffix in _CODE]
    files += [path for name in _SOURCES for path in (data / name).glob("*") if path.is_file()]
    return content_hash(sorted([path.name, file_sha256(path)] for path in files))


def _rows(
    engine: Engine, faults: Sequence[str], data: Path, report: Report
) -> Iterator[dict[str, Any]]:
    url = engine.url.render_as_string(hide_password=False)
    orders = {"url": url, "data": str(data.absolute()), "faults": list(faults)}
    with _process() as child:
        stdin, stdout = cast(IO[str], child.stdin), cast(IO[str], child.stdout)
        stdin.write(json.dumps(orders) + "\n")
        stdin.flush()
        ended = False
        for line in stdout:
            said = json.loads(line)
            if "error" in said:
                raise RagBenchError(said["error"])
            if "progress" in said:
                report(*said["progress"])
            if "row" in said:
                yield said["row"]
            ended = ended or "done" in said
        if not ended:
            raise RagBenchError(
                "The process that plants faults ended before it was done; what it printed is "
                "above. Nothing was stored; run it again."
            )


@contextmanager
def _process() -> Iterator[subprocess.Popen[str]]:
    """Start it; at the end of the block its stdin closes, by which it leaves, and cleans up."""
    child = subprocess.Popen(
        [sys.executable, "-c", _COMMAND.format(path=sys.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=environment(os.environ),
        # Ctrl-C is told to us; the process hears of it by its stdin, and cleans up undisturbed.
        start_new_session=True,
    )
    try:
        yield child
    finally:
        cast(IO[str], child.stdin).close()
        try:
            child.wait(_SECONDS_TO_LEAVE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        cast(IO[str], child.stdout).close()


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """Return what the process gets of an environment: no key, no model, no setting but the
    encoder's, and no file of settings.
    """
    kept = {
        name: value
        for name, value in given.items()
        if name in _GIVEN or not (name.startswith(_NOT_GIVEN) or name.endswith(_NOT_GIVEN_ENDS))
    }
    return {**kept, "RAG_BENCH_ENV_FILES": "0", "DAGSTER_DISABLE_TELEMETRY": "1"}
