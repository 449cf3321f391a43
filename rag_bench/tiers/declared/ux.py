"""Tier ux: the dialogs of real users. No model is asked."""

from rag_bench.tiers.registry import Step, TierSpec
from rag_bench.tiers.stages import REFRESH

TIER = TierSpec(
    "ux",
    "ux",
    (
        Step(
            "tier_ux_dialogs",
            "metrics",
            "rag_bench.tiers.traffic.ux:dialog_tasks",
            "3",
            REFRESH,
            "Tier ux: what the cache of answers rated 5 would hit in real dialogs, how far "
            "follow-up questions stay on the subject, and whether a question asked again gets the "
            "same answer.\n\nDialogs are made of `question_answer` by user and time. A dump "
            "without questions of users leaves every measure undefined.",
            reads=("question_embeddings", "manual_dataset", "synthetic_dataset"),
            pays=False,
            kinds=("postgres", "numpy"),
            shows="rag_bench.assets.tiers.ux:shown",
        ),
    ),
)
