"""What a metric of answers is computed of, and how it is declared with its function.

Pure: `rag_bench.tiers.answers.measuring` makes the cases and walks over what is declared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_bench.evaluation.metric_spec import MetricSpec, Need

if TYPE_CHECKING:
    import numpy as np

Scores = Mapping[str, float | None]


@dataclass(frozen=True)
class AnswerCase:
    """One answer that came back, with all that is known of its question.

    Attributes:
        question: As it was asked.
        answer: Without citation markers.
        reference: The reference answer, if the question has one.
        contexts: Texts that the answer was made from, in order.
        given: Hashes of those chunks; for a cached answer those of its page.
        relevant: Hashes of the chunks that hold the answer, as far as they are known.
        cited: Hashes of the chunks that the answer cites, in order of first mention.
        refused: It says that there is no answer, and nothing else.
        out_of_scope: Right is to refuse.
        cached: Production's cache gave it, no model.
        vector, reference_vector: Embeddings of answer and reference (d,), both encoded as
            questions are.
        same: One chunk for all with its text.
        cites: False: what it cites is not known (a live assistant that marks nothing in its text).
    """

    question: str
    answer: str
    reference: str | None
    contexts: tuple[str, ...]
    given: tuple[str, ...]
    relevant: tuple[str, ...]
    cited: tuple[str, ...]
    refused: bool
    out_of_scope: bool
    cached: bool
    vector: np.ndarray | None
    reference_vector: np.ndarray | None
    same: Callable[[str], str] = str
    cites: bool = True


@dataclass(frozen=True)
class Repeats:
    """The answers to one question at all its repeats, in order; None for one that failed."""

    answers: tuple[str | None, ...]
    vectors: tuple[np.ndarray | None, ...]


@dataclass(frozen=True)
class AnswerMetrics:
    """Metrics that one function computes, case by case.

    Attributes:
        metrics: Their entries. ``needs`` there say for which cases; the function is given the
            cases that have what at least one of the metrics needs.
        compute: Takes cases, returns ``{name: value or None}`` of each, in order. None is a
            missing score, or, with `Need.value`, one that does not apply.
        withheld: ``{name: reason}`` by reference, of what is not right for its answers.
        version: Raise it when values change: what was counted before is counted anew, without a
            call. None for metrics that count under the answers' own code version.
        reads_vectors: False where no vector is read: asked for alone, it needs no encoder.
    """

    metrics: tuple[MetricSpec, ...]
    compute: Callable[[Sequence[AnswerCase]], Sequence[Scores]]
    withheld: Callable[[str], Mapping[str, str]] | None = None
    version: str | None = "1"
    reads_vectors: bool = True


@dataclass(frozen=True)
class RepeatMetrics:
    """Metrics of all the answers to one question; ``version`` as of `AnswerMetrics`.

    Every entry needs `Need.repeats`: with one repeat there are no such metrics.
    """

    metrics: tuple[MetricSpec, ...]
    compute: Callable[[Repeats], Scores]
    version: str | None = "1"
    reads_vectors: bool = True

    def __post_init__(self) -> None:
        if wrong := [metric.name for metric in self.metrics if Need.repeats not in metric.needs]:
            raise ValueError(f"metrics of repeats need repeats: {', '.join(wrong)}")
