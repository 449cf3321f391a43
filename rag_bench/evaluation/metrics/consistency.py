"""How much the answers to one question differ when it is asked again.

Only answers that came back are compared: a failed repeat is an error, not a disagreement, and a
question with fewer than two answers has no consistency rather than a perfect one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_bench.evaluation.answer_metrics import RepeatMetrics, Repeats
from rag_bench.evaluation.metric_spec import COSINE, UNIT, Need, Target, entries
from rag_bench.evaluation.precision import settled

_AREA = "repeated answers"
METRICS = (
    *entries(
        ("response_exact_match_rate",),
        ("2", "3"),
        "mean",
        UNIT,
        True,
        "share of the later answers equal to the first one, character for character. It is "
        "agreement with itself, not with the reference",
        needs=(Need.repeats,),
        targets={"response_exact_match_rate": Target("3", 0.7, _AREA, 130)},
    ),
    *entries(
        ("response_semantic_consistency",),
        ("2", "3"),
        "mean",
        COSINE,
        True,
        "mean cosine over all pairs of the answers' embeddings",
        needs=(Need.repeats,),
        targets={"response_semantic_consistency": Target("3", 0.85, _AREA, 140)},
    ),
)


def response_exact_match_rate(answers: Sequence[str | None]) -> float | None:
    """Return the share of later answers that equal the first one, character for character.

    ``answers``: one question's repeats in order, None for a failed one. The first answer that
    came back is the one compared with. None with fewer than two answers.
    """
    there = [answer for answer in answers if answer is not None]
    if len(there) < 2:
        return None
    return sum(answer == there[0] for answer in there[1:]) / (len(there) - 1)


def response_semantic_consistency(vectors: Sequence[np.ndarray | None]) -> float | None:
    """Return the mean cosine over all pairs of one question's answers (-1 to 1), to six decimals.

    ``vectors``: the answers' embeddings, None for a failed repeat. None with fewer than two.
    Raises ValueError for a zero vector, NaN or infinity.
    """
    there = [np.asarray(vector, dtype=np.float64) for vector in vectors if vector is not None]
    m = len(there)
    if m < 2:
        return None
    points = np.stack(there)
    lengths = np.linalg.norm(points, axis=1)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError("a vector is zero or holds NaN or infinity, so it has no cosine")
    # The sum of all cosines, a vector's with itself included, is |sum of unit vectors|^2.
    total = (points / lengths[:, None]).sum(axis=0)
    return settled(float(np.clip((total @ total - m) / (m * (m - 1)), -1.0, 1.0)))


def _of_repeats(repeats: Repeats) -> dict[str, float | None]:
    return {
        "response_exact_match_rate": response_exact_match_rate(repeats.answers),
        "response_semantic_consistency": response_semantic_consistency(repeats.vectors),
    }


OF_ANSWERS = (RepeatMetrics(METRICS, _of_repeats, version=None),)
