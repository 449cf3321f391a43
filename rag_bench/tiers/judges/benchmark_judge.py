"""Tier judge: how good each benchmark judge itself is, on a sample that no generator enters.

Every triple is scored twice by each of its rubrics, and once more under each perturbation; pairs
are compared in both orders. See `rag_bench.tiers.judges.judge_sample` for what is asked and why,
and `rag_bench.evaluation.metrics`, the `judge_` modules, for what is made of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from rag_bench.errors import CaseError, RagBenchError
from rag_bench.evaluation.metrics.judges.judge_biases import (
    BothOrders,
    Place,
    order_metrics,
    preference_accuracy,
    sensitivity_metrics,
)
from rag_bench.evaluation.metrics.judges.judge_labels import label_metrics
from rag_bench.evaluation.metrics.judges.judge_scores import (
    Score,
    distribution_metrics,
    overall,
    repeat_metrics,
)
from rag_bench.evaluation.metrics.latency import latency_metrics
from rag_bench.evaluation.statistics import rate_metric
from rag_bench.evaluation.types import Metric
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks import pairwise, prompts
from rag_bench.llm.tasks.judging import JudgeScore, prompt_names, score
from rag_bench.llm.tasks.pairwise import Preference, prefer
from rag_bench.store import datasets
from rag_bench.store.datasets import DatasetInfo
from rag_bench.store.evaluations import Case
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.case_of import case_of
from rag_bench.tiers.base.evaluate import (
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
from rag_bench.tiers.base.pairs import no_pairs
from rag_bench.tiers.base.reasked import asked_again_metrics, reask_inputs
from rag_bench.tiers.judges.judge_sample import (
    CONSTRUCTED,
    HALVED,
    LABELLED,
    MISMATCHED,
    PERTURBATIONS,
    PERTURBED_RUBRIC,
    REPEATS,
    RUBRICS,
    AnswerPair,
    Sample,
    Triple,
    make_sample,
)

#: What an evaluation says of a judge that no labelled answer was there for.
NEVER_CHECKED = (
    "This judge was never checked against people: there are no labelled answers. Agreement is "
    "known with constructed labels only, which are easy."
)

#: The two orders of a pair, by which answer is shown first.
ORDERS = ("better_first", "better_second")


@dataclass(frozen=True)
class Ask:
    """One call: a triple's score by a rubric (maybe perturbed), or a pair in one order."""

    subject: Triple | AnswerPair
    what: str
    repeat: int = 0


Result = JudgeScore | Preference | CaseError
Results = Mapping[tuple[str, str, int], Result]
"""By case, what was asked, and repeat."""


class NothingToExamineError(RagBenchError):
    """There is no answer that is known to be good or bad; the message says what to import."""


def sample_of(bench: Bench, pairs: DatasetInfo | None) -> Sample:
    """Return what the judges of this run are asked about.

    Raises:
        NothingToExamineError: no labelled pairs, and no reference answers with known chunks.
    """
    labelled = datasets.items_of(bench.engine, pairs.id, bench.run.limit) if pairs else []
    sample = make_sample(bench, labelled, pairs.id if pairs else None)
    if not sample.triples:
        raise NothingToExamineError(
            "There is nothing to examine judges on: use a dataset with reference answers and known "
            f"chunks. {no_pairs(bench.engine, bench.snapshot)}"
        )
    return sample


