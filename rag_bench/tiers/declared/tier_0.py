"""Tier 0: how the questions lie in the embedding space. No model is asked."""

from rag_bench.tiers.registry import Step, TierSpec
from rag_bench.tiers.stages import REFRESH

TIER = TierSpec(
    "0",
    "retrieval",
    (
        Step(
            "tier0_embedding_geometry",
            "metrics",
            "rag_bench.tiers.retrieval.retrieval:geometry_tasks",
            "4",
            REFRESH,
            "Tier 0: how the questions lie in the embedding space (distances, spread, "
            "dimensionality).",
            reads=("manual_dataset", "synthetic_dataset", "traffic_dataset"),
            pays=False,
            kinds=("postgres", "numpy"),
        ),
    ),
)
