"""Tier judge_pipeline: the production judge, which shows or hides an answer."""

from rag_bench.tiers.registry import Axis, Step, TierSpec
from rag_bench.tiers.stages import PRODUCTION_JUDGES

TIER = TierSpec(
    "judge_pipeline",
    "judges",
    (
        Step(
            "production_judge_scores",
            "scores",
            "rag_bench.tiers.judges.production_judge:production_judge_tasks",
            "2",
            PRODUCTION_JUDGES,
            'Tier judge_pipeline: accuracy, precision, recall and F1 for "show", and latency, of '
            "each production judge on the labelled pairs. Unreadable replies are counted, not "
            "guessed. Calls models.",
            by=Axis.GATE,
            reads=("show_hide_dataset",),
            prompts=("production_judge",),
            checks=("rag_bench.assets.factories.step_checks:replies_are_readable",),
            instrument="tier judge_pipeline",
        ),
    ),
)
