"""Retrievers against the present one: which finds more, by which measure, on which questions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from rag_bench.evaluation.comparison import Contrast, compare_with_baseline
from rag_bench.evaluation.metrics.retrieval import (
    HIT_CUTOFFS,
    LEVELS,
    NDCG_CUTOFFS,
    SET_CUTOFFS,
)


@dataclass(frozen=True)
class RetrievedRun:
    """What one retriever found: its ``top_k``, and by question the scores of tier 1."""

    top_k: int
    scores: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class RetrieverComparison:
    """All retrievers against one, over the questions that are judged.

    ``level``: ``chunk``, or ``page`` where no question names a chunk. ``top_k``: of the shortest
    list; what stands below it in another list is not looked at. ``scores``: by retriever and
    measure, by question.
    """

    baseline: str
    level: str
    top_k: int
    measures: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Mapping[str, float | None]]]
    contrasts: tuple[Contrast, ...]


def compared_measures(level: str, top_k: int) -> tuple[str, ...]:
    """Return the measures that retrievers are compared by: hit@1, hit@k, MRR, nDCG@k, recall@k.

    k is the greatest cutoff that tier 1 has within ``top_k``; a measure without one is left out.
    """
    names = ["hit_rate@1"]
    names += [f"hit_rate@{_within(HIT_CUTOFFS, top_k)}", "mrr"]
    if top_k >= min(NDCG_CUTOFFS):
        names.append(f"ndcg@{_within(NDCG_CUTOFFS, top_k)}")
    names.append(f"recall@{_within(SET_CUTOFFS, top_k)}")
    return tuple(f"{level}_{name}" for name in dict.fromkeys(names))


def compare_retrievers(
    runs: Mapping[str, RetrievedRun],
    baseline: str,
    clusters: Mapping[str, Hashable],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> RetrieverComparison:
    """Compare every retriever with ``baseline``: question by question, pages as clusters.

    ``clusters``: of each judged question its page; questions that are not in it, as those out of
    scope, are not compared. Lists of different lengths are compared down to the shortest: the
    reciprocal rank of what stands below is 0, as if the longer list had ended there.

    Raises:
        KeyError: there is no such baseline.
        ValueError: no question is judged.
    """
    top_k = min(run.top_k for run in runs.values())
    level = _level(runs[baseline], clusters, top_k)
    measures = compared_measures(level, top_k)
    scores = {
        name: {
            measure: {
                case: _cut(found.get(measure), measure, top_k)
                for case, found in run.scores.items()
                if case in clusters
            }
            for measure in measures
        }
        for name, run in runs.items()
    }
    yes_no = [measure for measure in measures if "_hit_rate@" in measure]
    contrasts = compare_with_baseline(
        scores, baseline, clusters, yes_no=yes_no, alpha=alpha, seed=seed
    )
    return RetrieverComparison(baseline, level, top_k, measures, scores, tuple(contrasts))


def _level(run: RetrievedRun, clusters: Mapping[str, Hashable], top_k: int) -> str:
    judged = [run.scores[case] for case in clusters if case in run.scores]
    for level in LEVELS:
        if any(found.get(f"{level}_mrr") is not None for found in judged):
            return level
    raise ValueError("no question names a relevant chunk or page")


def _within(cutoffs: tuple[int, ...], top_k: int) -> int:
    return max(cutoff for cutoff in cutoffs if cutoff <= top_k)


def _cut(value: float | None, measure: str, top_k: int) -> float | None:
    """Return a score as a list of ``top_k`` would have it; only the reciprocal rank looks on."""
    if value is None or not measure.endswith("_mrr"):
        return value
    # Stored with six decimals, of a whole rank.
    return value if value and round(1 / value) <= top_k else 0.0
