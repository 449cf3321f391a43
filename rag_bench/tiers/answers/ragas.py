"""RAGAS' scores beside the rubrics': of answers per pair of models, of contexts per judge.

Context precision and recall read no answer, so they are asked once per benchmark judge. Each
result names the version of ragas, the language and the prompts that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError
from threading import Lock
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, ErrorCode, RagBenchError
from rag_bench.evaluation.aggregate import CaseRecord, aggregate_cases
from rag_bench.evaluation.metrics.ragas import RAGAS_ANSWER_NAMES, RAGAS_CONTEXT_NAMES
from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Role
from rag_bench.llm.ragas import prompts
from rag_bench.llm.tasks.pipeline import is_refusal
from rag_bench.store import evaluations
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case, NewEvaluation, StoredEvaluation
from rag_bench.tiers.answers.answers import answers_hash, answers_of
from rag_bench.tiers.answers.scores import Pair
from rag_bench.tiers.base.bench import Bench, silent
from rag_bench.tiers.base.cells import Cell, run_cells
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.reasked import asked_again_metrics, reask_inputs
from rag_bench.tiers.base.run_settings import Tier
from rag_bench.tiers.retrieval.retrieval import given, rankings

if TYPE_CHECKING:
    import numpy as np

    from rag_bench.llm.ragas.library import BenchEmbeddings
    from rag_bench.llm.ragas.metrics import RagasJudge, RagasScore, Sample

CODE_VERSION = "3"
CONTEXT_TIER: Tier = "3"
PREFIX = "ragas_"
SIMILARITY = "semantic_similarity"
#: Metrics that a judge is asked for, without their prefix; the similarity asks nobody.
CONTEXT_METRICS = tuple(name.removeprefix(PREFIX) for name in RAGAS_CONTEXT_NAMES)
ANSWER_METRICS = tuple(
    name.removeprefix(PREFIX) for name in RAGAS_ANSWER_NAMES if name != PREFIX + SIMILARITY
)
_NEED_REFERENCE = {"context_precision", "context_recall", "answer_correctness", SIMILARITY}

SampleOf = Callable[[Item], "Sample"]
"""Returns what is to be scored; raises CaseError where there is nothing."""


def instrument_of(bench: Bench) -> prompts.Instrument:
    """Return the version of ragas and the language of a run's prompts.

    Raises:
        RagBenchError: ragas is not installed.
    """
    try:
        version = prompts.ragas_version()
    except PackageNotFoundError:
        raise RagBenchError("ragas is not installed: pip install 'rag-bench[ragas]'.") from None
    questions = (item.question for item in bench.items)
    return prompts.Instrument(
        version, prompts.language_of(bench.settings.ragas_language, questions)
    )


async def answer_cells(
    bench: Bench,
    models: Models,
    tier: Tier,
    pairs: Sequence[Pair],
    on_done: Callable[[Pair, StoredEvaluation], None],
) -> None:
    """Score, or find already scored, the answers of each pair; report each pair as it ends.

    Raises:
        RagBenchError: a generation model has no answers under these settings, or no ragas.
    """
    work = _Work(bench, models, tier, on_done)
    answers = {model: answers_of(bench, tier, model) for model in {gen for gen, _ in pairs}}
    for pair in pairs:
        generator, judge = pair
        evaluation, cases = answers[generator]
        work.add(
            pair,
            judge,
            ANSWER_METRICS,
            partial(_answer_sample, bench, cases),
            generation_model=generator,
            inputs={"answers_hash": answers_hash(cases)},
            details={"answers_evaluation": evaluation.id},
        )
    await work.run(f"tier {tier} RAGAS scores")


async def context_cells(
    bench: Bench,
    models: Models,
    judges: Sequence[str],
    on_done: Callable[[str, StoredEvaluation], None],
) -> None:
    """Score, or find already scored, what tier 3 gives to generators, by each judge.

    Raises:
        RagBenchError: there is no retrieval under these settings, or no ragas.
    """
    work = _Work(bench, models, CONTEXT_TIER, on_done)
    found, ranked = rankings(bench)
    chosen = {key: given(bench, ranking) for key, ranking in ranked.items()}
    for judge in judges:
        work.add(
            judge,
            judge,
            CONTEXT_METRICS,
            partial(_context_sample, bench, chosen),
            generation_model=None,
            inputs={"contexts_hash": content_hash(chosen)},
            details={"retrieval_evaluation": found.id},
        )
    await work.run("RAGAS context scores")


def _answer_sample(bench: Bench, answers: Mapping[str, Case], item: Item) -> Sample:
    from rag_bench.llm.ragas.metrics import Sample

    case = answers.get(item.item_id)
    if case is None or case.answer is None:
        code = ErrorCode(case.error_code) if case and case.error_code else ErrorCode.LLM_FAILED
        detail = case.error_detail if case else "the answer is missing"
        # Trying again is up to the answers; scoring cannot mend it.
        raise CaseError(code, f"no answer to score: {detail}")
    contexts = [bench.chunk_by_hash[row["chunk_hash"]].text for row in case.retrieved or []]
    return Sample(
        item.question,
        case.answer,
        contexts,
        item.reference_answer or "",
        refused=is_refusal(case.answer),
    )


def _context_sample(bench: Bench, chosen: Mapping[str, Sequence[str]], item: Item) -> Sample:
    from rag_bench.llm.ragas.metrics import Sample

    contexts = [bench.chunk_by_hash[h].text for h in chosen.get(item.item_id, [])]
    return Sample(item.question, contexts=contexts, reference=item.reference_answer or "")


class _Work:
    """The cells of one step: those that are not done yet, with what they share."""

    def __init__(
        self,
        bench: Bench,
        models: Models,
        tier: Tier,
        on_done: Callable[[Any, StoredEvaluation], None],
    ) -> None:
        self.bench, self.models, self.tier, self.on_done = bench, models, tier, on_done
        self.instrument = instrument_of(bench)
        # A bench of its own, so that an encoder that embeds a few questions reports no progress.
        self._quiet = replace(bench, progress=silent)
        self._encoding = Lock()
        self._embeddings: BenchEmbeddings | None = None
        self._cells: list[Cell[StoredEvaluation]] = []

    def add(
        self,
        key: Any,
        judge: str,
        metrics: Sequence[str],
        sample_of: SampleOf,
        *,
        generation_model: str | None,
        inputs: Mapping[str, Any],
        details: Mapping[str, Any],
    ) -> None:
        """Add a cell, or report it at once where it is done.

        ``inputs`` are hashed and recorded, ``details`` recorded only.
        """
        hashed = {**inputs, **self.instrument.as_json()}
        input_hash = self.bench.input_hash(
            "ragas",
            self.tier,
            generation_model,
            judge,
            CODE_VERSION,
            hashed,
            *self.models.asked_otherwise(self.bench.settings, judge, Role.benchmark_judge),
            *reask_inputs(self.bench),
        )
        found = evaluations.find_finished(
            self.bench.engine, input_hash, retry_failed=self.bench.retry_failed
        )
        if found:
            self.on_done(key, found)
            return
        new = partial(
            NewEvaluation,
            tier=self.tier,
            kind="ragas",
            generation_model=generation_model,
            benchmark_judge_model=judge,
            input_hash=input_hash,
            started_at=datetime.now(UTC),
            code_version=CODE_VERSION,
            inputs={**hashed, **details},
            **{**self.bench.identity(), "prompt_hash": self.instrument.prompt_hash},
        )
        self._cells.append(self._cell(key, judge, metrics, sample_of, new))

    async def run(self, label: str) -> None:
        """Run all cells on the event loop; each is reported as it ends."""
        await run_cells(
            self._cells,
            self.models.slots,
            lambda cell, result: self.on_done(cell.key, result),
            lambda done, total: self.bench.progress(label, done, total),
        )

    def _cell(
        self,
        key: Any,
        judge: str,
        metrics: Sequence[str],
        sample_of: SampleOf,
        new: Callable[..., NewEvaluation],
    ) -> Cell[StoredEvaluation]:
        bench = self.bench
        scorer = self._judge(judge)
        items = [item for item in bench.items if not item.out_of_scope]
        asked = [(item, m) for item in items for m in metrics if _applies(item, m)]

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

        def finish(results: list[RagasScore | CaseError]) -> StoredEvaluation:
            by_item: dict[str, dict[str, RagasScore | CaseError]] = {}
            for (item, metric), result in zip(asked, results, strict=True):
                by_item.setdefault(item.item_id, {})[metric] = result
            names = [*metrics]
            if metrics == ANSWER_METRICS:
                names.append(SIMILARITY)
                for item_id, score in self._similarities(items, sample_of).items():
                    by_item.setdefault(item_id, {})[SIMILARITY] = score
            cases = [_case(item.item_id, by_item.get(item.item_id, {})) for item in bench.items]
            records = [
                _record(item, case, by_item.get(item.item_id, {}), names)
                for item, case in zip(bench.items, cases, strict=True)
            ]
            found = aggregate_cases(records, [PREFIX + name for name in names])
            # Of answers and of contexts there is a share each: they meet in one object of tier 3.
            kind = "" if metrics == ANSWER_METRICS else "context_"
            found |= asked_again_metrics(bench, results, PREFIX + kind)
            return evaluations.save_evaluation(
                bench.engine,
                new(
                    metrics={name: metric.to_json() for name, metric in found.items()},
                    n_retryable=sum(isinstance(r, CaseError) and r.retryable for r in results),
                ),
                cases,
                # Where nothing applies nothing failed.
                n_scored=sum(bool(case.scores) or case.error_code is None for case in cases),
            )

        jobs = [partial(job, item, metric) for item, metric in asked]
        rehearse = self._quiet.rehearse_encoding if metrics == ANSWER_METRICS else None
        provider = self.models.provider_of(judge)
        return Cell(key, provider, jobs, finish, rehearse, model=judge)

    def _judge(self, judge: str) -> RagasJudge:
        from rag_bench.llm.ragas.library import BenchEmbeddings
        from rag_bench.llm.ragas.metrics import RagasJudge

        if self._embeddings is None:
            self._embeddings = BenchEmbeddings(self._vectors)
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
            if _applies(item, SIMILARITY):
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


def _case(item_id: str, results: Mapping[str, RagasScore | CaseError]) -> Case:
    scores: dict[str, Any] = {}
    errors: list[tuple[str, CaseError]] = []
    for metric, result in results.items():
        if isinstance(result, CaseError):
            errors.append((metric, result))
            continue
        scores[PREFIX + metric] = result.value
        if result.evidence:
            scores[f"evidence_{metric}"] = result.evidence
    code = errors[0][1].code if errors else None
    detail = "; ".join(f"{metric}: {error.detail}" for metric, error in errors) or None
    flags = tuple(dict.fromkeys(flag for result in results.values() for flag in result.flags))
    return Case(item_id, scores=scores, error_code=code, error_detail=detail, flags=flags)


def _record(
    item: Item, case: Case, results: Mapping[str, RagasScore | CaseError], names: Sequence[str]
) -> CaseRecord:
    # Undefined (0/0) is not the same as missing: no judge could have scored it.
    undefined = {
        PREFIX + metric
        for metric, result in results.items()
        if not isinstance(result, CaseError) and result.value is None
    }
    return CaseRecord(
        item.item_id,
        item.cluster,
        {name: value for name, value in case.scores.items() if name.startswith(PREFIX)},
        case.error_code,
        case.flags,
        undefined | {PREFIX + name for name in names if not _applies(item, name)},
    )
