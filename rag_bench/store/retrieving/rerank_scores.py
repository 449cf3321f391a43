"""Scores of rerankers: written once, read back by (reranker, question, passage).

A reranker's key is the hash of all that its scores depend on, so a score is good for every run and
every retriever that has this reranker. Of two that make the same one, the first is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sqlalchemy import Engine, text

from rag_bench.store.tables import SCHEMA

_READ_BLOCK = 500  # questions
_WRITE_BLOCK = 10_000  # pairs

Pair = tuple[str, str]
"""The hashes of a question and of a passage."""


def stored_scores(
    engine: Engine, reranker: str, question_hashes: Iterable[str]
) -> dict[Pair, float]:
    """Return all scores of these questions by a reranker."""
    query = text(
        f"""
        select question_hash, text_hash, score from {SCHEMA}.rerank_score
        join unnest(cast(:hashes as text[])) as wanted (question_hash) using (question_hash)
        where reranker = :reranker
        """
    )
    wanted = sorted(set(question_hashes))
    found: dict[Pair, float] = {}
    with engine.connect() as connection:
        for start in range(0, len(wanted), _READ_BLOCK):
            block = wanted[start : start + _READ_BLOCK]
            for row in connection.execute(query, {"reranker": reranker, "hashes": block}):
                found[row.question_hash, row.text_hash] = row.score
    return found


def save_scores(engine: Engine, reranker: str, scores: Mapping[Pair, float]) -> int:
    """Store scores; those already there are left as they are.

    Returns:
        How many rows were new.

    Raises:
        ValueError: a score is not finite, which is none.
    """
    if any(score != score or abs(score) == float("inf") for score in scores.values()):
        raise ValueError("a score must be a finite number")
    query = text(
        f"""
        insert into {SCHEMA}.rerank_score (reranker, question_hash, text_hash, score)
        select :reranker, question_hash, text_hash, score
        from unnest(
            cast(:questions as text[]), cast(:texts as text[]), cast(:scores as float8[])
        ) as new (question_hash, text_hash, score)
        on conflict do nothing
        """
    )
    # In one order by all writers, so that two of them wait for each other in one direction.
    pairs = sorted(scores)
    n = 0
    for start in range(0, len(pairs), _WRITE_BLOCK):
        block = pairs[start : start + _WRITE_BLOCK]
        values = {
            "reranker": reranker,
            "questions": [question for question, _ in block],
            "texts": [passage for _, passage in block],
            "scores": [scores[pair] for pair in block],
        }
        with engine.begin() as connection:
            n += int(connection.execute(query, values).rowcount)
    return n
