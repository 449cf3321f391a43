"""Which rubrics a tier's judges score, and what the tiers are called; imports nothing heavy, as
the definitions need it to load.
"""

from __future__ import annotations

from collections.abc import Mapping

from rag_bench.errors import ConfigurationError
from rag_bench.tiers.base.run_settings import RunSettings, Tier

MEASURES: Mapping[Tier, tuple[str, ...]] = {
    "2": ("faithfulness", "answer_relevance", "answer_correctness"),
    "3": ("e2e_quality",),
}


def measures_of(run: RunSettings, tier: Tier) -> tuple[str, ...]:
    """Return the rubrics that a tier's judges score under these settings."""
    if tier == "3" and run.tier3_all_rubrics:
        return MEASURES["3"] + MEASURES["2"]
    return MEASURES[tier]


def possible_measures(tier: Tier) -> tuple[str, ...]:
    """Return the rubrics that a tier's judges may be asked, whatever the settings."""
    return MEASURES["3"] + MEASURES["2"] if tier == "3" else MEASURES[tier]


PRODUCTION_TIER = "judge_pipeline"
JUDGE_TIER = "judge"
UX_TIER = "ux"

JUDGE_PROMPTS = (
    "pairwise_preference",
    "pairwise_reply_direct",
    "pairwise_reply_reasoned",
    "reply_direct",
    "reply_reasoned",
    "rubric_answer_relevance",
    "rubric_faithfulness",
)
"""What tier judge asks with, in either mode; they show in its asset's code version."""

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

TIERS = ("0", "1", "2", "3", JUDGE_TIER, PRODUCTION_TIER, UX_TIER)
"""What ``all`` means."""


def parse_tiers(text: str) -> frozenset[str]:
    """Return the tiers of a comma-separated list; ``all`` is every tier there is.

    Raises:
        ConfigurationError: an unknown tier.
    """
    wanted = {part.strip() for part in text.split(",") if part.strip()}
    unknown = wanted - {*TIERS, "all"}
    if unknown or not wanted:
        raise ConfigurationError(
            f"No such tier: {', '.join(sorted(unknown)) or '(none given)'}. "
            f"There are: {', '.join(TIERS)}, all."
        )
    return frozenset(TIERS) if "all" in wanted else frozenset(wanted)
