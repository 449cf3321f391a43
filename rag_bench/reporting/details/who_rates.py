"""Who rates answers in production, and how rated answers differ from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rag_bench.hashing import text_hash

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from rag_bench.evaluation.people.user_ratings import Selection
    from rag_bench.settings import Settings
    from rag_bench.store.snapshots import QuestionRecord

_BLOCK = 512


def who_rates(engine: Engine, settings: Settings) -> Selection:
    """Return who rated which answers of the current snapshot: the one function that command,
    dashboard and report show.

    With the similarity of question and nearest chunk where both have vectors; nothing is encoded.
    """
    from rag_bench.evaluation.people.user_ratings import selection_of
    from rag_bench.evaluation.traffic.ratings import NONE
    from rag_bench.store.labels.user_ratings import selection
    from rag_bench.store.snapshots import current_snapshot, questions_of

    snapshot = current_snapshot(engine)
    if snapshot is None:
        return selection_of([], NONE)
    questions = questions_of(engine, snapshot.sha256)
    similarity = _similarities(engine, settings, snapshot.sha256, questions)
    return selection(engine, snapshot.sha256, questions, similarity)


def _similarities(
    engine: Engine, settings: Settings, sha256: str, questions: Sequence[QuestionRecord]
) -> dict[str, float]:
    from rag_bench.errors import RagBenchError
    from rag_bench.retrieval.identity import encoder_identity
    from rag_bench.store.snapshots import chunks_of
    from rag_bench.store.vectors import fetch_matrix, missing

    try:
        identity = encoder_identity(settings)
    except RagBenchError:
        return {}  # no encoder here; what was measured elsewhere is shown all the same
    chunks = [text_hash(identity.passage_text(one.text)) for one in chunks_of(engine, sha256)]
    asked = {str(one.source_id): text_hash(identity.query_text(one.question)) for one in questions}
    if not chunks or missing(engine, identity.key, chunks):
        return {}  # the nearest chunk may be one that has no vector
    absent = missing(engine, identity.key, asked.values())
    there = {case: hashed for case, hashed in asked.items() if hashed not in absent}
    if not there:
        return {}
    of_chunks = fetch_matrix(engine, identity.key, chunks)
    ids, hashes = list(there), list(there.values())
    found: dict[str, float] = {}
    for start in range(0, len(ids), _BLOCK):
        block = fetch_matrix(engine, identity.key, hashes[start : start + _BLOCK])
        best = (block @ of_chunks.T).max(axis=1)
        found |= {
            case: float(value)
            for case, value in zip(ids[start : start + _BLOCK], best, strict=True)
        }
    return found
