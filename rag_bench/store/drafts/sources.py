"""Cases that no dataset holds, for drafts: of a run of the service, and what users really asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from rag_bench.store.datasets import Item
from rag_bench.store.drafts.drafts import Added, NoCaseError, put
from rag_bench.store.drafts.shown import words_of
from rag_bench.store.eval_runs.tables import eval_run, eval_run_case
from rag_bench.store.snapshots import current_snapshot
from rag_bench.store.tables import chunk, question_answer

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_UNKNOWN = "There is no such {what}."


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
    return put(connection, name, f"run:{run_id}", item, user_id)


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
    item = Item(f"user-{source_id}", masked)
    return put(connection, name, f"traffic:{snapshot.sha256}", item, user_id)
