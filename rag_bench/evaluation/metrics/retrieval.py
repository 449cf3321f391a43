"""Tier 1: retrieval measures per question and over all of them, at chunk and at page level.

The values come from ir_measures (trec_eval's code). The two levels have different names, and a
page counts once: it keeps the rank of its first chunk. So nDCG cannot pass 1.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rag_bench.evaluation.metric_spec import UNIT, Target, entries
from rag_bench.evaluation.retrievers.retrieval_costs import METRICS as COSTS
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.types import Metric

LEVELS = ("chunk", "page")
HIT_CUTOFFS = (1, 5, 10)
SET_CUTOFFS = (1, 3, 5, 10)
NDCG_CUTOFFS = (5, 10)

_SOURCE = "ir_measures 0.4 (trec_eval)"


def _both(*names: str) -> list[str]:
    return [f"{level}_{name}" for level in LEVELS for name in names]


_AREA = "retrieval"
METRICS = (
    *entries(
        _both(*(f"hit_rate@{k}" for k in HIT_CUTOFFS)),
        ("1",),
        "rate",
        UNIT,
        True,
        "1 if L[:k] holds a relevant item",
        source=_SOURCE,
        targets={
            "chunk_hit_rate@1": Target("1", 0.7, _AREA, 40),
            "chunk_hit_rate@5": Target("1", 0.9, _AREA, 50),
            "chunk_hit_rate@10": Target("1", 0.95, _AREA, 60),
        },
    ),
    *entries(
        _both("mrr"),
        ("1",),
        "mean",
        UNIT,
        True,
        "1 / rank of the first relevant item in L[:top_k], 0 if none",
        source=_SOURCE,
        targets={"chunk_mrr": Target("1", 0.8, _AREA, 30)},
    ),
    *entries(
        _both(*(f"recall@{k}" for k in SET_CUTOFFS)),
        ("1",),
        "mean",
        UNIT,
        True,
        r"\|L[:k] ∩ R\| / \|R\|",
        source=_SOURCE,
    ),
    *entries(
        _both(*(f"precision@{k}" for k in SET_CUTOFFS)),
        ("1",),
        "mean",
        UNIT,
        True,
        r"\|L[:k] ∩ R\| / k, also where L is shorter than k",
        source=_SOURCE,
    ),
    *entries(
        _both(*(f"ndcg@{k}" for k in NDCG_CUTOFFS)),
        ("1",),
        "mean",
        UNIT,
        True,
        r"DCG / IDCG; DCG = Σ rel_i / log2(i + 1) over i ≤ k with rel 0 or 1; IDCG = the same for "
        r"the min(k, \|R\|) first places",
        source=_SOURCE,
        targets={"chunk_ndcg@5": Target("1", 0.8, _AREA, 70)},
    ),
    # Its cutoff is the run's top_k.
    *entries(
        ("hnsw_recall@k",),
        ("1",),
        "summary",
        UNIT,
        True,
        "with the search `hnsw`: share of the exact k = `top_k` nearest chunks that the index "
        "found",
        source="pgvector",
    ),
    *COSTS,
)

Scores = dict[str, float | None]


@dataclass(frozen=True)
class RetrievalCase:
    """One question's ranked list and what should have been in it.

    ``retrieved``: (chunk id, page url) from the best down; None when retrieval failed, which is
    not the same as an empty list. ``relevant_chunks`` or ``relevant_pages`` may be empty: then
    the question has no judgement at that level and is missing there, not 0.
    ``cluster``: what is not independent of it; by default the (first) relevant page.
    """

    case_id: str
    retrieved: Sequence[tuple[str, str]] | None
    relevant_chunks: Collection[str] = ()
    relevant_pages: Collection[str] = ()
    cluster: Hashable | None = None

    @property
    def cluster_label(self) -> Hashable:
        """Return the label of what this question shares with others."""
        if self.cluster is not None:
            return self.cluster
        return min(self.relevant_pages) if self.relevant_pages else ("case", self.case_id)


def metric_names(top_k: int = 10) -> list[str]:
    """Return the names of all measures for lists of ``top_k`` chunks.

    A cutoff beyond ``top_k`` is left out: nobody looked that far down.
    """
    return [f"{level}_{name}" for level in LEVELS for name in _measure_names(top_k)]


def score_retrieval(cases: Sequence[RetrievalCase], *, top_k: int = 10) -> dict[str, Scores]:
    """Return ``{case_id: {metric name: value or None}}``, all questions in one batch per level.

    Only the first ``top_k`` chunks of each list are read; the reciprocal rank is cut there too.
    Page lists are the distinct pages of those chunks, so they may be shorter than ``top_k``:
    ``page_precision@10`` still divides by 10.

    Raises ValueError for a case id used twice, a chunk ranked twice, or ``top_k`` below 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, not {top_k}")
    ranked: dict[str, dict[str, list[str]]] = {level: {} for level in LEVELS}
    relevant: dict[str, dict[str, set[str]]] = {level: {} for level in LEVELS}
    scores: dict[str, Scores] = {}
    for case in cases:
        if case.case_id in scores:
            raise ValueError(f"case {case.case_id!r} is there twice")
        scores[case.case_id] = dict.fromkeys(metric_names(top_k))
        if case.retrieved is None:
            continue
        chunks = [chunk for chunk, _ in case.retrieved[:top_k]]
        if len(set(chunks)) != len(chunks):
            raise ValueError(f"case {case.case_id!r}: a chunk is ranked twice")
        lists = {"chunk": chunks, "page": distinct(page for _, page in case.retrieved[:top_k])}
        judged = {"chunk": set(case.relevant_chunks), "page": set(case.relevant_pages)}
        for level in LEVELS:
            if judged[level]:
                ranked[level][case.case_id] = lists[level]
                relevant[level][case.case_id] = judged[level]
    for level in LEVELS:
        for case_id, name, value in _measure(ranked[level], relevant[level], top_k):
            scores[case_id][f"{level}_{name}"] = value
    return scores


