"""Which rubrics a tier's judges score, and what the tiers are called; imports nothing heavy, as
the definitions need it to load.
"""

from __future__ import annotations

from collections.abc import Mapping

from rag_bench.tiers.run_settings import Tier

MEASURES: Mapping[Tier, tuple[str, ...]] = {
    "2": ("faithfulness", "answer_relevance", "answer_correctness"),
    "3": ("e2e_quality",),
}

PRODUCTION_TIER = "judge_pipeline"
JUDGE_TIER = "judge"
UX_TIER = "ux"

MEASURED_PROMPTS = (
    "generation_answer",
    "production_judge",
    "reply_direct",
    "reply_reasoned",
    "rubric_answer_correctness",
    "rubric_answer_relevance",
    "rubric_e2e_quality",
    "rubric_faithfulness",
)
"""The prompts that the settings hash holds. Those of RAGAS and of the tier judge enter the hash of
their own inputs only: a change there leaves all other results valid."""
