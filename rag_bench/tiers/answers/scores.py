"""Rubric scores of answers, per pair of generation model and benchmark judge: tiers 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rag_bench.errors import CaseError
from rag_bench.evaluation.aggregate import CaseRecord, aggregate_cases
from rag_bench.evaluation.metrics.latency import latency_metrics
from rag_bench.evaluation.rubrics import PREFIX, RUBRICS
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.judging import JudgeScore, score
from rag_bench.store.datasets import Item
from rag_bench.tiers.answers import apart
from rag_bench.tiers.answers.earlier import Answers
from rag_bench.tiers.answers.pairs import Pair, of_answered_pairs
from rag_bench.tiers.base.asked_rubrics import own_prompts, rubric_inputs, rubrics_on
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.case_of import cases_of
from rag_bench.tiers.base.evaluate import (
    Declared,
    Measured,
    Planned,
    Roles,
    Task,
    Work,
    n_retryable,
)
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.reasked import asked_again_metrics, reask_inputs


def metric_name(rubric: str) -> str:
    """Return the name under which a rubric's score is published (RAGAS has its own)."""
    return PREFIX + rubric


def score_tasks(
    bench: Bench, models: Models, step: Declared, keys: Sequence[Pair]
) -> Sequence[Planned[Pair]]:
    """Return a task per pair of models: every question by every rubric of the tier."""
    return of_answered_pairs(bench, step.tier, keys, partial(_task, bench, models, step))


def _task(bench: Bench, models: Models, step: Declared, pair: Pair, answers: Answers) -> Task[Pair]:
    generator, judge = pair
    return Task(
        pair,
        step.tier,
        step.kind,
        (
            step.kind,
            step.tier,
            generator,
            judge,
            step.version,
            answers.hash,
            *models.asked_otherwise(bench.settings, judge, Role.benchmark_judge),
            *reask_inputs(bench),
            *rubric_inputs(bench, step.tier),
            *filter(None, [apart.read_inputs(bench)]),
        ),
        step.version,
        partial(_work, bench, models, step, judge, answers),
        Roles(generation_model=generator, benchmark_judge_model=judge),
        asked=judge,
        inputs={
            "answers_evaluation": answers.evaluation,
            "answers_hash": answers.hash,
            **own_prompts(bench, step.tier),
            **models.revision_inputs(judge),
        },
        made_from=answers.version,
    )


def _work(bench: Bench, models: Models, step: Declared, judge: str, answers: Answers) -> Work:
    rubrics = rubrics_on(bench, step.tier)

    def applies(item: Item, rubric: str) -> bool:
        if apart.counts_apart(bench, answers.by_item.get(item.item_id)):
            return False
        return _applies(item, rubric)

    asked = [(i, rubric) for i in bench.items for rubric in rubrics if applies(i, rubric)]
    answers.prepare(bench)

    async def job(item: Item, rubric: str) -> JudgeScore:
        answer = answers.answered(item.item_id)
        async with models.chat_models.case(
            Role.benchmark_judge,
            item.item_id,
            metric=rubric,
            retry_failed=bench.retry_failed,
            run_id=bench.run_id,
        ) as call:
            found = await score(
                models.chat_models,
                judge,
                rubric,
                question=item.question,
                answer=answer.text(bench),
                context=answer.contexts(bench),
                reference_answer=item.reference_answer,
                mode=bench.run.judge_eval_mode,
            )
            return replace(found, flags=call.flags)

    def measure(results: Sequence[JudgeScore | CaseError]) -> Measured:
        by_item: dict[str, dict[str, JudgeScore | CaseError]] = {}
        for (item, rubric), result in zip(asked, results, strict=True):
            by_item.setdefault(item.item_id, {})[rubric] = result
        rated = {item_id: apart.rating_of(case) for item_id, case in answers.by_item.items()}
        cases = cases_of((item.item_id for item in bench.items), by_item, _scores, rated)
        records = [
            CaseRecord(
                item.item_id,
                item.cluster,
                {name: value for name, value in case.scores.items() if name.startswith(PREFIX)},
                case.error_code,
                case.flags,
                {metric_name(m) for m in rubrics if not applies(item, m)},
            )
            for item, case in zip(bench.items, cases, strict=True)
        ]
        metrics = aggregate_cases(records, [metric_name(m) for m in rubrics])
        latencies = [r.latency_ms if isinstance(r, JudgeScore) else None for r in results]
        metrics |= {f"judge_{k}": metric for k, metric in latency_metrics(latencies).items()}
        metrics |= asked_again_metrics(bench, results)
        return Measured(
            metrics,
            cases,
            # Where nothing applies nothing failed.
            n_scored=sum(bool(case.scores) or case.error_code is None for case in cases),
            n_retryable=n_retryable(results),
        )

    return Work(
        [partial(job, item, rubric) for item, rubric in asked],
        measure,
        partial(apart.prepare, bench),
    )


def _applies(item: Item, rubric: str) -> bool:
    if item.out_of_scope:  # right is to refuse, which tier 3's answers are counted by
        return False
    return bool(item.reference_answer) or not RUBRICS[rubric].needs_reference


def _scores(rubric: str, result: JudgeScore) -> dict[str, object]:
    scores: dict[str, object] = {metric_name(rubric): result.score}
    return {**scores, f"reasoning_{rubric}": result.reasoning} if result.reasoning else scores
