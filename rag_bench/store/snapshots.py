"""Snapshots: what one file held, stored once, and the pointer to the current one.

A snapshot is immutable and addressed by its file's sha256. Loading is one transaction: the rows,
the snapshot and the pointer appear together or not at all, so a load that fails or is killed
leaves the last good snapshot current.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from rag_bench.errors import DumpError
from rag_bench.hashing import corpus_hash, text_hash
from rag_bench.store import tables
from rag_bench.store.chunk_diff import ChunkDiff, diff_chunks
from rag_bench.store.copying import copy_rows
from rag_bench.store.ids import id_order, identifier, plain_number

__all__ = [
    "ChunkDiff",
    "ChunkRecord",
    "LoadReport",
    "NewSnapshot",
    "QuestionRecord",
    "SnapshotInfo",
    "chunks_of",
    "clear_current",
    "current_snapshot",
    "diff_chunks",
    "get_snapshot",
    "list_snapshots",
    "questions_of",
    "require_current",
    "save_snapshot",
    "set_current",
    "set_default_dataset",
    "snapshot_exists",
]

_LOCK = 7_240_613_002  # any number of ours: one load at a time


@dataclass(frozen=True, slots=True)
class ChunkRecord:
    """A chunk of a snapshot. ``chunk_hash`` is its address, ``position`` its place in the file."""

    chunk_hash: str
    position: int
    source_id: int | str | None
    page_url: str
    text: str
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuestionRecord:
    """A user's question of a snapshot; ``source_id`` is its id in the dump."""

    source_id: int | str
    question: str
    answer: str | None = None
    page_url: str | None = None
    score: int | float | None = None
    user_id: int | str | None = None
    stop_point: bool | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class NewSnapshot:
    """What is to be stored. ``chunks`` have distinct hashes, ``questions`` distinct ids."""

    sha256: str
    name: str
    kind: str  # "dump" or "squad"
    size_bytes: int
    chunks: Sequence[ChunkRecord]
    questions: Sequence[QuestionRecord]
    report: dict[str, Any] = field(default_factory=dict)
    default_dataset_id: str | None = None


@dataclass(frozen=True)
class SnapshotInfo:
    """A stored snapshot, without its rows."""

    sha256: str
    name: str
    kind: str
    size_bytes: int
    corpus_hash: str
    n_chunks: int
    n_questions: int
    default_dataset_id: str | None
    report: dict[str, Any]
    loaded_at: datetime


#: In place of a snapshot where nothing is read of one: no chunk is known, and none is looked for.
NOTHING = SnapshotInfo("", "no snapshot", "", 0, "", 0, 0, None, {}, datetime.min)


@dataclass(frozen=True)
class LoadReport:
    """What a load did. ``diff`` is None if no other snapshot was current before."""

    snapshot: SnapshotInfo
    reused: bool  # the same file had been loaded before: nothing was written but the pointer
    previous_sha256: str | None
    diff: ChunkDiff | None

    def to_json(self) -> dict[str, Any]:
        """Return counts and examples for metadata and logs."""
        info = self.snapshot
        return {
            "sha256": info.sha256,
            "name": info.name,
            "kind": info.kind,
            "n_chunks": info.n_chunks,
            "n_questions": info.n_questions,
            "corpus_hash": info.corpus_hash,
            "reused": self.reused,
            "previous_sha256": self.previous_sha256,
            "diff": self.diff.to_json() if self.diff is not None else None,
        }


