"""Tier judge_pipeline: how well a production judge tells answers to show from those to hide.

It asks each judge about every labelled pair, and measures its verdicts against people's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rag_bench.errors import CaseError
from rag_bench.evaluation.metrics.judges.production_judge import show_metrics
from rag_bench.evaluation.metrics.latency import latency_metrics
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.pipeline import Verdict, show_or_hide
from rag_bench.store import datasets
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.base.bench import Bench
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
from rag_bench.tiers.base.pairs import made_for, no_pairs


def production_judge_tasks(
    bench: Bench, models: Models, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    """Return a task per production judge: the labelled pairs, up to the run's limit."""
    pairs = bench.pairs
    if pairs is None:
        why = no_pairs(bench.engine, bench.snapshot)
        return [Nothing(judge, why) for judge in keys]
    items = datasets.items_of(bench.engine, pairs.id, bench.run.limit)
    inputs = {"labelled_pairs": str(pairs), "made_for": made_for(bench.engine, pairs)}
    return [
        Task(
            judge,
            step.tier,
            step.kind,
            (
                step.tier,
                judge,
                pairs.id,
                step.version,
                *models.asked_otherwise(bench.settings, judge, Role.production_judge),
            ),
            step.version,
            partial(_work, bench, models, step, items, judge),
            Roles(production_judge_model=judge),
            asked=judge,
            inputs={**inputs, **models.revision_inputs(judge)},
            columns={"dataset_id": pairs.id},
        )
        for judge in keys
    ]


def _work(bench: Bench, models: Models, step: Declared, items: Sequence[Item], judge: str) -> Work:
    async def job(item: Item) -> Verdict:
        async with models.chat_models.case(
            Role.production_judge,
            item.item_id,
            metric=step.tier,
            retry_failed=bench.retry_failed,
            run_id=bench.run_id,
        ) as call:
            verdict = await show_or_hide(
                models.chat_models,
                judge,
                item.question,
                item.details["answer"],
                item.details["context"],
            )
            return replace(verdict, flags=call.flags)

    return Work([partial(job, item) for item in items], partial(_measured, items))


def _measured(items: Sequence[Item], results: Sequence[Verdict | CaseError]) -> Measured:
    predicted = [r.show if isinstance(r, Verdict) else None for r in results]
    truth = [bool(item.details["ground_truth_show"]) for item in items]
    latencies = [r.latency_ms if isinstance(r, Verdict) else None for r in results]
    return Measured(
        show_metrics(predicted, truth, clusters=[item.cluster for item in items])
        | latency_metrics(latencies),
        [_case(item, result) for item, result in zip(items, results, strict=True)],
        n_scored=sum(isinstance(result, Verdict) for result in results),
        n_retryable=n_retryable(results),
    )


def _case(item: Item, result: Verdict | CaseError) -> Case:
    if isinstance(result, CaseError):
        return Case(
            item.item_id,
            error_code=result.code,
            error_detail=result.detail,
            flags=result.flags,
        )
    scores = {
        "predicted_show": result.show,
        "ground_truth_show": item.details["ground_truth_show"],
        "reason": result.reason,
        "latency_ms": result.latency_ms,
    }
    return Case(item.item_id, answer=item.details["answer"], scores=scores, flags=result.flags)
