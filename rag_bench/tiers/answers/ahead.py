"""What a sweep's next stage asks of judges, asked while the last answers are measured.

Measuring answers is work for the processor (their texts are encoded), and providers would wait for
it. A sweep knows which judges come next and says so. The replies go into the ledger, where the next
stage finds them; nothing else is kept of them here, and what fails here is asked there as if nobody
had asked before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rag_bench.tiers import registry
from rag_bench.tiers.answers import scores
from rag_bench.tiers.answers.earlier import Answers, Stored
from rag_bench.tiers.base.cells import Cell
from rag_bench.tiers.base.evaluate import Task

if TYPE_CHECKING:
    from rag_bench.store.evaluations import Case
    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models


@dataclass
class Next:
    """The judges that come next, and whether they were asked already."""

    judges: tuple[str, ...] = ()
    asked: bool = False


_next: ContextVar[Next | None] = ContextVar("rag_bench_judged_next", default=None)


@contextmanager
def judged_next(judges: Sequence[str]) -> Iterator[Next]:
    """Say, for the steps in the block, which judges read their answers after them."""
    said = Next(tuple(judges))
    token = _next.set(said)
    try:
        yield said
    finally:
        _next.reset(token)


@dataclass(frozen=True)
class _JustAnswered(Stored):
    """What is stored, and the answers of one model that are about to be."""

    given: Answers = field(default_factory=lambda: Answers({}))

    def answers(self, tier: str, generation_model: str) -> Answers:
        return self.given


def cells_ahead(
    bench: Bench, models: Models, tier: str, generation_model: str, answers: Mapping[str, Case]
) -> list[Cell[None]]:
    """Return what the judges of the next stage are asked of a model's answers, by question.

    Nothing for judges that answer in this process, where nobody waits; nor where failed replies are
    asked for again, which each stage does once.
    """
    said = _next.get() or Next()
    judges = [judge for judge in said.judges if models.waits_for(judge)]
    if bench.retry_failed or not judges:
        return []
    said.asked = True
    seen = copy(bench)  # with all that it has loaded
    seen.foreseen = _JustAnswered(bench, Answers(answers))
    pairs = [(generation_model, judge) for judge in judges]
    # By name: the modules of others might have to be imported, which nothing may be beside cells.
    ours = f"{scores.__name__}:{scores.score_tasks.__name__}"
    steps = [step for step in registry.steps([tier]) if step.work == ours]
    planned = [one for step in steps for one in scores.score_tasks(seen, models, step, pairs)]
    return [
        Cell(
            (task.tier, *task.key),
            models.provider_of(task.key[1]),
            task.prepare().jobs,
            lambda _: None,
            model=task.asked,
        )
        for task in planned
        if isinstance(task, Task)
    ]
