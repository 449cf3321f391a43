"""Make a real dump of the demo: production's tables in a scratch database, written by pg_dump.

The same sources give the same bytes, and a file that is already there and right is left alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bench.demo.corpus import read_corpus, read_phrasings
from rag_bench.demo.production import fill_production
from rag_bench.demo.traffic import DEFAULT_ROWS, DEFAULT_SEED, generate_traffic
from rag_bench.errors import RagBenchError
from rag_bench.hashing import content_hash, file_sha256
from rag_bench.store.database import libpq_url
from rag_bench.store.embedded import EmbeddedServer, pg_bin

DUMP_NAME = "virtassist_demo_20260213.dump"  # the day after the newest question
RECEIPT_NAME = ".virtassist_demo.json"  # hidden: whoever looks for dumps passes over it

# A name that no one gives a database of their own: leftovers of killed builds are dropped by it.
_SCRATCH_NAME = "rag_bench_scratch_demo_{}"
_SCRATCH_PATTERN = "^rag_bench_scratch_demo_[0-9a-f]{32}$"
_BUILD_LOCK = 7_265_101  # of PostgreSQL's advisory locks: one build per server at a time


@dataclass(frozen=True)
class BuiltDump:
    """A demo dump. ``reused``: it was there, whole, and made of the same sources."""

    path: Path
    sha256: str
    n_chunks: int
    n_questions: int
    reused: bool


def build_demo_dump(
    data_dir: Path,
    out_dir: Path,
    server: EmbeddedServer | str,
    *,
    n_rows: int = DEFAULT_ROWS,
    seed: int = DEFAULT_SEED,
) -> BuiltDump:
    """Write ``out_dir/virtassist_demo_20260213.dump`` from the sources in ``data_dir``.

    Args:
        data_dir: the folder with ``corpus/`` and ``phrasings/``.
        out_dir: made if absent; the file appears in it whole or not at all.
        server: the embedded server, started if need be, or the libpq URL of a database whose
            user may create databases and has pgvector at hand.
        n_rows: rows of ``question_answer``.
        seed: of the generated traffic.

    Raises:
        RagBenchError: sources that cannot be read, or a server that cannot do it.

    """
    digest = _source_hash(data_dir, n_rows, seed)
    if found := _existing(out_dir, digest):
        return found
    import psycopg

    corpus = read_corpus(data_dir)
    traffic = generate_traffic(corpus, read_phrasings(data_dir, corpus), n_rows, seed)
    if isinstance(server, EmbeddedServer):
        server.start()
        admin_url = server.url("postgres")
    else:
        admin_url = libpq_url(server)
    out_dir.mkdir(parents=True, exist_ok=True)
    part = out_dir / f".{DUMP_NAME}.{os.getpid()}.part"
    try:
        with _scratch_database(admin_url) as scratch:
            with psycopg.connect(**scratch) as connection:
                fill_production(connection, corpus, traffic)
            _pg_dump(scratch, part, digest)
        sha256 = file_sha256(part)
        # The receipt first: without its file it is ignored, so a kill in between does no harm.
        receipt = {
            "sources": digest,
            "sha256": sha256,
            "n_chunks": corpus.n_chunks,
            "n_questions": len(traffic),
        }
        _write_receipt(out_dir / RECEIPT_NAME, receipt)
        part.replace(out_dir / DUMP_NAME)
    except psycopg.Error as error:
        raise RagBenchError(f"The demo dump could not be built: {str(error).strip()}") from error
    finally:
        part.unlink(missing_ok=True)
    return BuiltDump(out_dir / DUMP_NAME, sha256, corpus.n_chunks, len(traffic), reused=False)


def _source_hash(data_dir: Path, n_rows: int, seed: int) -> str:
    """Address everything that the file is made of: the texts, this package's code, pg_dump."""
    code = Path(__file__).parent
    sources = {
        f"{folder.name}/{path.name}": file_sha256(path)
        for folder, pattern in (
            (data_dir / "corpus", "*.md"),
            (data_dir / "phrasings", "*.jsonl"),
            (code, "*.py"),
            (code, "*.sql"),
        )
        for path in sorted(folder.glob(pattern))
    }
    program = _run([str(pg_bin() / "pg_dump"), "--version"], {}).strip()
    return content_hash([sources, n_rows, seed, program])


def _existing(out_dir: Path, digest: str) -> BuiltDump | None:
    """Return the dump that is there, if its receipt and its bytes say that it is this one."""
    path = out_dir / DUMP_NAME
    try:
        receipt = json.loads((out_dir / RECEIPT_NAME).read_text(encoding="utf-8"))
        if receipt["sources"] != digest or file_sha256(path) != receipt["sha256"]:
            return None
        return BuiltDump(
            path,
            receipt["sha256"],
            int(receipt["n_chunks"]),
            int(receipt["n_questions"]),
            reused=True,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_receipt(path: Path, receipt: dict[str, Any]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")
    part.replace(path)


@contextlib.contextmanager
def _scratch_database(admin_url: str) -> Iterator[dict[str, Any]]:
    """Yield the connection parameters of an empty database that is dropped in the end.

    Under a lock, and leftovers of builds that were killed are dropped first.
    """
    import psycopg
    from psycopg import sql
    from psycopg.conninfo import conninfo_to_dict

    parameters = conninfo_to_dict(admin_url)
    name = _SCRATCH_NAME.format(uuid.uuid4().hex)
    with psycopg.connect(**parameters, autocommit=True) as admin:  # type: ignore[arg-type]
        admin.execute("select pg_advisory_lock(%s)", [_BUILD_LOCK])
        stale = admin.execute(
            "select datname from pg_database where datname ~ %s", [_SCRATCH_PATTERN]
        ).fetchall()
        drop = sql.SQL("drop database if exists {} with (force)")
        for (old,) in stale:
            admin.execute(drop.format(sql.Identifier(old)))
        admin.execute(
            sql.SQL("create database {} template template0 encoding 'UTF8'").format(
                sql.Identifier(name)
            )
        )
        try:
            yield {**parameters, "dbname": name}
        finally:
            admin.execute(drop.format(sql.Identifier(name)))


def _pg_dump(scratch: dict[str, Any], path: Path, digest: str) -> None:
    """Write the database as plain SQL. Nothing in it depends on the time, the user or the zone."""
    from psycopg.conninfo import make_conninfo

    public = {name: value for name, value in scratch.items() if name != "password"}
    command = [
        str(pg_bin() / "pg_dump"),
        "--no-password",
        "--no-owner",
        "--no-privileges",
        "--encoding=UTF8",
        # Newer versions guard psql with a key that is random unless given.
        f"--restrict-key={digest[:32]}",
        f"--file={path}",
        f"--dbname={make_conninfo('', **public)}",
    ]
    # The password goes by the environment: arguments are seen by every user of the machine.
    secret = {"PGPASSWORD": str(scratch["password"])} if scratch.get("password") else {}
    _run(command, {"PGTZ": "UTC", **secret})


def _run(command: list[str], variables: dict[str, str]) -> str:
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **variables}
    if home := os.environ.get("HOME"):  # of ~/.pgpass and client certificates
        environment["HOME"] = home
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RagBenchError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout
