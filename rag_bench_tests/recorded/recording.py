"""What was swept for the recorded store, how, and what is shown of it: the same for every version.

``python -m recording FOLDER DATABASE_URL`` made the recording beside it, run with the sources of
the version to be recorded first on the path (they need nothing of this one); it is never made by
the tests. Only names that a version has in common with its neighbours are used.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg
    from sqlalchemy import Engine

HERE = Path(__file__).parent
DATA = HERE / "data"
STORE = HERE / "store.sql.gz"
SHOWN = HERE / "shown.json.gz"
#: A judge of replies that cannot be read is among them: its failed cases are in the store.
GENERATORS = ("simulator/sim-strong", "simulator/sim-weak")
JUDGES = ("simulator/sim-judge-sharp", "simulator/sim-judge-fragile")
GATES = ("simulator/sim-gate-fragile",)
TIERS = ("0", "1", "2", "3", "ux", "judge", "judge_pipeline")
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"consistency_runs": 2, "tier3_all_rubrics": True},
    "cached": {
        "cached_answers": True,
        "cache_threshold": 0.9,
        "search": "hnsw",
        "contexts_per_answer": 2,
        "judge_eval_mode": "reasoned",
    },
    "trial": {"limit": 2},
}
ANALYSES = ("chunk_utilization", "domain_insights")


def environment(database_url: str, reports: Path) -> dict[str, str]:
    """Return the variables under which all was, and is, run; ``DATA`` must be on the path."""
    return {
        "RAG_BENCH_DATABASE_URL": database_url,
        "RAG_BENCH_DATA_DIR": str(DATA),
        "RAG_BENCH_REPORTS_DIR": str(reports),
        # By its name and not its path, which is in the hash of what it measured.
        "RAG_BENCH_CUSTOM_METRICS": "words=word_counts:words",
    }


def sweep(instance: dg.DagsterInstance, *, load: bool) -> list[str]:
    """Sweep all models under each of the settings; return what went wrong."""
    from rag_bench.partitions import ModelLists
    from rag_bench.sweep import Sweep, SweepRequest

    models = ModelLists(GENERATORS, JUDGES, GATES)
    running = Sweep(instance, models)
    results = []
    if load:
        results.append(running.materialize("load", ["dump", "chunk", "question_answer"]))
    for benchmark in SETTINGS.values():
        options = frozenset({"ragas", "custom_metrics"})
        request = SweepRequest(models, frozenset(TIERS), benchmark, options)
        results += running.run(request, lambda name: None)
    results += [running.materialize(name, [name]) for name in ANALYSES]
    return [f"{one.name}: {error}" for one in results for error in one.errors]


def evaluations(engine: Engine) -> list[dict[str, Any]]:
    """Return each evaluation as its row has it, without times and commits, by id."""
    left_out = ("started_at", "finished_at", "git_commit", "dagster_run_id", "trace_id")
    return [
        {name: value for name, value in row.items() if name not in left_out}
        for row in _rows(engine, "select * from rag_bench.evaluation order by id")
    ]


def shown(engine: Engine) -> dict[str, Any]:
    """Return what a user is shown: leaderboards, joined runs and versions per settings hash."""
    from rag_bench.reporting.leaderboard import build
    from rag_bench.store import evaluations as store

    hashes = [
        row["settings_hash"]
        for row in _rows(
            engine,
            "select distinct settings_hash from rag_bench.evaluation where tier = '2' order by 1",
        )
    ]
    return json.loads(
        json.dumps(
            {
                settings: {
                    "leaderboard": build(engine, settings).as_json(),
                    "model_runs": store.model_runs(engine, settings),
                    "version": store.version_of_all(engine, settings),
                    "versions": {
                        str(one.id): one.version for one in store.joined(engine, settings)
                    },
                }
                for settings in hashes
            }
        )
    )


def programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    from rag_bench.store.embedded import pg_bin

    return pg_bin()


def load(database_url: str, file: Path = STORE) -> None:
    """Load a recorded store into an empty database that has its extensions.

    Raises:
        subprocess.CalledProcessError: the server refuses any of it.
    """
    subprocess.run(
        [programs() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-1", "-d", database_url],
        input=gzip.decompress(file.read_bytes()),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=True,
    )


def recorded() -> dict[str, Any]:
    """Return what was shown when the store was recorded, and its evaluations."""
    found: dict[str, Any] = json.loads(gzip.decompress(SHOWN.read_bytes()))
    return found


def _rows(engine: Engine, query: str) -> Iterable[dict[str, Any]]:
    from sqlalchemy import text

    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(query)).mappings()]


def _record(folder: Path, database_url: str) -> None:
    import dagster as dg

    from rag_bench.store.database import make_engine
    from rag_bench.store.migrate import migrate

    with tempfile.TemporaryDirectory() as reports:
        os.environ.update(environment(database_url, Path(reports)))
        sys.path.append(str(DATA))
        engine = make_engine(database_url)
        migrate(engine)
        with dg.DagsterInstance.ephemeral() as instance:
            for error in sweep(instance, load=True):
                print("went wrong:", error)
    as_text = json.dumps(
        {"shown": shown(engine), "evaluations": evaluations(engine)},
        ensure_ascii=False,
        sort_keys=True,
    )
    dumped = subprocess.run(
        [
            programs() / "pg_dump",
            *("--schema=rag_bench", "--no-owner", "--no-privileges", "-d", database_url),
        ],
        stdout=subprocess.PIPE,
        check=True,
    )
    for name, content in ((STORE.name, dumped.stdout), (SHOWN.name, as_text.encode())):
        (folder / name).write_bytes(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    _record(Path(sys.argv[1]), sys.argv[2])
