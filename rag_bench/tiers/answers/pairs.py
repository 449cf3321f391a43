"""Pairs of models: a generation model whose answers are there, and the judge that reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from rag_bench.answer_sources import why_nothing
from rag_bench.tiers.answers.earlier import Answers, NoAnswersError, earlier_of
from rag_bench.tiers.base.evaluate import Blocked, Nothing, Planned, Task

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench

Pair = tuple[str, str]
"""Generation model, benchmark judge."""

K = TypeVar("K")


def of_answered_pairs(
    bench: Bench, tier: str, pairs: Sequence[Pair], task: Callable[[Pair, Answers], Task[Pair]]
) -> list[Planned[Pair]]:
    """Return the task of each pair; those of a generator without answers are blocked, no others."""
    return _of_answered(bench, tier, [(pair, pair[0]) for pair in pairs], task)


def of_answered_models(
    bench: Bench, tier: str, models: Sequence[str], task: Callable[[str, Answers], Task[str]]
) -> list[Planned[str]]:
    """Return the task of each generation model that has answers; the others are blocked."""
    return _of_answered(bench, tier, [(model, model) for model in models], task)


def _of_answered(
    bench: Bench,
    tier: str,
    keys: Sequence[tuple[K, str]],
    task: Callable[[K, Answers], Task[K]],
) -> list[Planned[K]]:
    earlier = earlier_of(bench)
    answers: dict[str, Answers | NoAnswersError] = {}
    planned: list[Planned[K]] = []
    for key, generator in keys:
        if why := why_nothing(generator, tier, bench.dataset.kind):
            planned.append(Nothing(key, why, generator))
            continue
        if generator not in answers:
            try:
                answers[generator] = earlier.answers(tier, generator)
            except NoAnswersError as error:
                answers[generator] = error
        found = answers[generator]
        planned.append(task(key, found) if isinstance(found, Answers) else Blocked(key, str(found)))
    return planned