def save_snapshot(engine: Engine, snapshot: NewSnapshot) -> LoadReport:
    """Store a snapshot and make it the current one, in one transaction.

    A snapshot of the same file is not written again. Any error leaves everything as it was.

    Raises:
        DumpError: the snapshot has no chunk.

    """
    if not snapshot.chunks:
        raise DumpError("A snapshot without chunks cannot be measured; nothing was loaded.")
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        previous = _current(connection)
        reused = _get(connection, snapshot.sha256) is not None
        diff = None
        if previous is not None and previous.sha256 != snapshot.sha256:
            diff = diff_chunks(_chunks(connection, previous.sha256), snapshot.chunks)
        if not reused:
            _write(connection, snapshot, previous, diff)
        elif snapshot.default_dataset_id is not None:
            _set_default(connection, snapshot.sha256, snapshot.default_dataset_id)
        _point(connection, snapshot.sha256)
        info = _get(connection, snapshot.sha256)
        assert info is not None
    return LoadReport(info, reused, previous.sha256 if previous else None, diff)


def _write(
    connection: Connection,
    snapshot: NewSnapshot,
    previous: SnapshotInfo | None,
    diff: ChunkDiff | None,
) -> None:
    report = dict(snapshot.report)
    if previous is not None and diff is not None:
        report["diff"] = {"previous_sha256": previous.sha256, **diff.to_json()}
    connection.execute(
        insert(tables.dump).values(
            sha256=snapshot.sha256,
            name=snapshot.name,
            kind=snapshot.kind,
            size_bytes=snapshot.size_bytes,
            corpus_hash=corpus_hash(row.chunk_hash for row in snapshot.chunks),
            n_chunks=len(snapshot.chunks),
            n_questions=len(snapshot.questions),
            default_dataset_id=snapshot.default_dataset_id,
            report=report,
        )
    )
    sha = snapshot.sha256
    copy_rows(
        connection,
        "chunk",
        "dump_sha256, chunk_hash, position, source_id, page_url, text, text_hash, "
        "created_at, updated_at",
        (
            (
                *(sha, row.chunk_hash, row.position, _text(row.source_id), row.page_url, row.text),
                *(text_hash(row.text), row.created_at, row.updated_at),
            )
            for row in snapshot.chunks
        ),
    )
    copy_rows(
        connection,
        "question_answer",
        "dump_sha256, source_id, question, answer, page_url, score, user_id, stop_point, "
        "created_at",
        (
            (
                *(sha, _text(row.source_id), row.question, row.answer, row.page_url, row.score),
                *(_text(row.user_id), row.stop_point, row.created_at),
            )
            for row in snapshot.questions
        ),
    )


def _text(found: int | str | None) -> str | None:
    return None if found is None else str(found)


def _point(connection: Connection, sha256: str) -> None:
    statement = insert(tables.current_snapshot).values(only_row=True, dump_sha256=sha256)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["only_row"],
            set_={"dump_sha256": sha256, "set_at": func.now()},
            where=tables.current_snapshot.c.dump_sha256 != sha256,
        )
    )


def _info(row: Any) -> SnapshotInfo:
    return SnapshotInfo(**row._mapping)


_INFO = tuple(tables.dump.c[name] for name in SnapshotInfo.__dataclass_fields__)


def _get(connection: Connection, sha256: str) -> SnapshotInfo | None:
    row = connection.execute(select(*_INFO).where(tables.dump.c.sha256 == sha256)).one_or_none()
    return _info(row) if row is not None else None


def _current(connection: Connection) -> SnapshotInfo | None:
    row = connection.execute(
        select(*_INFO).join_from(tables.dump, tables.current_snapshot)
    ).one_or_none()
    return _info(row) if row is not None else None


def current_snapshot(engine: Engine) -> SnapshotInfo | None:
    """Return the current snapshot; None: nothing was loaded, or the pointer was cleared."""
    with engine.connect() as connection:
        return _current(connection)


def require_current(engine: Engine) -> SnapshotInfo:
    """Return the current snapshot.

    Raises:
        DumpError: there is none; the message says how to load one.

    """
    info = current_snapshot(engine)
    if info is None:
        raise DumpError(
            "No dump is loaded. Run `rag-bench load-dump PATH` (or put a dump into data/dumps/ "
            "and materialize the asset `dump`), `rag-bench import-squad FILE`, or `make demo`."
        )
    return info