def aggregate_retrieval(
    cases: Sequence[RetrievalCase],
    scores: Mapping[str, Mapping[str, float | None]],
    *,
    top_k: int = 10,
    seed: int = 0,
) -> dict[str, Metric]:
    """Return every measure over all questions: hit rates with Wilson's interval at the effective
    sample size, means with the bootstrap; pages are the clusters of both.

    ``scores`` is what ``score_retrieval`` gave, or the same read back from the store.
    """
    clusters = [case.cluster_label for case in cases]
    metrics: dict[str, Metric] = {}
    for name in metric_names(top_k):
        values = [scores[case.case_id].get(name) for case in cases]
        if "_hit_rate@" in name:
            hits = [None if v is None else bool(v) for v in values]
            metrics[name] = rate_metric(hits, clusters=clusters)
        else:
            metrics[name] = mean_metric(values, clusters, scale=(0.0, 1.0), seed=seed)
    return metrics


def distinct(items: Iterable[str]) -> list[str]:
    """Return the items in order, each at its first place only."""
    return list(dict.fromkeys(items))


def _measure_names(top_k: int) -> list[str]:
    names = [f"hit_rate@{k}" for k in HIT_CUTOFFS if k <= top_k] + ["mrr"]
    names += [f"recall@{k}" for k in SET_CUTOFFS if k <= top_k]
    names += [f"precision@{k}" for k in SET_CUTOFFS if k <= top_k]
    return names + [f"ndcg@{k}" for k in NDCG_CUTOFFS if k <= top_k]


def _measure(
    ranked: Mapping[str, Sequence[str]], relevant: Mapping[str, set[str]], top_k: int
) -> list[tuple[str, str, float]]:
    """Return (case id, measure name, value) for every case that has a judgement."""
    if not ranked:
        return []
    import ir_measures
    from ir_measures import RR, P, R, Success, nDCG

    # The lists end at top_k already, so the uncut RR, which trec_eval has, is RR@top_k.
    measures: dict[ir_measures.measures.Measure, str] = {RR: "mrr"}
    for cutoffs, measure, name in (
        (HIT_CUTOFFS, Success, "hit_rate"),
        (SET_CUTOFFS, R, "recall"),
        (SET_CUTOFFS, P, "precision"),
        (NDCG_CUTOFFS, nDCG, "ndcg"),
    ):
        measures |= {measure @ k: f"{name}@{k}" for k in cutoffs if k <= top_k}
    qrels = {case: dict.fromkeys(ids, 1) for case, ids in relevant.items()}
    # trec_eval sorts by score and breaks ties by id: falling whole numbers keep our order.
    run = {
        case: {item: float(len(ids) - rank) for rank, item in enumerate(ids)}
        for case, ids in ranked.items()
    }
    return [
        (found.query_id, measures[found.measure], float(found.value))
        for found in ir_measures.iter_calc(list(measures), qrels, run)
    ]
