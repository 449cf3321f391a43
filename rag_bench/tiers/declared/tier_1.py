"""Tier 1: retrieval, all questions in one pass. No model is asked."""

from rag_bench.tiers.registry import Step, TierSpec
from rag_bench.tiers.stages import REFRESH

TIER = TierSpec(
    "1",
    "retrieval",
    (
        Step(
            "tier1_retrieval",
            "metrics",
            "rag_bench.tiers.retrieval.retrieval:retrieval_tasks",
            "5",
            REFRESH,
            "Tier 1: which chunks are found for each question, exact search, all questions in one "
            "pass.\n\nChunk level and page level have different names; a page counts once. Tier 3 "
            "answers from the chunks found here.",
            reads=("manual_dataset", "synthetic_dataset", "traffic_dataset", "chunk_embeddings"),
            pays=False,
            kinds=("postgres", "numpy"),
            shows="rag_bench.assets.tiers.retrieval:shown",
        ),
    ),
)