def get_snapshot(engine: Engine, sha256: str) -> SnapshotInfo | None:
    """Return a stored snapshot by its file's hash."""
    with engine.connect() as connection:
        return _get(connection, sha256)


def snapshot_exists(engine: Engine, sha256: str) -> bool:
    """Whether this file was ever loaded."""
    return get_snapshot(engine, sha256) is not None


def list_snapshots(engine: Engine) -> list[SnapshotInfo]:
    """Return every snapshot, the newest first."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(*_INFO).order_by(tables.dump.c.loaded_at.desc(), tables.dump.c.sha256)
        )
        return [_info(row) for row in rows]


def set_current(engine: Engine, sha256: str) -> SnapshotInfo:
    """Point at a stored snapshot.

    Raises:
        DumpError: there is no such snapshot.

    """
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        info = _get(connection, sha256)
        if info is None:
            raise DumpError(f"No snapshot {sha256[:12]} is stored. Run `rag-bench load-dump PATH`.")
        _point(connection, sha256)
    return info


def clear_current(engine: Engine) -> bool:
    """Point at no snapshot; all stored rows and results stay. Return whether there was one."""
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        return connection.execute(delete(tables.current_snapshot)).rowcount > 0


def set_default_dataset(engine: Engine, sha256: str, dataset_id: str | None) -> None:
    """Remember which dataset is used with a snapshot when none is named.

    Raises:
        DumpError: there is no such snapshot.

    """
    with engine.begin() as connection:
        _set_default(connection, sha256, dataset_id)


def _set_default(connection: Connection, sha256: str, dataset_id: str | None) -> None:
    changed = connection.execute(
        update(tables.dump)
        .where(tables.dump.c.sha256 == sha256)
        .values(default_dataset_id=dataset_id)
    )
    if not changed.rowcount:
        raise DumpError(f"No snapshot {sha256[:12]} is stored. Run `rag-bench load-dump PATH`.")


_CHUNK = tuple(tables.chunk.c[name] for name in ChunkRecord.__dataclass_fields__)
QUESTION_COLUMNS = tuple(
    tables.question_answer.c[name] for name in QuestionRecord.__dataclass_fields__
)


def _chunks(connection: Connection, sha256: str) -> list[ChunkRecord]:
    rows = connection.execute(
        select(*_CHUNK)
        .where(tables.chunk.c.dump_sha256 == sha256)
        .order_by(tables.chunk.c.position)
    )
    return [_with_id(ChunkRecord(*row)) for row in rows]


def _with_id(chunk: ChunkRecord) -> ChunkRecord:
    stored = chunk.source_id
    return replace(chunk, source_id=identifier(stored)) if isinstance(stored, str) else chunk


def chunks_of(engine: Engine, sha256: str) -> list[ChunkRecord]:
    """Return a snapshot's chunks in the order of the file."""
    with engine.connect() as connection:
        return _chunks(connection, sha256)


def questions_of(engine: Engine, sha256: str) -> list[QuestionRecord]:
    """Return a snapshot's user questions by their id in the dump."""
    with engine.connect() as connection:
        rows = connection.execute(
            select(*QUESTION_COLUMNS).where(tables.question_answer.c.dump_sha256 == sha256)
        )
        found = [question_record(row) for row in rows]
    return sorted(found, key=lambda row: id_order(row.source_id))


def question_record(row: Sequence[Any]) -> QuestionRecord:
    """Return a stored row of ``QUESTION_COLUMNS``, its ids and rating as they were in the dump."""
    values = dict(zip(QuestionRecord.__dataclass_fields__, row, strict=True))
    user = values["user_id"]
    values["source_id"] = identifier(str(values["source_id"]))
    values["user_id"] = None if user is None else identifier(str(user))
    values["score"] = plain_number(values["score"])
    return QuestionRecord(**values)
