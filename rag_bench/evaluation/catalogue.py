"""Every metric's name, kind and scale in one place; docs/metrics.md says the same in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rag_bench.evaluation.consistency import CONSISTENCY_SCALES
from rag_bench.evaluation.geometry import GEOMETRY_NAMES, GEOMETRY_SCALES
from rag_bench.evaluation.retrieval import metric_names
from rag_bench.evaluation.similarity import SIMILARITY_SCALES
from rag_bench.evaluation.text_overlap import TEXT_OVERLAP_SCALES
from rag_bench.evaluation.types import Scale

Kind = Literal["rate", "mean", "count", "summary"]
RUBRIC_SCALE: Scale = (1.0, 5.0)
_UNIT: Scale = (0.0, 1.0)


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is.

    ``kind``: a ``rate`` is a share of yes among cases (Wilson), a ``mean`` an average of the
    cases' scores (bootstrap over pages), a ``summary`` a number of the whole set.
    ``higher_is_better``: None where neither direction is better by itself.
    """

    name: str
    tiers: tuple[str, ...]
    kind: Kind
    scale: Scale | None
    higher_is_better: bool | None


def spec(name: str) -> MetricSpec:
    """Return a metric's description. Raises KeyError for a name that no tier computes."""
    return CATALOGUE[name]


def _specs() -> Iterator[MetricSpec]:
    smaller = {"avg_nn_distance", "avg_pairwise_distance"}
    bigger = {"density_score"}
    for name in GEOMETRY_NAMES:
        better = False if name in smaller else True if name in bigger else None
        yield MetricSpec(name, ("0",), "summary", GEOMETRY_SCALES.get(name), better)
    for name in metric_names():
        yield MetricSpec(name, ("1",), "rate" if "_hit_rate@" in name else "mean", _UNIT, True)
    for name in ("rubric_faithfulness", "rubric_answer_relevance", "rubric_answer_correctness"):
        yield MetricSpec(name, ("2",), "mean", RUBRIC_SCALE, True)
    yield MetricSpec("rubric_e2e_quality", ("3",), "mean", RUBRIC_SCALE, True)
    for name, scale in TEXT_OVERLAP_SCALES.items():
        yield MetricSpec(name, ("2", "3"), "mean", scale, True)
    for name, unbounded_or_scale in SIMILARITY_SCALES.items():
        better = name != "euclidean_distance"
        yield MetricSpec(name, ("2", "3"), "mean", unbounded_or_scale, better)
    for name, scale in CONSISTENCY_SCALES.items():
        yield MetricSpec(name, ("2", "3"), "mean", scale, True)
    for name in ("citation_precision", "citation_recall"):
        yield MetricSpec(name, ("2", "3"), "mean", _UNIT, True)
    yield MetricSpec("refusal_rate", ("2", "3"), "rate", _UNIT, None)
    yield MetricSpec("n_citations", ("2", "3"), "mean", None, None)
    yield MetricSpec("n_invalid_citations", ("2", "3"), "mean", None, False)
    for name in ("accuracy", "precision", "recall", "specificity", "f1_score"):
        yield MetricSpec(name, ("judge_pipeline",), "summary", _UNIT, True)
    for name in ("true_positives", "true_negatives"):
        yield MetricSpec(name, ("judge_pipeline",), "count", None, True)
    for name in ("false_positives", "false_negatives", "unreadable"):
        yield MetricSpec(name, ("judge_pipeline",), "count", None, False)
    for name in ("avg_latency_ms", "p50_latency_ms", "p95_latency_ms"):
        yield MetricSpec(name, ("2", "3", "judge_pipeline"), "summary", None, False)
        yield MetricSpec(f"judge_{name}", ("2", "3"), "summary", None, False)


CATALOGUE: dict[str, MetricSpec] = {metric.name: metric for metric in _specs()}
