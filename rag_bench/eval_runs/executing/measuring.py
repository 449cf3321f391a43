"""A part of a run, measured by the steps of the tiers: those that what was asked for needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.executing import joining
from rag_bench.eval_runs.executing.benches import retrieves_by_itself
from rag_bench.eval_runs.executing.cutting import cut_cases
from rag_bench.eval_runs.executing.wanted import Wanted
from rag_bench.store import evaluations
from rag_bench.store.evaluations import Kind, StoredEvaluation
from rag_bench.store.evaluations.case_calls import called
from rag_bench.store.vectors import MissingVectorsError
from rag_bench.tiers import registry
from rag_bench.tiers.answers.ahead import judged_next
from rag_bench.tiers.answers.earlier import first_answers
from rag_bench.tiers.base.evaluate import (
    Blocked,
    Nothing,
    Planned,
    Task,
    evaluate,
    evaluate_here,
)
from rag_bench.tiers.retrieval.searchers import passage_texts

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models

ANSWERS = "tier3_answers"


@dataclass(frozen=True)
class OwnContexts:
    """What measures the contexts of those who retrieve by themselves, answer by answer.

    In a tier of its own: beside tier 3's contexts, which read no answer, the two would be one.
    """

    tier: str = "eval"
    kind: Kind = "ragas"
    version: str = "1"


@dataclass
class Found:
    """The evaluations of a part, by what they are of."""

    answers: StoredEvaluation | None = None
    retrieval: StoredEvaluation | None = None
    ragas_answers: StoredEvaluation | None = None
    ragas_contexts: StoredEvaluation | None = None
    rubrics: StoredEvaluation | None = None
    extra: StoredEvaluation | None = None

    @property
    def all(self) -> list[StoredEvaluation]:
        """All that there are."""
        every = (
            *(self.answers, self.retrieval, self.ragas_answers),
            *(self.ragas_contexts, self.rubrics, self.extra),
        )
        return [one for one in every if one is not None]

    def measured(
        self, engine: Engine, bench: Bench, wanted: Wanted, generator: str | None
    ) -> joining.Measured:
        """Return their cases."""

        def cases(one: StoredEvaluation) -> joining.Cases:
            return first_answers(evaluations.cases_of(engine, one.id))

        judged = []
        if self.ragas_answers:
            judged.append(joining.answer_ragas(cases(self.ragas_answers)))
        if self.ragas_contexts:
            judged.append(joining.context_ragas(cases(self.ragas_contexts)))
        if self.rubrics:
            judged.append(joining.rubric_scores(cases(self.rubrics)))
        if self.extra:
            judged.append(joining.extra_scores(cases(self.extra), self.extra))
        answers = None
        if generator is not None and not _failed(self.retrieval):
            answers = cases(self.answers) if self.answers else {}
        knows = bool(bench.snapshot.sha256) and "twins" in bench.__dict__
        retrieval = cases(self.retrieval) if self.retrieval else None
        measured = joining.Measured(
            answers,
            retrieval,
            judged,
            cut_cases(bench, wanted, answers, retrieval),
        )
        if knows:
            measured = replace(measured, same=bench.twins.as_judged)
        return replace(measured, called=called(engine, measured.call_ids))


def _failed(found: StoredEvaluation | None) -> bool:
    """Tell whether a step has no result for any case."""
    return found is not None and found.status == "failed"


class Measuring:
    """Measures one part. ``models``: None where nobody is asked."""

    def __init__(
        self,
        bench: Bench,
        models: Models | None,
        config: RunConfig,
        wanted: Wanted,
        generator: str | None,
    ) -> None:
        self._bench, self._models, self._config = bench, models, config
        self._wanted, self._generator = wanted, generator
        self.found = Found()

    async def run(self) -> Found:
        """Measure all that is wanted; what is there already is found.

        Raises:
            RagBenchError: a step cannot be run, or was stopped; what ended before is stored.
        """
        wanted, generator, judge = self._wanted, self._generator, self._config.judge_model
        own = retrieves_by_itself(generator)
        if not own:
            await self._retrieve()
        if generator is None or _failed(self.found.retrieval):
            return self.found
        with judged_next([judge] if wanted.rubrics and judge else []):
            await self._step(ANSWERS, [generator], "answers")
        if _failed(self.found.answers):
            return self.found  # no case has an answer: there is nothing to score
        judged: list[tuple[str, Sequence[Planned[Any]]]] = []
        if wanted.judged and judge is None:
            raise RagBenchError("The run asks for scores of a judge, and names none.")
        pair = (generator, judge or "")
        if wanted.ragas_answers:
            judged.append(("ragas_answers", self._planned("tier3_ragas_scores", [pair])))
        if wanted.ragas_contexts and own:
            judged.append(("ragas_contexts", self._own_contexts(pair)))
        elif wanted.ragas_contexts:
            judged.append(("ragas_contexts", self._planned("tier3_context_scores", [judge])))
        if wanted.rubrics:
            judged.append(("rubrics", self._planned("tier3_scores", [pair])))
        if judged:
            await self._evaluate(judged, "scores")
        if wanted.extra:
            await self._evaluate([("extra", self._extra())], "metrics")
        return self.found

    async def _retrieve(self) -> None:
        """Search for the questions; a knowledge base that was only loaded is encoded first."""
        try:
            await self._step("tier1_retrieval", [None], "retrieval")
        except MissingVectorsError:
            self._bench.searched.embed(passage_texts(self._bench), "encoding chunks")
            await self._step("tier1_retrieval", [None], "retrieval")

    async def _step(self, asset: str, keys: Sequence[Any], name: str) -> None:
        await self._evaluate([(name, self._planned(asset, keys))], name)

    def _planned(self, asset: str, keys: Sequence[Any]) -> Sequence[Planned[Any]]:
        step = registry.step_named(asset)
        work: Callable[..., Sequence[Planned[Any]]] = registry.resolve(step.work)
        return work(self._bench, self._models, step, keys)

    def _own_contexts(self, pair: tuple[str, str]) -> Sequence[Planned[Any]]:
        from rag_bench.tiers.answers.ragas import ragas_own_context_tasks

        assert self._models is not None, "a judge is asked"
        return ragas_own_context_tasks(self._bench, self._models, OwnContexts(), [pair])

    def _extra(self) -> Sequence[Planned[Any]]:
        """Return the task of BERTScore and the user's metrics, of those that were asked for."""
        from rag_bench.tiers.users_metrics import custom_metrics

        step = registry.step_named("tier3_custom_metrics")
        measures = custom_metrics.open_measures(
            self._bench.settings, names=self._wanted.custom, bertscore=self._wanted.bertscore
        )
        assert self._generator is not None, "there are answers"
        return custom_metrics.tasks_with(measures, self._bench, step, [self._generator])

    async def _evaluate(
        self, planned: Sequence[tuple[str, Sequence[Planned[Any]]]], label: str
    ) -> None:
        """Evaluate several steps side by side, each by the name that `Found` has for it."""
        tasks: dict[int, str] = {}
        wanted: list[Task[Any]] = []
        for name, steps in planned:
            for one in steps:
                match one:
                    case Task():
                        one = replace(one)  # of this name alone
                        tasks[id(one)] = name
                        wanted.append(one)
                    case Nothing(_, why) | Blocked(_, why):
                        raise RagBenchError(why)  # what was asked for cannot be measured

        def done(task: Task[Any], found: StoredEvaluation) -> None:
            setattr(self.found, tasks[id(task)], found)

        if self._models is None:
            await evaluate_here(self._bench, wanted, done, label)
        else:
            await evaluate(self._bench, self._models, wanted, done, label)
