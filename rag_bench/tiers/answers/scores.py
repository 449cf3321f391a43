"""Rubric scores of answers, per pair of generation model and benchmark judge: tiers 2 and 3."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.aggregate import CaseRecord, aggregate_cases
from rag_bench.evaluation.metrics.latency import latency_metrics
from rag_bench.evaluation.rubrics import PREFIX, RUBRICS
from rag_bench.llm.config.providers import Role
from rag_bench.llm.tasks.judging import JudgeScore, score
from rag_bench.store import evaluations
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case, NewEvaluation, StoredEvaluation
from rag_bench.tiers.answers.answers import answers_hash, answers_of
from rag_bench.tiers.base.asked_rubrics import asked_rubrics, rubric_inputs
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.cells import Cell, run_cells
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.base.reasked import asked_again_metrics, reask_inputs
from rag_bench.tiers.base.run_settings import Tier

CODE_VERSION = "3"

Pair = tuple[str, str]
"""Generation model, benchmark judge."""


def metric_name(rubric: str) -> str:
    """Return the name under which a rubric's score is published (RAGAS has its own)."""
    return PREFIX + rubric


async def score_cells(
    bench: Bench,
    models: Models,
    tier: Tier,
    pairs: Sequence[Pair],
    on_done: Callable[[Pair, StoredEvaluation], None],
) -> None:
    """Score, or find already scored, the answers of each pair; report each pair as it ends.

    Raises:
        RagBenchError: a generation model has no answers under these settings.
    """
    answers = {model: answers_of(bench, tier, model) for model in {gen for gen, _ in pairs}}
    cells: list[Cell[StoredEvaluation]] = []
    for pair in pairs:
        generator, judge = pair
        evaluation, cases = answers[generator]
        input_hash = bench.input_hash(
            "scores",
            tier,
            generator,
            judge,
            CODE_VERSION,
            answers_hash(cases),
            *models.asked_otherwise(bench.settings, judge, Role.benchmark_judge),
            *reask_inputs(bench),
            *rubric_inputs(bench.run, tier),
        )
        found = evaluations.find_finished(bench.engine, input_hash, retry_failed=bench.retry_failed)
        if found:
            on_done(pair, found)
            continue
        cells.append(make_cell(bench, models, tier, pair, cases, evaluation.id, input_hash))
    await run_cells(
        cells,
        models.slots,
        lambda cell, result: on_done(cell.key, result),
        lambda done, total: bench.progress(f"tier {tier} scores", done, total),
    )


def make_cell(
    bench: Bench,
    models: Models,
    tier: Tier,
    pair: Pair,
    answers: Mapping[str, Case],
    answers_evaluation: int,
    input_hash: str,
) -> Cell[StoredEvaluation]:
    """Return the work of one pair of models: a job per question and rubric."""
    generator, judge = pair
    started = datetime.now(UTC)
    rubrics = asked_rubrics(bench.run, tier)
    asked = [(item, rubric) for item in bench.items for rubric in rubrics]

    async def job(item: Item, rubric: str) -> JudgeScore:
        case = answers.get(item.item_id)
        if case is None or case.answer is None:
            code = ErrorCode(case.error_code) if case and case.error_code else ErrorCode.LLM_FAILED
            detail = case.error_detail if case else "the answer is missing"
            # Trying again is up to the answers; scoring cannot mend it.
            raise CaseError(code, f"no answer to score: {detail}")
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
                answer=case.answer,
                context=_context_texts(bench, case),
                reference_answer=item.reference_answer,
                mode=bench.run.judge_eval_mode,
            )
            return replace(found, flags=call.flags)

    def applicable(item: Item, rubric: str) -> bool:
        if item.out_of_scope:  # right is to refuse, which tier 3's answers are counted by
            return False
        return bool(item.reference_answer) or not RUBRICS[rubric].needs_reference

    asked = [(item, rubric) for item, rubric in asked if applicable(item, rubric)]

    def finish(results: list[JudgeScore | CaseError]) -> StoredEvaluation:
        by_item: dict[str, dict[str, JudgeScore | CaseError]] = {}
        for (item, rubric), result in zip(asked, results, strict=True):
            by_item.setdefault(item.item_id, {})[rubric] = result
        cases = [_case(item.item_id, by_item.get(item.item_id, {})) for item in bench.items]
        records = [
            CaseRecord(
                item.item_id,
                item.cluster,
                {name: value for name, value in case.scores.items() if name.startswith(PREFIX)},
                case.error_code,
                case.flags,
                {metric_name(m) for m in rubrics if not applicable(item, m)},
            )
            for item, case in zip(bench.items, cases, strict=True)
        ]
        metrics = aggregate_cases(records, [metric_name(m) for m in rubrics])
        latencies = [r.latency_ms if isinstance(r, JudgeScore) else None for r in results]
        metrics |= {f"judge_{k}": metric for k, metric in latency_metrics(latencies).items()}
        metrics |= asked_again_metrics(bench, results)
        new = NewEvaluation(
            tier=tier,
            kind="scores",
            generation_model=generator,
            benchmark_judge_model=judge,
            input_hash=input_hash,
            started_at=started,
            code_version=CODE_VERSION,
            inputs={
                "answers_evaluation": answers_evaluation,
                "answers_hash": answers_hash(answers),
            },
            metrics={name: metric.to_json() for name, metric in metrics.items()},
            n_retryable=sum(isinstance(r, CaseError) and r.retryable for r in results),
            **bench.identity(),
        )
        # Where nothing applies nothing failed.
        n_scored = sum(bool(case.scores) or case.error_code is None for case in cases)
        return evaluations.save_evaluation(bench.engine, new, cases, n_scored=n_scored)

    provider = models.provider_of(judge)
    jobs = [partial(job, item, rubric) for item, rubric in asked]
    return Cell(pair, provider, jobs, finish, model=judge)


def _context_texts(bench: Bench, case: Case) -> list[str]:
    """Return the very fragments that the answer was made from."""
    return [bench.chunk_by_hash[row["chunk_hash"]].text for row in case.retrieved or []]


def _case(item_id: str, results: Mapping[str, JudgeScore | CaseError]) -> Case:
    scores: dict[str, object] = {}
    errors: list[tuple[str, CaseError]] = []
    for rubric, result in results.items():
        if isinstance(result, CaseError):
            errors.append((rubric, result))
            continue
        scores[metric_name(rubric)] = result.score
        if result.reasoning:
            scores[f"reasoning_{rubric}"] = result.reasoning
    code = errors[0][1].code if errors else None
    detail = "; ".join(f"{rubric}: {error.detail}" for rubric, error in errors) or None
    flags = tuple(dict.fromkeys(flag for result in results.values() for flag in result.flags))
    return Case(item_id, scores=scores, error_code=code, error_detail=detail, flags=flags)
