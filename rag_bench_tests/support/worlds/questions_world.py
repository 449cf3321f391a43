"""A made-up snapshot with users' questions and stored vectors: analytics without an encoder."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from sqlalchemy import Engine

from rag_bench.hashing import chunk_hash, text_hash
from rag_bench.retrieval.identity import encoder_identity
from rag_bench.settings import get_settings
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, QuestionRecord, save_snapshot
from rag_bench.store.vectors import save_vectors

#: (page, text); the last two are far from every question.
CHUNKS = (
    ("stipendiya", "Стипендию платят 25-го числа."),
    ("obshezhitie", "Общежитие стоит 940 рублей в месяц."),
    ("peresdacha", "Пересдачи идут в феврале."),
    ("museum", "Музей открыт по средам. [/b]"),
    ("museum", "Экскурсии ведут студенты."),
)
#: (words, nearest chunk, rows, answer, score)
ASKED = (
    ("когда стипендия", 0, 20, "25-го числа.", 5),
    ("сколько стоит общежитие", 1, 15, "Ответ не найден.", 1),
    ("пересдача экзамена", 2, 10, None, None),
)
_DIMENSION = 384


def questions() -> list[QuestionRecord]:
    """45 questions and a blank one; every second one of the first two kinds is rated."""
    rows = []
    for words, _, n, answer, score in ASKED:
        for i in range(n):
            rows.append(
                QuestionRecord(
                    source_id=len(rows) + 1,
                    question=f"{words} {i}",
                    answer=answer,
                    page_url=None,
                    score=score if i % 2 else None,
                    user_id=1000 + len(rows) // 2,
                    stop_point=False,
                    created_at=datetime(2025, 9 + i % 2, 3, tzinfo=UTC),
                )
            )
    rows.append(QuestionRecord(len(rows) + 1, " "))
    return rows


def chunk_hashes() -> list[str]:
    return [chunk_hash(page, text) for page, text in CHUNKS]


def load(engine: Engine, *, with_questions: bool = True, reverse: bool = False) -> None:
    """Store the snapshot, make it current, and store the vectors of all its texts.

    ``reverse``: another dump of the same texts, in another order, as after a reindex.
    """
    chunks = [
        ChunkRecord(chunk_hash(page, text), position, 100 + position, page, text)
        for position, (page, text) in enumerate(CHUNKS)
    ]
    asked = questions() if with_questions else []
    save_snapshot(
        engine,
        NewSnapshot(
            sha256=text_hash(f"dump {with_questions} {reverse}"),
            name="questions.dump",
            kind="dump",
            size_bytes=1,
            chunks=chunks[::-1] if reverse else chunks,
            questions=asked,
        ),
    )
    identity = encoder_identity(get_settings())
    rng = np.random.default_rng(5)
    axes = np.eye(len(CHUNKS), _DIMENSION)
    vectors = {identity.passage_text(text): axes[n] for n, (_, text) in enumerate(CHUNKS)}
    for words, nearest, n, _, _ in ASKED:
        for i in range(n):
            near = axes[nearest] + 0.01 * rng.normal(size=_DIMENSION)
            # Of the chunks that are not asked for, none may come second by chance.
            near += 0.1 * axes[(nearest + 1) % len(ASKED)]
            vectors[identity.query_text(f"{words} {i}")] = near
    for n, (_, text) in enumerate(CHUNKS):
        vectors[identity.query_text(f"О чём: {text}")] = axes[n]
    matrix = np.array(list(vectors.values()), dtype=np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    save_vectors(
        engine,
        identity.key,
        identity.name,
        [text_hash(text) for text in vectors],
        matrix,
        np.ones(len(vectors), dtype=np.int32),
        np.zeros(len(vectors), dtype=bool),
    )


def write_synthetic(engine: Engine, n: int = 4) -> str:
    """Store a synthetic dataset of ``n`` questions, one about each of the first chunks."""
    items = [
        Item(f"s{i}", f"О чём: {text}", chunk_hashes=(chunk_hash(page, text),), page_urls=(page,))
        for i, (page, text) in enumerate(CHUNKS[:n])
    ]
    return save_dataset(engine, "synthetic", "synthetic", items).id
