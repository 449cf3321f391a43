"""RAGAS' scores beside the rubrics': of answers per pair of models, of contexts per judge.

Context precision and recall read no answer, so they are asked once per benchmark judge. Each
result names the version of ragas, the language and the prompts that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from rag_bench.errors import CaseError
from rag_bench.evaluation.aggregate import aggregate_cases
from rag_bench.evaluation.catalogue import spec
from rag_bench.evaluation.metric_spec import Need
from rag_bench.evaluation.metrics.ragas import RAGAS_ANSWER_NAMES, RAGAS_CONTEXT_NAMES
from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Role
from rag_bench.llm.ragas import prompts
from rag_bench.llm.ragas.expected import expected_prompts
from rag_bench.store.datasets import Item
from rag_bench.tiers.answers import apart
from rag_bench.tiers.answers.earlier import Answers, earlier_of
from rag_bench.tiers.answers.pairs import Pair, of_answered_pairs
from rag_bench.tiers.answers.ragas_samples import (
    PREFIX,
    answer_sample,
    context_sample,
    has_contexts,
    not_scored,
    record_of,
)
from rag_bench.tiers.base.bench import Bench, silent
from rag_bench.tiers.base.case_of import cases_of
from rag_bench.tiers.base.evaluate import (
    Blocked,
    Declared,
    Measured,
    Nothing,
    Planned,
    Roles,
    Task,
    Work,
    n_retryable,
)
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.reasked import asked_again_metrics, reask_inputs
from rag_bench.tiers.base.rehearsal import rehearse_sdk
from rag_bench.tiers.retrieval.retrieval import NotRetrievedError, contexts_given

if TYPE_CHECKING:
    import numpy as np

    from rag_bench.llm.ragas.library import BenchEmbeddings
    from rag_bench.llm.ragas.metrics import RagasJudge, RagasScore, Sample

SIMILARITY = "semantic_similarity"
NOT_INSTALLED = "ragas is not installed, so nothing was measured: pip install 'rag-bench[ragas]'."
_NEED_REFERENCE = {
    name.removeprefix(PREFIX)
    for name in (*RAGAS_ANSWER_NAMES, *RAGAS_CONTEXT_NAMES)
    if Need.reference in spec(name).needs
}

#: Of those that a judge is asked for, the ones that compare vectors besides.
_READ_VECTORS = frozenset({"answer_relevancy", "answer_correctness"})

K = TypeVar("K")

SampleOf = Callable[[Item], "Sample"]
"""Returns what is to be scored; raises CaseError where there is nothing."""


@dataclass(frozen=True)
class Subject:
    """What RAGAS scores: answers, or the contexts that they are made from.

    Attributes:
        metrics: those that a judge is asked for, without their prefix.
        similarity: whether `SIMILARITY`, which asks nobody, is measured beside them.
        prefix: before the share of replies that were asked for again: answers and contexts of tier
            3 meet in one object.
    """

    metrics: tuple[str, ...]
    similarity: bool
    prefix: str

    @property
    def names(self) -> list[str]:
        """All metrics, without their prefix."""
        return [*self.metrics, *([SIMILARITY] if self.similarity else [])]

    @property
    def encodes(self) -> bool:
        """Whether a metric compares vectors."""
        return self.similarity or bool(_READ_VECTORS & set(self.metrics))

    def on(self, bench: Bench) -> Subject:
        """Return it with those metrics alone that are wanted on a bench."""
        wanted = bench.judged
        if wanted is None:
            return self
        metrics = tuple(name for name in self.metrics if PREFIX + name in wanted)
        similarity = self.similarity and PREFIX + SIMILARITY in wanted
        return replace(self, metrics=metrics, similarity=similarity)


ANSWERS = Subject(
    tuple(n.removeprefix(PREFIX) for n in RAGAS_ANSWER_NAMES if n != PREFIX + SIMILARITY),
    similarity=True,
    prefix=PREFIX,
)
CONTEXTS = Subject(
    tuple(name.removeprefix(PREFIX) for name in RAGAS_CONTEXT_NAMES),
    similarity=False,
    prefix=f"{PREFIX}context_",
)


def ragas_answer_tasks(
    bench: Bench, models: Models, step: Declared, keys: Sequence[Pair]
) -> Sequence[Planned[Pair]]:
    """Return a task per pair of models: every answer by every metric of `ANSWERS`."""
    instrument = instrument_of(bench)
    if instrument is None:
        return [Nothing(pair, NOT_INSTALLED, pair[0]) for pair in keys]
    ragas = _Ragas(bench, models, step, instrument)

    def task(pair: Pair, answers: Answers) -> Task[Pair]:
        generator, judge = pair
        answers.prepare(bench)
        return ragas.task(
            pair,
            Roles(generation_model=generator, benchmark_judge_model=judge),
            ANSWERS,
            partial(answer_sample, bench, answers),
            hashed={"answers_hash": answers.hash, **apart.read_inputs(bench)},
            left_out=partial(not_scored, bench, answers),
            recorded={"answers_evaluation": answers.evaluation},
            made_from=answers.version,
        )

    return of_answered_pairs(bench, step.tier, keys, task)


def ragas_context_tasks(
    bench: Bench, models: Models, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    """Return a task per benchmark judge: what tier 3 gives to generators, by `CONTEXTS`."""
    instrument = instrument_of(bench)
    if instrument is None:
        return [Nothing(judge, NOT_INSTALLED) for judge in keys]
    try:
        found = earlier_of(bench).retrieved()
    except NotRetrievedError as error:
        return [Blocked(judge, str(error)) for judge in keys]
    ragas = _Ragas(bench, models, step, instrument)
    chosen = {key: contexts_given(bench, ranking) for key, ranking in found.rankings.items()}
    return [
        ragas.task(
            judge,
            Roles(benchmark_judge_model=judge),
            CONTEXTS,
            partial(context_sample, bench, chosen, found.failed),
            hashed={"contexts_hash": content_hash(chosen), **apart.read_inputs(bench)},
            recorded={"retrieval_evaluation": found.evaluation},
        )
        for judge in keys
    ]


def ragas_own_context_tasks(
    bench: Bench, models: Models, step: Declared, keys: Sequence[Pair]
) -> Sequence[Planned[Pair]]:
    """Return a task per pair: the contexts that answers of a source were made from, which are its
    own, by `CONTEXTS`. An answer without any is not scored.
    """
    instrument = instrument_of(bench)
    if instrument is None:
        return [Nothing(pair, NOT_INSTALLED, pair[0]) for pair in keys]
    ragas = _Ragas(bench, models, step, instrument)

    def task(pair: Pair, answers: Answers) -> Task[Pair]:
        generator, judge = pair
        return ragas.task(
            pair,
            Roles(generation_model=generator, benchmark_judge_model=judge),
            CONTEXTS,
            partial(answer_sample, bench, answers),
            hashed={"own_contexts_hash": answers.hash},
            left_out=lambda item, _: not has_contexts(answers, item),
            recorded={"answers_evaluation": answers.evaluation},
            made_from=answers.version,
        )

    return of_answered_pairs(bench, "3", keys, task)


def instrument_of(bench: Bench) -> prompts.Instrument | None:
    """Return the version of ragas and the language of the prompts; None: it is not installed."""
    try:
        version = prompts.ragas_version()
    except PackageNotFoundError:
        return None
    questions = (item.question for item in bench.items)
    language = prompts.language_of(bench.settings.ragas_language, questions)
    return prompts.Instrument(version, language)


class _Ragas:
    """What the tasks of one step share: the instrument, and one queue of texts to encode."""

    def __init__(
        self, bench: Bench, models: Models, step: Declared, instrument: prompts.Instrument
    ) -> None:
        self.bench, self.models, self.step, self.instrument = bench, models, step, instrument
        # A bench of its own, so that an encoder that embeds a few questions reports no progress.
        self._quiet = replace(bench, progress=silent)
        self._encoding = Lock()

    def task(
        self,
        key: K,
        roles: Roles,
        subject: Subject,
        sample_of: SampleOf,
        *,
        hashed: Mapping[str, Any],
        recorded: Mapping[str, Any],
        made_from: str | None = None,
        left_out: Callable[[Item, str], bool] = lambda *_: False,
    ) -> Task[K]:
        """Return a task; ``hashed`` is recorded, too; what is ``left_out`` of items and metrics is
        not scored.
        """
        step, judge = self.step, roles.benchmark_judge_model
        assert judge is not None
        inputs = {**hashed, **self.instrument.as_json()}
        if (asked := subject.on(self.bench)) != subject:
            subject, inputs = asked, {**inputs, "asked_metrics": sorted(asked.names)}
        return Task(
            key,
            step.tier,
            step.kind,
            (
                step.kind,
                step.tier,
                roles.generation_model,
                judge,
                step.version,
                inputs,
                *self.models.asked_otherwise(self.bench.settings, judge, Role.benchmark_judge),
                *reask_inputs(self.bench),
            ),
            step.version,
            partial(self._work, judge, subject, sample_of, left_out),
            roles,
            asked=judge,
            inputs={**inputs, **recorded, **self.models.revision_inputs(judge)},
            columns={"prompt_hash": self.instrument.prompt_hash},
            made_from=made_from,
        )

    def _work(
        self,
        judge: str,
        subject: Subject,
        sample_of: SampleOf,
        left_out: Callable[[Item, str], bool],
    ) -> Work:
        bench = self.bench
        scorer = self._judge(judge)

        def applies(item: Item, metric: str) -> bool:
            return _applies(item, metric) and not left_out(item, metric)

        asked = [
            (item, metric)
            for item in bench.items
            for metric in subject.metrics
            if applies(item, metric)
        ]

        async def job(item: Item, metric: str) -> RagasScore:
            sample = sample_of(item)
            async with self.models.chat_models.case(
                Role.benchmark_judge,
                item.item_id,
                metric=PREFIX + metric,
                retry_failed=bench.retry_failed,
                run_id=bench.run_id,
            ) as call:
                found = await scorer.score(metric, sample)
                return replace(found, flags=call.flags)

        def measure(results: Sequence[RagasScore | CaseError]) -> Measured:
            by_item: dict[str, dict[str, RagasScore | CaseError]] = {}
            for (item, metric), result in zip(asked, results, strict=True):
                by_item.setdefault(item.item_id, {})[metric] = result
            if subject.similarity:
                scored = [item for item in bench.items if applies(item, SIMILARITY)]
                for item_id, score in self._similarities(scored, sample_of).items():
                    by_item.setdefault(item_id, {})[SIMILARITY] = score
            cases = cases_of((item.item_id for item in bench.items), by_item, _scores)
            records = [
                record_of(item, case, by_item.get(item.item_id, {}), subject.names, applies)
                for item, case in zip(bench.items, cases, strict=True)
            ]
            return Measured(
                aggregate_cases(records, [PREFIX + name for name in subject.names])
                | asked_again_metrics(bench, results, subject.prefix),
                cases,
                # Where nothing applies nothing failed.
                n_scored=sum(bool(case.scores) or case.error_code is None for case in cases),
                n_retryable=n_retryable(results),
            )

        def rehearse() -> None:
            rehearse_sdk()
            apart.prepare(bench)
            if subject.encodes:
                self._quiet.rehearse_encoding()

        def prompts_of(place: int) -> list[int]:
            item, metric = asked[place]
            return expected_prompts(self.instrument.language, metric, sample_of(item))

        return Work(
            [partial(job, item, metric) for item, metric in asked],
            measure,
            rehearse,
            prompts=prompts_of,
        )

    @cached_property
    def _embeddings(self) -> BenchEmbeddings:
        from rag_bench.llm.ragas.library import BenchEmbeddings

        return BenchEmbeddings(self._vectors)

    def _judge(self, judge: str) -> RagasJudge:
        from rag_bench.llm.ragas.metrics import RagasJudge

        return RagasJudge(
            self.models.chat_models, judge, self.instrument.language, self._embeddings
        )

    def _vectors(self, texts: Sequence[str]) -> np.ndarray:
        """Return vectors (n, d); all sides as questions are, as e5 wants for plain similarity."""
        exact = [self._quiet.encoder_identity.query_text(text) for text in texts]
        with self._encoding:  # judges' questions and finished cells come from two threads
            self._quiet.embed(exact, "encoding")
        return self._quiet.vectors(exact)

    def _similarities(self, items: Sequence[Item], sample_of: SampleOf) -> dict[str, RagasScore]:
        """Return the similarity of every answer that is there; the others have their error."""
        from rag_bench.llm.ragas.metrics import semantic_similarities

        samples = {}
        for item in items:
            try:
                sample = sample_of(item)
            except CaseError:
                continue
            # A reply of nothing but citations leaves no words; ragas would compare a blank.
            if sample.answer.strip() and sample.reference.strip():
                samples[item.item_id] = sample
        scores = semantic_similarities(list(samples.values()), self._vectors)
        return dict(zip(samples, scores, strict=True))


def _applies(item: Item, metric: str) -> bool:
    if item.out_of_scope:  # right is to refuse, which tier 3's answers are counted by
        return False
    return bool(item.reference_answer) or metric not in _NEED_REFERENCE


def _scores(metric: str, result: RagasScore) -> dict[str, Any]:
    scores: dict[str, Any] = {PREFIX + metric: result.value}
    return {**scores, f"evidence_{metric}": result.evidence} if result.evidence else scores
