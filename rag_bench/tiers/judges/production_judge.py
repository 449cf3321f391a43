"""Tier judge_pipeline: how well a production judge tells answers to show from those to hide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from rag_bench.errors import CaseError
from rag_bench.evaluation.judging.classification import latency_metrics, show_metrics
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.pipeline import Verdict, show_or_hide
from rag_bench.store import datasets, evaluations
from rag_bench.store.datasets import DatasetInfo, Item
from rag_bench.store.evaluations import Case, NewEvaluation, StoredEvaluation
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.cells import Cell, run_cells
from rag_bench.tiers.base.measures import PRODUCTION_TIER as TIER
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.pairs import made_for

CODE_VERSION = "2"


async def judge_cells(
    bench: Bench,
    models: Models,
    pairs: DatasetInfo,
    production_judges: Sequence[str],
    on_done: Callable[[str, StoredEvaluation], None],
) -> None:
    """Ask, or find already asked, each production judge about the pairs, up to the limit."""
    items = datasets.items_of(bench.engine, pairs.id, bench.run.limit)
    cells: list[Cell[StoredEvaluation]] = []
    for judge in production_judges:
        input_hash = bench.input_hash(
            TIER,
            judge,
            pairs.id,
            CODE_VERSION,
            *models.asked_otherwise(bench.settings, judge, Role.production_judge),
        )
        found = evaluations.find_finished(bench.engine, input_hash, retry_failed=bench.retry_failed)
        if found:
            on_done(judge, found)
            continue
        cells.append(make_cell(bench, models, pairs, items, judge, input_hash))
    await run_cells(
        cells,
        models.slots,
        lambda cell, result: on_done(cell.key, result),
        lambda done, total: bench.progress("production judges", done, total),
    )


def make_cell(
    bench: Bench,
    models: Models,
    pairs: DatasetInfo,
    items: Sequence[Item],
    judge: str,
    input_hash: str,
) -> Cell[StoredEvaluation]:
    """Return the work of one production judge: a job per labelled pair."""
    started = datetime.now(UTC)

    async def job(item: Item) -> Verdict:
        async with models.chat_models.case(
            Role.production_judge,
            item.item_id,
            metric=TIER,
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

    def finish(results: list[Verdict | CaseError]) -> StoredEvaluation:
        predicted = [r.show if isinstance(r, Verdict) else None for r in results]
        truth = [bool(item.details["ground_truth_show"]) for item in items]
        metrics = show_metrics(
            predicted, truth, clusters=[item.cluster for item in items]
        ) | latency_metrics([r.latency_ms if isinstance(r, Verdict) else None for r in results])
        cases = [_case(item, result) for item, result in zip(items, results, strict=True)]
        new = NewEvaluation(
            tier=TIER,
            kind="scores",
            production_judge_model=judge,
            input_hash=input_hash,
            started_at=started,
            code_version=CODE_VERSION,
            inputs={"labelled_pairs": str(pairs), "made_for": made_for(bench.engine, pairs)},
            metrics={name: metric.to_json() for name, metric in metrics.items()},
            n_retryable=sum(isinstance(r, CaseError) and r.retryable for r in results),
            **{**bench.identity(), "dataset_id": pairs.id},
        )
        n_scored = sum(isinstance(result, Verdict) for result in results)
        return evaluations.save_evaluation(bench.engine, new, cases, n_scored=n_scored)

    return Cell(judge, models.provider_of(judge), [partial(job, item) for item in items], finish)


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
