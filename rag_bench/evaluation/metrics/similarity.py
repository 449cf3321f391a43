"""How near an answer's vector lies to its reference's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_bench.evaluation.answer_metrics import AnswerCase, AnswerMetrics
from rag_bench.evaluation.metric_spec import COSINE, Need, Shown, Target, entries
from rag_bench.evaluation.precision import settled

_NEEDS = (Need.in_scope, Need.reference)
_TIERS = ("2", "3")
METRICS = (
    *entries(
        ("semantic_similarity",),
        _TIERS,
        "mean",
        COSINE,
        True,
        "cosine of the embeddings of answer and reference",
        source="numpy",
        needs=_NEEDS,
        shown={"semantic_similarity": Shown("3", "similarity", 50, ranks=3)},
        targets={"semantic_similarity": Target("3", 0.85, "answers end to end", 120)},
    ),
    *entries(
        ("dot_similarity",),
        _TIERS,
        "mean",
        None,
        True,
        "their dot product (the cosine, for an encoder with unit vectors)",
        source="numpy",
        needs=_NEEDS,
    ),
    *entries(
        ("euclidean_distance",),
        _TIERS,
        "mean",
        None,
        False,
        "their L2 distance, from 0",
        source="numpy",
        needs=_NEEDS,
    ),
)
NAMES = tuple(metric.name for metric in METRICS)


def vector_similarities(
    answers: Sequence[np.ndarray | None], references: Sequence[np.ndarray | None]
) -> list[dict[str, float | None]]:
    """Return ``semantic_similarity`` (cosine, -1 to 1), ``dot_similarity`` and
    ``euclidean_distance`` (L2) of every pair of vectors, computed in float64 and rounded to six
    decimals: a vector's cosine with itself is exactly 1.

    All None where either vector is missing. For unit vectors cosine and dot product agree, and
    the distance is sqrt(2 - 2 cosine).

    Raises ValueError for unequal lengths or dimensions, NaN or infinity, or a zero vector.
    """
    if len(answers) != len(references):
        raise ValueError(f"{len(answers)} answers but {len(references)} references")
    results: list[dict[str, float | None]] = [dict.fromkeys(NAMES) for _ in answers]
    there = [i for i, a in enumerate(answers) if a is not None and references[i] is not None]
    if not there:
        return results
    left = np.stack([np.asarray(answers[i], dtype=np.float64) for i in there])
    right = np.stack([np.asarray(references[i], dtype=np.float64) for i in there])
    if left.shape != right.shape or left.ndim != 2:
        raise ValueError(f"vectors of shapes {left.shape} and {right.shape} do not pair up")
    dot = np.einsum("ij,ij->i", left, right)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    if not np.isfinite(lengths).all():
        raise ValueError("a vector holds NaN or infinity")
    if not lengths.all():
        raise ValueError("a zero vector has no direction, so no cosine")
    cosine = settled(np.clip(dot / lengths, -1.0, 1.0))
    distance = settled(np.linalg.norm(left - right, axis=1))
    for row, position in enumerate(there):
        results[position] = {
            "semantic_similarity": float(cosine[row]),
            "dot_similarity": settled(float(dot[row])),
            "euclidean_distance": float(distance[row]),
        }
    return results


def _of_cases(cases: Sequence[AnswerCase]) -> list[dict[str, float | None]]:
    answers = [case.vector for case in cases]
    return vector_similarities(answers, [case.reference_vector for case in cases])


OF_ANSWERS = (AnswerMetrics(METRICS, _of_cases, version=None),)
