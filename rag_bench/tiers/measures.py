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
