"""Tier 3: what a live assistant retrieved by itself, of the contexts that its replies name.

The measures of tier 1, read off the chunks that the contexts were resolved to, in the order in
which they were named; what could not be resolved keeps its place and is no relevant chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rag_bench.evaluation.metric_spec import UNIT, MetricSpec, Need, entries
from rag_bench.evaluation.metrics import context_ids, retrieval
from rag_bench.evaluation.metrics.context_ids import id_based_context
from rag_bench.evaluation.metrics.retrieval import (
    RetrievalCase,
    aggregate_retrieval,
    score_retrieval,
)
from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Metric

PREFIX = "target_"
#: How far down the list of contexts is read.
TOP_K = 10
UNRESOLVED = "target_unresolved_share"
NAMED = "target_contexts"
#: In place of a chunk where only its page is known, and of what is neither.
_PAGE, _NOTHING = "page:", "nothing:"


def _of_tier_1() -> tuple[MetricSpec, ...]:
    known = [m for m in retrieval.METRICS if m.name in retrieval.metric_names(TOP_K)]
    return tuple(
        replace(
            metric,
            name=PREFIX + metric.name,
            tiers=("3",),
            formula=f"of an assistant's own contexts: {metric.formula}",
            needs=frozenset({Need.in_scope}),
            targets=(),
        )
        for metric in (*known, *context_ids.METRICS)
    )


METRICS = (
    *_of_tier_1(),
    *entries(
        (NAMED,),
        ("3",),
        "mean",
        None,
        None,
        "contexts that an assistant's reply names",
    ),
    *entries(
        (UNRESOLVED,),
        ("3",),
        "mean",
        UNIT,
        False,
        "share of the contexts that an assistant's reply names which are no chunk or page of the "
        "snapshot; null where it names none",
        needs=(Need.value,),
    ),
)


@dataclass(frozen=True)
class TargetCase:
    """One question and the contexts of its reply.

    Attributes:
        case_id: unique.
        contexts: (chunk or None, page or None) in the order named, the chunk None where only the
            page is known, both where it is neither; None: no reply came.
        n_named: how many contexts it named; one text may be several chunks.
        n_unresolved: how many of them are no chunk or page.
        relevant_chunks, relevant_pages: of the question.
        cluster: as of `RetrievalCase`.
        in_scope: whether any chunk should be found.
    """

    case_id: str
    contexts: Sequence[tuple[str | None, str | None]] | None
    n_named: int
    n_unresolved: int
    relevant_chunks: Sequence[str]
    relevant_pages: Sequence[str]
    cluster: object
    in_scope: bool

    @property
    def knows_chunks(self) -> bool:
        """Whether ranks of chunks can be told: a page alone may be any of its chunks."""
        return not any(chunk is None and page for chunk, page in self.contexts or ())

    def relevant(self, level: str) -> Sequence[str]:
        """Return what should be found at a level."""
        return self.relevant_chunks if level == "chunk" else self.relevant_pages

    @property
    def ranked(self) -> list[tuple[str, str]] | None:
        """The list that is measured, each item at its first place."""
        if self.contexts is None:
            return None
        found: dict[str, str] = {}
        for number, (chunk, page) in enumerate(self.contexts):
            item = chunk or (f"{_PAGE}{page}" if page else f"{_NOTHING}{number}")
            found.setdefault(item, page or f"{_NOTHING}{number}")
        return list(found.items())


def target_retrieval(
    cases: Sequence[TargetCase],
) -> tuple[dict[str, dict[str, float | None]], dict[str, Metric]]:
    """Return each case's scores and the metrics over all of them.

    Questions out of scope have no relevant chunk and enter only the counts of contexts. A dataset
    that names no relevant chunk, or page, has no measures of that level. Measures of
    chunks leave out replies that name a page without saying which part of it; those of pages do
    not. A case without a reply is expected and has no score.
    """
    lists = {case.case_id: case.ranked for case in cases}
    as_cases = {
        case.case_id: RetrievalCase(
            case.case_id,
            lists[case.case_id],
            tuple(case.relevant_chunks) if case.knows_chunks else (),
            tuple(case.relevant_pages),
            cluster=case.cluster,
        )
        for case in cases
        if case.in_scope
    }
    found = score_retrieval(list(as_cases.values()), top_k=TOP_K)
    scores: dict[str, dict[str, float | None]] = {case.case_id: {} for case in cases}
    metrics: dict[str, Metric] = {}
    for level in retrieval.LEVELS:
        counted = [
            as_cases[case.case_id]
            for case in cases
            if case.in_scope and (level == "page" or case.knows_chunks)
        ]
        if not any(case.relevant(level) for case in cases):
            continue  # nobody has said what should be found
        aggregated = aggregate_retrieval(counted, found, top_k=TOP_K)
        for name in (name for name in aggregated if name.startswith(f"{level}_") and counted):
            metrics[PREFIX + name] = aggregated[name]
            for one in counted:
                scores[one.case_id][PREFIX + name] = found[one.case_id][name]
    exact = [case for case in cases if case.in_scope and case.knows_chunks]
    if not any(case.relevant_chunks for case in exact):
        exact = []
    for case in exact:
        given = None if case.contexts is None else [item for item, _ in lists[case.case_id] or ()]
        values = id_based_context(given, case.relevant_chunks)
        scores[case.case_id] |= {PREFIX + name: value for name, value in values.items()}
    for name in (PREFIX + name for name in context_ids.NAMES if exact):
        metrics[name] = _mean(exact, scores, name)
    for case in cases:
        there = case.contexts is not None
        scores[case.case_id][NAMED] = float(case.n_named) if there else None
        if case.n_named or not there:
            share = case.n_unresolved / case.n_named if case.n_named else None
            scores[case.case_id][UNRESOLVED] = share
    metrics[NAMED] = _mean(cases, scores, NAMED)
    naming = [case for case in cases if UNRESOLVED in scores[case.case_id]]
    metrics[UNRESOLVED] = _mean(naming, scores, UNRESOLVED)
    return scores, metrics


def _mean(
    cases: Sequence[TargetCase], scores: Mapping[str, Mapping[str, float | None]], name: str
) -> Metric:
    values = [scores[case.case_id][name] for case in cases]
    clusters = [case.cluster for case in cases]
    scale = None if name == NAMED else UNIT
    return mean_metric(values, clusters, scale=scale)
