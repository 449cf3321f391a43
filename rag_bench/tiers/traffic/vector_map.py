"""The map of chunks and questions: where each lies on a plane. No model is asked."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.tiers.traffic.analysis import Analysis, Found

#: Of the evaluations that hold it.
TIER = "analytics_map"
CHUNK, QUESTION = "chunk:", "question:"
_DIGITS = 4


@dataclass(frozen=True)
class MapConfig:
    """``question_limit``: a random sample of so many questions of users, if there are more."""

    question_limit: int = 1000


def vector_map(analysis: Analysis, config: MapConfig) -> StoredEvaluation:
    """Lay out all chunks and a sample of users' questions. One case per point.

    Raises:
        NoQuestionsError: nobody has asked anything.
    """
    questions = analysis.real_questions(config.question_limit)

    def measure() -> Found:
        from rag_bench.analytics.vector_map import on_a_plane

        chunks = analysis.chunks
        vectors = np.vstack([analysis.chunk_vectors(), analysis.question_vectors(questions.asked)])
        places = on_a_plane(vectors).round(_DIGITS).tolist()
        ids = [f"{CHUNK}{chunk.chunk_hash}" for chunk in chunks]
        ids += [f"{QUESTION}{question.id}" for question in questions.asked]
        answered = [None] * len(chunks) + [question.answered for question in questions.asked]
        cases = [
            Case(case, scores={"x": x, "y": y, "answered": was})
            for case, (x, y), was in zip(ids, places, answered, strict=True)
        ]
        return {}, {"chunks": len(chunks), "questions": len(questions.asked)}, cases

    return analysis.once(TIER, questions, asdict(config), measure, version="1")
