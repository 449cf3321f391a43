"""Tier 2: generation, from the relevant chunks themselves."""

from rag_bench.tiers.declared._answered import answered
from rag_bench.tiers.registry import TierSpec

TIER = TierSpec(
    "2",
    "generation",
    answered(
        "2",
        ("manual_dataset", "synthetic_dataset"),
        "Tier 2: each generation model's answers from the whole relevant chunks, with overlap, "
        "similarity, consistency and citations. Calls models.",
        "Tier 2: faithfulness, answer relevance and answer correctness (rubric, 1 to 5) of each "
        "generation model's answers by each benchmark judge. Calls models.",
        "relevant",
    ),
)
