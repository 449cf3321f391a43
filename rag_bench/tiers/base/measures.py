"""What the tiers are called; imports nothing heavy, as the definitions need it to load."""

from __future__ import annotations

from rag_bench.errors import ConfigurationError

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
