"""Targets of the production team, and the overall status that follows from them.

The targets are those of the forerunner's report, as the team set them for itself; its retrieval
targets apply to the chunk-level metrics of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Metric: (tier, target, higher is better)
BASELINES: Mapping[str, tuple[str, float, bool]] = {
    "avg_nn_distance": ("tier_0", 0.30, False),
    "density_score": ("tier_0", 3.0, True),
    "chunk_mrr": ("tier_1", 0.8, True),
    "chunk_hit_rate@1": ("tier_1", 0.7, True),
    "chunk_hit_rate@5": ("tier_1", 0.9, True),
    "chunk_hit_rate@10": ("tier_1", 0.95, True),
    "chunk_ndcg@5": ("tier_1", 0.8, True),
    "rubric_faithfulness": ("tier_2", 4.5, True),
    "rubric_answer_relevance": ("tier_2", 4.2, True),
    "rubric_answer_correctness": ("tier_2", 4.2, True),
    "rubric_e2e_quality": ("tier_3", 4.2, True),
    "semantic_similarity": ("tier_3", 0.85, True),
    "response_exact_match_rate": ("tier_3", 0.7, True),
    "response_semantic_consistency": ("tier_3", 0.85, True),
    "accuracy": ("tier_judge_pipeline", 0.85, True),
    "precision": ("tier_judge_pipeline", 0.85, True),
    "recall": ("tier_judge_pipeline", 0.85, True),
    "f1_score": ("tier_judge_pipeline", 0.85, True),
}
#: What the targets measure, each once: hit rates, MRR and nDCG are read off the same ranked lists,
#: rubrics off the same answers, precision and recall off the same verdicts. One fault moves all of
#: an area's metrics, so an area that misses counts once, however many of its targets it misses.
AREAS: Mapping[str, tuple[str, ...]] = {
    "questions' embeddings": ("avg_nn_distance", "density_score"),
    "retrieval": (
        "chunk_mrr",
        "chunk_hit_rate@1",
        "chunk_hit_rate@5",
        "chunk_hit_rate@10",
        "chunk_ndcg@5",
    ),
    "answers from the right chunk": (
        "rubric_faithfulness",
        "rubric_answer_relevance",
        "rubric_answer_correctness",
    ),
    "answers end to end": ("rubric_e2e_quality", "semantic_similarity"),
    "repeated answers": ("response_exact_match_rate", "response_semantic_consistency"),
    "show or hide": ("accuracy", "precision", "recall", "f1_score"),
}
_AREA_OF = {metric: area for area, metrics in AREAS.items() for metric in metrics}
_ATTENTION_UP_TO = 2  # areas that miss; more is critical


@dataclass(frozen=True)
class Verdict:
    """A metric against its target."""

    tier: str
    metric: str
    value: float
    target: float
    met: bool
    area: str


def verdicts(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Verdict]:
    """Compare every measured metric that has a target; what was not measured is left out."""
    found = []
    for name, (tier, target, higher) in BASELINES.items():
        value = metrics.get(tier, {}).get(name, {}).get("value")
        if value is not None:
            met = value >= target if higher else value <= target
            found.append(Verdict(tier, name, value, target, met, _AREA_OF[name]))
    return found


def overall_status(found: list[Verdict]) -> str:
    """Return good, attention (one or two areas miss), critical, or insufficient_data."""
    if not found:
        return "insufficient_data"
    missed = areas_missed(found)
    if not missed:
        return "good"
    return "attention" if len(missed) <= _ATTENTION_UP_TO else "critical"


def areas_missed(found: list[Verdict]) -> list[str]:
    """Return the areas in which at least one target is missed, as they stand in ``AREAS``."""
    missed = {verdict.area for verdict in found if not verdict.met}
    return [area for area in AREAS if area in missed]
