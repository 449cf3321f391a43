"""Every metric's name, kind and scale in one place; docs/metrics.md says the same in words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rag_bench.evaluation.context_ids import ID_BASED_SCALES
from rag_bench.evaluation.geometry import GEOMETRY_NAMES, GEOMETRY_SCALES
from rag_bench.evaluation.judging.consistency import CONSISTENCY_SCALES
from rag_bench.evaluation.retrieval import metric_names
from rag_bench.evaluation.similarity import SIMILARITY_SCALES
from rag_bench.evaluation.text.text_overlap import TEXT_OVERLAP_SCALES
from rag_bench.evaluation.types import Scale
from rag_bench.evaluation.ux import UX_BASELINE, UX_COSINES, UX_COUNTS, UX_RATES, UX_TURNS

Kind = Literal["rate", "mean", "count", "summary"]
RUBRIC_SCALE: Scale = (1.0, 5.0)
COSINE_SCALE: Scale = (-1.0, 1.0)
#: By benchmark judges; those of the context read no answer.
RAGAS_CONTEXT_NAMES = ("ragas_context_precision", "ragas_context_recall")
RAGAS_ANSWER_NAMES = (
    "ragas_faithfulness",
    "ragas_answer_relevancy",
    "ragas_answer_correctness",
    "ragas_semantic_similarity",
)
#: Of judges' replies, those that could not be read at first, so that the judge was asked again.
ASKED_AGAIN_RATE = "asked_again_rate"
BERTSCORE_NAMES = ("bertscore_precision", "bertscore_recall", "bertscore_f1")
_UNIT: Scale = (0.0, 1.0)


@dataclass(frozen=True)
class MetricSpec:
    """What a metric is.

    ``kind``: a ``rate`` is a share of yes among cases (Wilson at the effective size), a ``mean``
    an average of the cases' scores (bootstrap over pages), a ``summary`` a number of the whole
    set.
    ``higher_is_better``: None where neither direction is better by itself.
    """

    name: str
    tiers: tuple[str, ...]
    kind: Kind
    scale: Scale | None
    higher_is_better: bool | None


def spec(name: str) -> MetricSpec:
    """Return a metric's description. Raises KeyError for a name that no tier computes."""
    found = known(name)
    if found is None:
        raise KeyError(name)
    return found


def known(name: str) -> MetricSpec | None:
    """Return a metric's description, None if no tier computes it.

    A metric whose cutoff is a setting has one entry, under ``@k``.
    """
    return CATALOGUE.get(name) or CATALOGUE.get(re.sub(r"@\d+$", "@k", name))


