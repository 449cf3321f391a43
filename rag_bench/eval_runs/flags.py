"""When a case has which flag: stated rules, each a function of what is known of the case.

| flag | rule |
| --- | --- |
| ``missing_chunk`` | a chunk of the ground truth is not among those that were retrieved |
| ``unknown_chunk`` | the ground truth names a chunk that no snapshot has |
| ``outdated_chunk`` | it names one that only an earlier snapshot has |
| ``truncated_context`` | an encoder read only the beginning of a text of the case |
| ``regression_detected`` | it got worse than in the baseline (`rag_bench.reporting.compared`) |
| ``manual_review_required`` | one of `REVIEWS` |
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rag_bench.errors import ConfigurationError, ErrorCode
from rag_bench.evaluation.metrics.target_retrieval import PREFIX as OF_OWN_CONTEXTS

MISSING_CHUNK = "missing_chunk"
UNKNOWN_CHUNK = "unknown_chunk"
OUTDATED_CHUNK = "outdated_chunk"
REVIEW = "manual_review_required"
REGRESSION = "regression_detected"
TRUNCATED = "truncated_context"
#: All of them, in the order in which they are told.
FLAGS = (MISSING_CHUNK, UNKNOWN_CHUNK, OUTDATED_CHUNK, TRUNCATED, REVIEW, REGRESSION)

#: What a judge says of the contexts, and what their ids say, under whatever name.
_DISAGREEING = (
    ("ragas_context_precision", "id_based_context_precision"),
    ("ragas_context_recall", "id_based_context_recall"),
)


@dataclass(frozen=True)
class Rules:
    """What the settings decide.

    Attributes:
        below: a score below this asks for a review, by metric.
        disagreement: so far apart do a judge's measure and the one by ids disagree.
    """

    below: Mapping[str, float] = field(default_factory=dict)
    disagreement: float = 0.5


@dataclass(frozen=True)
class Known:
    """What is known of a case when it has run.

    Attributes:
        relevant: chunks of the ground truth that the snapshot has.
        retrieved: chunks that were retrieved, twins counted as those that are relevant; None: it is
            not known what was.
        unknown_chunks: ids that no snapshot has.
        outdated_chunks: ids that only an earlier snapshot has.
        failures: codes of its errors that another try met again: calls that were not made for
            want of a budget, or as the run was stopped, are none.
        metrics: by name; null: no score.
        cites_nothing: it has an answer, which is no refusal, and cites nothing.
        n_cited, n_cited_given: chunks that it cites, and how many of them it was given.
        truncated: an encoder read only the beginning of a text.
        worse: it got worse than in the baseline.
    """

    relevant: Collection[str] = ()
    retrieved: Collection[str] | None = None
    unknown_chunks: Collection[str] = ()
    failures: Collection[ErrorCode] = ()
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    cites_nothing: bool = False
    n_cited: int = 0
    n_cited_given: int = 0
    truncated: bool = False
    worse: bool = False
    outdated_chunks: Collection[str] = ()


def missing_chunk(case: Known) -> bool:
    """Tell whether a chunk of the ground truth was not retrieved."""
    return case.retrieved is not None and not set(case.relevant) <= set(case.retrieved)


def failed_again(case: Known, rules: Rules) -> bool:
    """Tell whether an error stands that a retry did not mend. That an answer cites nothing is told
    by `cites_badly`.
    """
    return any(code != ErrorCode.NO_CITATIONS for code in case.failures)


def disagrees(case: Known, rules: Rules) -> bool:
    """Tell whether a judge says otherwise of the contexts than their ids do."""
    for judged, by_ids in _DISAGREEING:
        one = case.metrics.get(judged)
        other = case.metrics.get(by_ids)
        if other is None:
            other = case.metrics.get(OF_OWN_CONTEXTS + by_ids)
        if one is not None and other is not None and abs(one - other) > rules.disagreement:
            return True
    return False


def is_below(case: Known, rules: Rules) -> bool:
    """Tell whether a score is below what the settings say."""
    scores = ((case.metrics.get(name), least) for name, least in rules.below.items())
    return any(score is not None and score < least for score, least in scores)


def cites_badly(case: Known, rules: Rules) -> bool:
    """Tell whether an answer cites nothing, or only what it was not given."""
    return case.cites_nothing or (case.n_cited > 0 and not case.n_cited_given)


#: Why a case is to be looked at, by name; any one is enough.
REVIEWS: Mapping[str, Callable[[Known, Rules], bool]] = {
    "failed_again": failed_again,
    "judge_and_ids_disagree": disagrees,
    "score_below": is_below,
    "cites_badly": cites_badly,
}


def reviews_of(case: Known, rules: Rules) -> list[str]:
    """Return why a case is to be looked at; nothing: it need not be."""
    return [name for name, applies in REVIEWS.items() if applies(case, rules)]


def flags_of(case: Known, rules: Rules) -> list[str]:
    """Return the flags of a case, in their order."""
    found = {
        MISSING_CHUNK: missing_chunk(case),
        UNKNOWN_CHUNK: bool(case.unknown_chunks),
        OUTDATED_CHUNK: bool(case.outdated_chunks),
        TRUNCATED: case.truncated,
        REVIEW: bool(reviews_of(case, rules)),
        REGRESSION: case.worse,
    }
    return [flag for flag in FLAGS if found[flag]]


def in_order(flags: Collection[str]) -> list[str]:
    """Return flags once each, in the order in which they are told."""
    return [flag for flag in FLAGS if flag in flags]


def read_below(text: str) -> dict[str, float]:
    """Return what ``RAG_BENCH_EVAL_REVIEW_BELOW`` says: ``metric=least`` by commas.

    Raises:
        ConfigurationError: it is of another form.
    """
    found: dict[str, float] = {}
    for part in _parts(text):
        name, mark, least = part.partition("=")
        try:
            found[name.strip()] = float(least)
        except ValueError:
            mark = ""
        if not mark or not name.strip():
            raise ConfigurationError(f"RAG_BENCH_EVAL_REVIEW_BELOW: {part!r} is not metric=number.")
    return found


def _parts(text: str) -> Sequence[str]:
    return [part for part in map(str.strip, text.split(",")) if part]
