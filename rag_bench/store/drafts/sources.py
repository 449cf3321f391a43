"""Cases that no dataset holds, for drafts: of a run of the service, and what users really asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from rag_bench.store.datasets import Item
from rag_bench.store.drafts.drafts import Added, NoCaseError, put
from rag_bench.store.drafts.shown import words_of
from rag_bench.store.eval_runs.tables import eval_run, eval_run_case
from rag_bench.store.snapshots import current_snapshot
from rag_bench.store.tables import chunk, question_answer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_UNKNOWN = "There is no such {what}."


@dataclass(frozen=True)
class UsersQuestion:
    """A row of the log: what a user asked. ``place``: among all of its snapshot by id, from 1."""

    place: int
    source_id: str
    question: str
    score: float | None
    asked_at: datetime | None

    @property
    def case_id(self) -> str:
        """What a draft calls it."""
        return case_id_of(self.source_id)


def case_id_of(source_id: str) -> str:
    """Return what a draft calls a user's question."""
    return f"user-{source_id}"


def source_of_log(dump_sha256: str) -> str:
    """Return what drafts call a snapshot's log."""
    return f"traffic:{dump_sha256}"


def source_of_run(run_id: str) -> str:
    """Return what drafts call a run of the service."""
    return f"run:{run_id}"


def users_questions(
    connection: Connection,
    dump_sha256: str,
    *,
    search: str = "",
    place: int | None = None,
    limit: int,
    offset: int = 0,
) -> list[UsersQuestion]:
    """Return what users of a snapshot asked, as they wrote it, newest first; what has no words is
    left out.

    ``search``: words of the question, whatever their case. ``place``: of the only one wanted.
    """
    columns = question_answer.c
    of_log = (
        select(
            func.row_number().over(order_by=columns.source_id).label("place"),
            *(columns.source_id, columns.question, columns.score),
            columns.created_at.label("asked_at"),
        )
        .where(columns.dump_sha256 == dump_sha256)
        .subquery()
    )
    query = select(of_log).where(func.btrim(of_log.c.question) != "")
    if search:
        query = query.where(of_log.c.question.icontains(search, autoescape=True))
    if place is not None:
        query = query.where(of_log.c.place == place)
    newest = of_log.c.asked_at.desc().nulls_last(), of_log.c.place.desc()
    rows = connection.execute(query.order_by(*newest).limit(limit).offset(offset))
    return [UsersQuestion(**row._mapping) for row in rows]


def n_users_questions(connection: Connection, dump_sha256: str) -> int:
    """Return how many `users_questions` there are."""
    columns = question_answer.c
    query = select(func.count()).where(
        columns.dump_sha256 == dump_sha256, func.btrim(columns.question) != ""
    )
    return int(connection.execute(query).scalar_one())


def add_case_of_run(
    connection: Connection, name: str, run_id: str, case_id: str, user_id: str | None
) -> Added:
    """Put a case of a run into a draft: its question, reference answer and chunks as they were
    sent; never the answer that it got.

    Raises:
        NoCaseError: there is no such run or case, or the case has no question.
        RagBenchError: as `put`.
    """
    columns = eval_run_case.c
    query = (
        select(columns.given, columns.known, eval_run.c.config)
        .join(eval_run, eval_run.c.id == columns.run_id)
        .where(columns.run_id == run_id, columns.case_id == case_id)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NoCaseError(_UNKNOWN.format(what="case of such a run"))
    question = row.given.get("question")
    if not isinstance(question, str) or not question.strip():
        raise NoCaseError("The case has no question.")
    hashes = tuple(row.known.get("chunk_hashes") or ())
    pages = select(chunk.c.chunk_hash, chunk.c.page_url).where(
        chunk.c.dump_sha256 == row.config.get("dump_sha256"), chunk.c.chunk_hash.in_(hashes)
    )
    of_chunk = {one.chunk_hash: one.page_url for one in connection.execute(pages)}
    urls = tuple(dict.fromkeys(of_chunk[one] for one in hashes if one in of_chunk))
    item = Item(case_id, question, row.given.get("ground_truth_answer"), hashes, urls)
    return put(connection, name, source_of_run(run_id), item, user_id)


def add_users_question(
    engine: Engine, connection: Connection, name: str, source_id: str, user_id: str | None
) -> Added:
    """Put what a user of the current snapshot asked into a draft, masked: a dataset is sent to
    models and handed on. Its answer is left out, as nobody said that it is right.

    ``source_id``: the question's id in the dump.

    Raises:
        NoCaseError: there is no snapshot, or no such question in it.
        RagBenchError: as `put`.
    """
    snapshot = current_snapshot(engine)
    if snapshot is None:
        raise NoCaseError("No dump is loaded, so there are no users' questions.")
    query = select(question_answer.c.question).where(
        question_answer.c.dump_sha256 == snapshot.sha256,
        question_answer.c.source_id == source_id,
    )
    question = connection.execute(query).scalar_one_or_none()
    if question is None or not question.strip():
        raise NoCaseError(_UNKNOWN.format(what="question of a user in the current snapshot"))
    [(masked, _)] = words_of(engine, [Item(source_id, question)], unmasked=False)
    item = Item(case_id_of(source_id), masked)
    return put(connection, name, source_of_log(snapshot.sha256), item, user_id)