def _specs() -> Iterator[MetricSpec]:
    smaller = {"avg_nn_distance", "avg_pairwise_distance"}
    bigger = {"density_score"}
    for name in GEOMETRY_NAMES:
        better = False if name in smaller else True if name in bigger else None
        yield MetricSpec(name, ("0",), "summary", GEOMETRY_SCALES.get(name), better)
    for name in metric_names():
        yield MetricSpec(name, ("1",), "rate" if "_hit_rate@" in name else "mean", _UNIT, True)
    for name, unit in ID_BASED_SCALES.items():
        yield MetricSpec(name, ("1",), "mean", unit, True)
    # k is the run's top_k; with the search hnsw only.
    yield MetricSpec("hnsw_recall@k", ("1",), "summary", _UNIT, True)
    for name in RAGAS_CONTEXT_NAMES:
        yield MetricSpec(name, ("3",), "mean", _UNIT, True)
    for name in RAGAS_ANSWER_NAMES:
        yield MetricSpec(name, ("2", "3"), "mean", _UNIT, True)
    for name in ("rubric_faithfulness", "rubric_answer_relevance", "rubric_answer_correctness"):
        # In tier 3 by flag only, on what retrieval found.
        yield MetricSpec(name, ("2", "3"), "mean", RUBRIC_SCALE, True)
    yield MetricSpec("rubric_e2e_quality", ("3",), "mean", RUBRIC_SCALE, True)
    for name, scale in TEXT_OVERLAP_SCALES.items():
        yield MetricSpec(name, ("2", "3"), "mean", scale, True)
    for name, unbounded_or_scale in SIMILARITY_SCALES.items():
        better = name != "euclidean_distance"
        yield MetricSpec(name, ("2", "3"), "mean", unbounded_or_scale, better)
    for name, scale in CONSISTENCY_SCALES.items():
        yield MetricSpec(name, ("2", "3"), "mean", scale, True)
    for name in BERTSCORE_NAMES:
        yield MetricSpec(name, ("2", "3"), "mean", COSINE_SCALE, True)
    for name in ("citation_precision", "citation_recall"):
        yield MetricSpec(name, ("2", "3"), "mean", _UNIT, True)
    yield MetricSpec("refusal_rate", ("2", "3"), "rate", _UNIT, None)
    yield MetricSpec("out_of_scope_refusal_rate", ("3",), "rate", _UNIT, True)
    yield MetricSpec("n_citations", ("2", "3"), "mean", None, None)
    yield MetricSpec("n_invalid_citations", ("2", "3"), "mean", None, False)
    # With the cached answers of production switched on.
    yield MetricSpec("cached_answer_rate", ("3",), "rate", _UNIT, None)
    yield MetricSpec("cached_page_precision", ("3",), "rate", _UNIT, True)
    # How users ask is no quality; that the same question is answered alike is.
    right = {"dataset_cache_hit_precision", "multi_turn_consistency", "within_dialog_consistency"}
    for name in UX_RATES:
        yield MetricSpec(name, ("ux",), "rate", _UNIT, True if name in right else None)
    for name in UX_COSINES:
        better = True if name == "repeated_answer_similarity" else None
        yield MetricSpec(name, ("ux",), "mean", COSINE_SCALE, better)
    yield MetricSpec(UX_BASELINE, ("ux",), "summary", COSINE_SCALE, None)
    yield MetricSpec(UX_TURNS, ("ux",), "mean", None, None)
    for name in UX_COUNTS:
        yield MetricSpec(name, ("ux",), "count", None, None)
    for name in ("accuracy", "precision", "recall", "specificity", "f1_score"):
        yield MetricSpec(name, ("judge_pipeline",), "summary", _UNIT, True)
    for name in ("true_positives", "true_negatives"):
        yield MetricSpec(name, ("judge_pipeline",), "count", None, True)
    for name in ("false_positives", "false_negatives", "unreadable"):
        yield MetricSpec(name, ("judge_pipeline",), "count", None, False)
    for name in ("avg_latency_ms", "p50_latency_ms", "p95_latency_ms"):
        yield MetricSpec(name, ("2", "3", "judge", "judge_pipeline"), "summary", None, False)
        yield MetricSpec(f"judge_{name}", ("2", "3"), "summary", None, False)
    # Replies that could be read at the second try only: how well a judge keeps to the form.
    for prefix, tiers in (
        ("", ("2", "3", "judge")),
        ("ragas_", ("2", "3")),
        ("ragas_context_", ("3",)),
    ):
        yield MetricSpec(prefix + ASKED_AGAIN_RATE, tiers, "rate", _UNIT, False)
    yield from _judge_specs()


def _judge_specs() -> Iterator[MetricSpec]:
    """Yield what tier judge measures of a benchmark judge."""
    tier = ("judge",)
    yield MetricSpec("error_rate", tier, "rate", _UNIT, False)
    for name in ("consistency_score", "repeat_exact_agreement", "position_consistency"):
        yield MetricSpec(name, tier, "rate", _UNIT, True)
    yield MetricSpec("decision_flip_rate", tier, "rate", _UNIT, False)
    yield MetricSpec("repeat_mean_abs_difference", tier, "mean", (0.0, 4.0), False)
    for value in range(1, 6):
        yield MetricSpec(f"score_share_{value}", tier, "rate", _UNIT, None)
    yield MetricSpec("score_collapse", tier, "rate", _UNIT, False)
    yield MetricSpec("score_entropy", tier, "summary", _UNIT, None)
    yield MetricSpec("score_std", tier, "summary", (0.0, 2.0), None)
    yield MetricSpec("score_distinct", tier, "summary", (1.0, 5.0), None)
    for name in ("first_position_rate", "tie_rate"):
        yield MetricSpec(name, tier, "rate", _UNIT, None)
    for kind in ("mismatched", "halved"):
        yield MetricSpec(f"preference_accuracy_{kind}", tier, "rate", _UNIT, True)
    for dress in ("length", "style"):
        # Best at 0, so neither direction is better.
        yield MetricSpec(f"{dress}_sensitivity", tier, "mean", (-4.0, 4.0), None)
        yield MetricSpec(f"{dress}_sensitivity_abs", tier, "mean", (0.0, 4.0), False)
    for prefix in ("label", "constructed"):
        for name in ("sensitivity", "specificity", "balanced_accuracy", "auc"):
            yield MetricSpec(f"{prefix}_{name}", tier, "summary", _UNIT, True)
        yield MetricSpec(f"{prefix}_kappa", tier, "summary", (-1.0, 1.0), True)
        yield MetricSpec(f"n_{prefix}_answers", tier, "count", None, None)


CATALOGUE: dict[str, MetricSpec] = {metric.name: metric for metric in _specs()}
