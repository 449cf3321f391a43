"""The steps that ask models, in the order of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rag_bench.tiers.answers import answers, ragas, scores
from rag_bench.tiers.base.evaluate import Declared, Planned
from rag_bench.tiers.judges import benchmark_judge, production_judge

TasksOf = Callable[[Any, Any, Declared, Any], Sequence[Planned[Any]]]


class By(StrEnum):
    """Which models a step has a cell for."""

    generator = "generator"
    judge = "judge"
    gate = "gate"
    pair = "pair"


@dataclass(frozen=True)
class PaidStep:
    """One asset that asks models; ``ragas``: only where RAGAS is asked for."""

    asset: str
    by: By
    tasks_of: TasksOf
    declared: Declared
    ragas: bool = False

    @property
    def tier(self) -> str:
        """The tier that asks for it."""
        return self.declared.tier


def paid_steps() -> list[PaidStep]:
    """Return the steps in their order: each may read what those before it make."""
    steps = [
        PaidStep(f"tier{t}_answers", By.generator, answers.answer_tasks, step)
        for t, step in answers.STEPS.items()
    ]
    steps += [
        PaidStep(f"tier{t}_scores", By.pair, scores.score_tasks, step)
        for t, step in scores.STEPS.items()
    ]
    of_contexts = ragas.STEPS["3"]
    steps.append(
        PaidStep(
            "tier3_context_scores", By.judge, ragas.ragas_context_tasks, of_contexts, ragas=True
        )
    )
    steps += [
        PaidStep(f"tier{t}_ragas_scores", By.pair, ragas.ragas_answer_tasks, step, ragas=True)
        for t, step in ragas.STEPS.items()
    ]
    return [
        *steps,
        PaidStep(
            "benchmark_judge_quality",
            By.judge,
            benchmark_judge.benchmark_judge_tasks,
            benchmark_judge.STEP,
        ),
        PaidStep(
            "production_judge_scores",
            By.gate,
            production_judge.production_judge_tasks,
            production_judge.STEP,
        ),
    ]
