"""Checks of benchmark judges: whether their scores tell anything, and who says so."""

from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.step_checks import StepCheck, nothing_to_check
from rag_bench.tiers.registry import Step

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench

#: More than this share of one score, on answers of which many are good and many bad, is collapse.
MOST_ALIKE = 0.9


def scores_are_not_all_alike(step: Step) -> StepCheck:
    """Check that no judge gives almost always the same score: it would rank nothing."""

    def check(bench: "Bench") -> dg.AssetCheckResult:
        from rag_bench.store import evaluations

        alike: dict[str, float | None] = {}
        found = evaluations.latest_of_kind(
            bench.engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
        )
        if not found:
            return nothing_to_check()
        for row in found:
            share = row.metrics.get("score_collapse", {}).get("value")
            if share is None or share > MOST_ALIKE:
                alike[str(row.benchmark_judge_model)] = None if share is None else round(share, 3)
        return dg.AssetCheckResult(
            passed=not alike,
            severity=dg.AssetCheckSeverity.WARN,
            description=(
                f"{len(alike)} judges give one score to more than {MOST_ALIKE:.0%}, or none at all"
            ),
            metadata={"share_of_one_score": dg.MetadataValue.json(alike)},
        )

    return StepCheck(
        "scores_are_not_all_alike",
        "No judge gives more than 90 % of good and bad answers one and the same score.",
        check,
    )


#: How much a judge is moved by what is not content; by value at which it is not at all.
UNMOVED = {"length_sensitivity": 0.0, "style_sensitivity": 0.0, "first_position_rate": 0.5}


def only_content_moves_judges(step: Step) -> StepCheck:
    """Check that neither length nor style nor order moves a judge, beyond chance."""

    def check(bench: "Bench") -> dg.AssetCheckResult:
        from rag_bench.store import evaluations

        found = evaluations.latest_of_kind(
            bench.engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
        )
        if not found:
            return nothing_to_check()
        moved = {}
        for row in found:
            for name, unmoved in UNMOVED.items():
                metric = row.metrics.get(name, {})
                low, high = metric.get("ci_low"), metric.get("ci_high")
                if low is not None and high is not None and not low <= unmoved <= high:
                    moved[f"{row.benchmark_judge_model}: {name}"] = [metric["value"], low, high]
        said = [
            f"{name} {value:+.2f} [{low:+.2f}, {high:+.2f}]"
            for name, (value, low, high) in moved.items()
        ]
        return dg.AssetCheckResult(
            passed=not moved,
            severity=dg.AssetCheckSeverity.WARN,
            description="; ".join(said) or "neither length nor style nor order moves a judge",
            metadata={"moved": dg.MetadataValue.json(moved)},
        )

    return StepCheck(
        "only_content_moves_judges",
        "Neither polite words around an answer, nor Markdown, nor the order of two answers moves a "
        "judge: the interval holds no effect.",
        check,
    )


def checked_against_people(step: Step) -> StepCheck:
    """Check that people's labels stand behind what is said of the judges."""

    def check(bench: "Bench") -> dg.AssetCheckResult:
        from rag_bench.store import evaluations
        from rag_bench.store.labels.checked import never_checked

        found = evaluations.latest_of_kind(
            bench.engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
        )
        if not found:
            return nothing_to_check()
        unchecked = never_checked(bench.engine, (row.benchmark_judge_model for row in found))
        return dg.AssetCheckResult(
            passed=not unchecked,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(unchecked)} judges were never checked against people",
            metadata={"judges": dg.MetadataValue.json(unchecked)},
        )

    return StepCheck(
        "checked_against_people",
        "Every judge was compared with answers that people labelled.",
        check,
    )
