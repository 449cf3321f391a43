"""Tier judge: how good the benchmark judges themselves are."""

from rag_bench.tiers.registry import Axis, Step, TierSpec
from rag_bench.tiers.stages import BENCHMARK_JUDGES

TIER = TierSpec(
    "judge",
    "judges",
    (
        Step(
            "benchmark_judge_quality",
            "scores",
            "rag_bench.tiers.judges.benchmark_judge:benchmark_judge_tasks",
            "2",
            BENCHMARK_JUDGES,
            "Tier judge: how good each benchmark judge itself is, on labelled answers and on "
            "constructed ones: agreement with itself and with labels, spread of its scores, "
            "errors, latency, and what order, length and style of answers do to it. Calls models.",
            by=Axis.JUDGE,
            reads=("show_hide_dataset", "manual_dataset", "synthetic_dataset"),
            prompts=(
                "pairwise_preference",
                "pairwise_reply_direct",
                "pairwise_reply_reasoned",
                "reply_direct",
                "reply_reasoned",
                "rubric_answer_relevance",
                "rubric_faithfulness",
            ),
            checks=(
                "rag_bench.assets.factories.step_checks:replies_are_readable",
                "rag_bench.assets.tiers.judges:scores_are_not_all_alike",
                "rag_bench.assets.tiers.judges:only_content_moves_judges",
                "rag_bench.assets.tiers.judges:checked_against_people",
            ),
            instrument="tier judge",
        ),
    ),
)