def benchmark_judge_tasks(
    bench: Bench, models: Models, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    """Return a task per benchmark judge: the fixed sample, the same for all of them."""
    try:
        sample = sample_of(bench, bench.pairs)
    except NothingToExamineError as error:
        return [Nothing(judge, str(error)) for judge in keys]
    return [examination(bench, models, step, sample, judge) for judge in keys]


def examination(
    bench: Bench, models: Models, step: Declared, sample: Sample, judge: str
) -> Task[str]:
    """Return the task of examining one judge on a sample."""
    return Task(
        judge,
        step.tier,
        step.kind,
        (
            step.tier,
            judge,
            step.version,
            prompts.prompt_hash(prompts_of(bench.run.judge_eval_mode)),
            sample.hash,
            *models.asked_otherwise(bench.settings, judge, Role.benchmark_judge),
            *reask_inputs(bench),
        ),
        step.version,
        partial(_work, bench, models, step, sample, judge),
        Roles(benchmark_judge_model=judge),
        asked=judge,
        inputs={**_inputs(sample), **models.revision_inputs(judge)},
    )


def _inputs(sample: Sample) -> dict[str, Any]:
    """Return what is recorded of a sample."""
    inputs: dict[str, Any] = {
        "sample_hash": sample.hash,
        "labelled_pairs": sample.labelled_from,
        "n_labelled": sample.n_labelled,
        "n_constructed": len(sample.triples) - sample.n_labelled,
        "checked_against_people": bool(sample.n_labelled),
        "n_calls": sample.n_calls,
    }
    return inputs if sample.n_labelled else {**inputs, "remark": NEVER_CHECKED}


def prompts_of(mode: str) -> list[str]:
    """Return the prompt files that the tier's results depend on."""
    rubrics = {name for rubric in RUBRICS for name in prompt_names(rubric, mode)}
    return sorted(rubrics | set(pairwise.prompt_names(mode)))


def asks_of(sample: Sample) -> list[Ask]:
    """Return every call to one judge, in order; as many as ``sample.n_calls``."""
    asks = [
        Ask(triple, f"rubric_{rubric}", repeat)
        for repeat in range(REPEATS)
        for triple in sample.triples
        for rubric in triple.rubrics
    ]
    asks += [
        Ask(triple, perturbation)
        for triple in sample.triples
        for perturbation in triple.perturbations
    ]
    return asks + [Ask(pair, order) for pair in sample.pairs for order in ORDERS]


def _work(bench: Bench, models: Models, step: Declared, sample: Sample, judge: str) -> Work:
    asks = asks_of(sample)
    mode = bench.run.judge_eval_mode

    async def job(ask: Ask) -> JudgeScore | Preference:
        subject = ask.subject
        async with models.chat_models.case(
            Role.benchmark_judge,
            subject.case_id,
            metric=f"{step.tier}_{ask.what}",
            repeat=ask.repeat,
            retry_failed=bench.retry_failed,
            run_id=bench.run_id,
        ) as call:
            if isinstance(subject, AnswerPair):
                shown = [subject.better, subject.worse]
                if ask.what != ORDERS[0]:
                    shown.reverse()
                preference = await prefer(
                    models.chat_models,
                    judge,
                    question=subject.question,
                    context=subject.context,
                    answer_a=shown[0],
                    answer_b=shown[1],
                    mode=mode,
                )
                return replace(preference, flags=call.flags)
            perturbation = PERTURBATIONS.get(ask.what)
            found = await score(
                models.chat_models,
                judge,
                PERTURBED_RUBRIC if perturbation else ask.what.removeprefix("rubric_"),
                question=subject.question,
                answer=perturbation(subject.answer, subject.question)
                if perturbation
                else subject.answer,
                context=subject.context,
                mode=mode,
            )
            return replace(found, flags=call.flags)

    def measure(given: Sequence[Result]) -> Measured:
        results = {
            (ask.subject.case_id, ask.what, ask.repeat): result
            for ask, result in zip(asks, given, strict=True)
        }
        return Measured(
            metrics_of(sample, results) | asked_again_metrics(bench, given),
            list(_cases(sample, results)),
            n_scored=sum(not isinstance(result, CaseError) for result in given),
            n_retryable=n_retryable(given),
        )

    return Work([partial(job, ask) for ask in asks], measure)


def metrics_of(sample: Sample, results: Results) -> dict[str, Metric]:
    """Return all metrics of one judge."""
    triples = sample.triples
    clusters = [triple.cluster for triple in triples]
    first, second = (
        [[_score(results, t, f"rubric_{rubric}", repeat) for rubric in t.rubrics] for t in triples]
        for repeat in range(REPEATS)
    )
    subjects: list[Triple | AnswerPair] = [*triples, *sample.pairs]
    cluster_of = {subject.case_id: subject.cluster for subject in subjects}
    failed = [isinstance(result, CaseError) for result in results.values()]
    of_call = [cluster_of[case_id] for case_id, _, _ in results]
    latencies = [None if isinstance(r, CaseError) else r.latency_ms for r in results.values()]
    metrics = {"error_rate": rate_metric(failed, clusters=of_call), **latency_metrics(latencies)}
    metrics |= repeat_metrics(first, second, clusters)
    of_score = [t.cluster for t, scores in zip(triples, first, strict=True) for _ in scores]
    metrics |= distribution_metrics([score for scores in first for score in scores], of_score)
    for prefix, kind in (("label", LABELLED), ("constructed", CONSTRUCTED)):
        rows = [(overall(s), t) for s, t in zip(first, triples, strict=True) if t.kind == kind]
        metrics |= label_metrics(
            prefix,
            [score for score, _ in rows],
            [triple.good for _, triple in rows],
            clusters=[triple.cluster for _, triple in rows],
        )
        metrics[f"n_{prefix}_answers"] = Metric(
            float(len(rows)) if rows else None, len(rows), len(rows)
        )
    for perturbation in PERTURBATIONS:
        perturbed = [triple for triple in triples if perturbation in triple.perturbations]
        metrics |= sensitivity_metrics(
            perturbation,
            [_score(results, t, f"rubric_{PERTURBED_RUBRIC}") for t in perturbed],
            [_score(results, t, perturbation) for t in perturbed],
            [t.cluster for t in perturbed],
        )
    verdicts = {pair.case_id: _both_orders(results, pair) for pair in sample.pairs}
    metrics |= order_metrics(list(verdicts.values()))
    for kind in (MISMATCHED, HALVED):
        of_kind = [verdicts[pair.case_id] for pair in sample.pairs if pair.kind == kind]
        metrics[f"preference_accuracy_{kind}"] = preference_accuracy(of_kind)
    return metrics


def _score(results: Results, triple: Triple, what: str, repeat: int = 0) -> Score:
    found = results[triple.case_id, what, repeat]
    return float(found.score) if isinstance(found, JudgeScore) else None


def _both_orders(results: Results, pair: AnswerPair) -> BothOrders:
    places: dict[str, Place] = {"A": "first", "B": "second", "tie": "tie"}
    found = [results[pair.case_id, order, 0] for order in ORDERS]
    first, second = (places[r.winner] if isinstance(r, Preference) else None for r in found)
    return BothOrders(first, second, pair.cluster)


def _cases(sample: Sample, results: Results) -> Iterator[Case]:
    """Yield a case per triple and repeat, and per pair, with all that the judge said of it."""
    for triple in sample.triples:
        for repeat in range(REPEATS):
            asked = [f"rubric_{rubric}" for rubric in triple.rubrics]
            asked += [] if repeat else triple.perturbations
            scores = {"kind": triple.kind, "good": triple.good, "question": triple.question}
            yield _case(triple.case_id, repeat, triple.answer, scores, asked, results)
    for pair in sample.pairs:
        said = {"kind": pair.kind, "question": pair.question, "worse": pair.worse}
        yield _case(pair.case_id, 0, pair.better, said, ORDERS, results)


def _case(
    case_id: str,
    repeat: int,
    answer: str,
    known: Mapping[str, Any],
    asked: Sequence[str],
    results: Results,
) -> Case:
    of_case = {what: results[case_id, what, repeat] for what in asked}
    return case_of(case_id, of_case, _scores, repeat=repeat, answer=answer, known=known)


def _scores(what: str, result: JudgeScore | Preference) -> dict[str, Any]:
    said = result.score if isinstance(result, JudgeScore) else result.winner
    return {what: said, **({f"reasoning_{what}": result.reasoning} if result.reasoning else {})}
