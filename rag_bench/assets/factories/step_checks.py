"""Checks of the assets that record their cells themselves, evaluated at the end of their step.

In the step, as it fails when cells are missing, and a check that is a step after it would then
be skipped just when it has something to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from rag_bench.assets.factories.cells import Recorder, recorded

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.registry import Step

StepEvent = dg.AssetCheckResult | dg.MaterializeResult

LEAST_READABLE = 0.95


@dataclass(frozen=True)
class StepCheck:
    """A check by name; ``evaluate`` says whether it passed and what was found."""

    name: str
    description: str
    evaluate: Callable[[Bench], dg.AssetCheckResult]


def specs(asset: str, checks: Sequence[StepCheck]) -> list[dg.AssetCheckSpec]:
    """Return what Dagster has to know of an asset's checks."""
    return [
        dg.AssetCheckSpec(check.name, asset=asset, description=check.description)
        for check in checks
    ]


def end_step(checks: Sequence[StepCheck], bench: Bench, record: Recorder) -> Iterator[StepEvent]:
    """End a step whose cells have been recorded: its checks, then success or failure.

    Raises:
        dg.Failure: cells have to be run again.
    """
    record.record_failed()  # Dagster takes what was logged with what is yielded, so before that
    for check in checks:
        yield check.evaluate(bench)._replace(check_name=check.name)
    record.close()
    yield recorded()


def nothing_to_check() -> dg.AssetCheckResult:
    """Return that a check did not pass, as there is nothing that it could be true of."""
    return dg.AssetCheckResult(
        passed=False,
        severity=dg.AssetCheckSeverity.WARN,
        description="Nothing was scored under these settings, so this cannot be said to hold.",
    )


def reads_russian(_step: Step) -> StepCheck:
    """Check the text measures with a text of which the right values are known."""

    def evaluate(bench: Bench) -> dg.AssetCheckResult:
        from rag_bench.evaluation.metrics.text_overlap import text_overlap

        same = "Стипендия выплачивается до 25-го числа каждого месяца."
        found = text_overlap(same, same)
        names = ("rouge1_f", "rouge2_f", "rougeL_f")
        return dg.AssetCheckResult(
            passed=all(found[name] == 1.0 for name in names),
            metadata={name: float(found[name] or 0.0) for name in names},
        )

    return StepCheck(
        "text_measures_read_russian",
        "Identical Russian texts overlap fully; a tokenizer for English would give 0.",
        evaluate,
    )


def prompts_are_whole(step: Step) -> StepCheck:
    """Check the rendered prompts of the rubrics that a run asks."""

    def evaluate(bench: Bench) -> dg.AssetCheckResult:
        from rag_bench.evaluation.rubrics import RUBRICS
        from rag_bench.llm.tasks import prompts
        from rag_bench.tiers.base.asked_rubrics import asked_rubrics

        values = {
            "question": "Когда пересдача?",
            "answer": "Пересдача 14 февраля.",
            "context": ["Пересдачи идут с 10 февраля."],
            "reference_answer": "С 10 февраля.",
        }
        bad = []
        asked = asked_rubrics(bench.run, step.tier, bench.dataset.kind)
        for name in asked:
            needed = {key: values[key] for key in RUBRICS[name].inputs}
            messages = prompts.render(RUBRICS[name].prompt, **needed)
            text = "\n".join(message["content"] for message in messages)
            if str(values["question"]) not in text or str(values["answer"]) not in text:
                bad.append(name)
        return dg.AssetCheckResult(
            passed=not bad,
            metadata={
                "rubrics": dg.MetadataValue.json(list(asked)),
                "without": dg.MetadataValue.json(bad),
            },
        )

    return StepCheck(
        "judge_prompts_hold_question_and_answer",
        "Every rendered judge prompt holds the question and the answer that it is about.",
        evaluate,
    )


def replies_are_readable(step: Step) -> StepCheck:
    """Check the share of scored cases of every judge under the run's settings."""

    def evaluate(bench: Bench) -> dg.AssetCheckResult:
        from rag_bench.store import evaluations

        low = {}
        found = evaluations.latest_of_kind(
            bench.engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
        )
        if not found:
            return nothing_to_check()
        for row in found:
            # The worst measure counts: some (counts of verdicts) are always complete.
            shares = [
                metric["n_scored"] / metric["n_expected"]
                for name, metric in row.metrics.items()
                if metric["n_expected"] and "latency" not in name
            ]
            if not shares or min(shares) < LEAST_READABLE:
                judge = row.benchmark_judge_model or row.production_judge_model
                what = "contexts" if step.kind == "ragas" else "pairs"
                low[f"{judge} on {row.generation_model or what}"] = round(
                    min(shares, default=0.0), 3
                )
        return dg.AssetCheckResult(
            passed=not low,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(low)} with less than {LEAST_READABLE:.0%} of cases scored",
            metadata={"share_scored": dg.MetadataValue.json(low)},
        )

    return StepCheck(
        "replies_are_readable",
        "At least 95 % of every judge's cases are scored: a judge that fails on the hard ones "
        "must not win by it.",
        evaluate,
    )
