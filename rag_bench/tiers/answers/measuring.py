"""From answers to cases with scores, and from cases to metrics: of whatever metrics are declared.

Walks over `rag_bench.evaluation.catalogue.of_answers`. What a metric needs of a case is said by its
entry: a case that lacks it is not expected to have the metric.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, RagBenchError
from rag_bench.evaluation.aggregate import CaseRecord, aggregate_cases
from rag_bench.evaluation.answer_metrics import AnswerCase, AnswerMetrics, RepeatMetrics, Repeats
from rag_bench.evaluation.catalogue import of_answers
from rag_bench.evaluation.metric_spec import MetricSpec, Need
from rag_bench.evaluation.metrics.latency import latency_metrics
from rag_bench.evaluation.twins import Twins
from rag_bench.evaluation.types import Metric
from rag_bench.llm.tasks.pipeline import Answer, Fragment
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers import apart, cached_answers
from rag_bench.tiers.answers.own_contexts import OwnContexts
from rag_bench.tiers.answers.stored import (
    GIVEN_ANSWER,
    StoredAnswer,
    is_generated,
    was_called_for,
)
from rag_bench.tiers.answers.targets.target_answers import SOURCES_APART
from rag_bench.tiers.base.bench import Bench

if TYPE_CHECKING:
    import numpy as np

Vectors = Mapping[str, "np.ndarray"]
#: What each question's generator was given, by item.
Given = Mapping[str, Sequence[Fragment]]
#: Names of metrics, of which no other is measured; None: all are.
Wanted = Collection[str] | None


def measured_cases(
    tier: str,
    asked: Sequence[tuple[Item, int]],
    results: Sequence[Answer | CaseError],
    given: Given,
    vectors: Vectors,
    twins: Twins,
    wanted: Wanted = None,
) -> list[Case]:
    """Return a case for each question and repeat, with the scores of its answer by itself.

    ``vectors``: of answers and references, by text. ``wanted``: which metrics are measured.
    """
    there = [i for i, result in enumerate(results) if is_there(result)]
    answers = {
        i: _answer_case(asked[i][0], result, given, vectors, twins)
        for i in there
        if isinstance(result := results[i], Answer)
    }
    scores = dict(zip(there, _scores(tier, [answers[i] for i in there], wanted), strict=True))
    cases = []
    for number, ((item, repeat), result) in enumerate(zip(asked, results, strict=True)):
        retrieved = rows_of(result, given[item.item_id])
        if isinstance(result, CaseError):
            cases.append(
                Case(
                    item.item_id,
                    repeat,
                    retrieved=retrieved,
                    error_code=result.code,
                    error_detail=result.detail,
                    flags=result.flags,
                )
            )
            continue
        origin = result.scores() if isinstance(result, StoredAnswer) else {}
        own = scores.get(number, {})
        cases.append(
            Case(
                item.item_id,
                repeat,
                answer=result.text if number in scores else None,
                retrieved=retrieved,
                citations=list(result.citations),
                scores={**own, "latency_ms": result.latency_ms, **origin},
                flags=result.flags,
            )
        )
    return cases


def is_there(result: Answer | CaseError) -> bool:
    """Tell whether a question has an answer: it did not fail, and production gave one."""
    if isinstance(result, StoredAnswer):
        return not result.unanswered
    return isinstance(result, Answer)


def rows_of(result: Answer | CaseError, given: Sequence[Fragment]) -> list[dict[str, Any]]:
    """Return what is stored of an answer's contexts: what was given, or an assistant's own."""
    if isinstance(result, OwnContexts):
        return result.rows()
    return [{"chunk_hash": f.chunk_hash, "page_url": f.page_url} for f in given]


def metrics_of(
    bench: Bench, tier: str, cases: Sequence[Case], vectors: Vectors, *, cache: bool = True
) -> dict[str, Metric]:
    """Return all metrics of a set of answers: repeat 0 is measured, all repeats enter those of
    repeats, and latency. ``cache``: whether ours may have answered, where it is switched on.
    """
    by_item: dict[str, list[Case]] = {}
    for case in cases:
        by_item.setdefault(case.case_id, []).append(case)
    asked = [item for item in bench.items if item.item_id in by_item]
    declared = list(of_answers(tier, bench.wanted))
    records = [_record(item, by_item[item.item_id], declared, vectors) for item in asked]
    not_promised = set() if any(item.out_of_scope for item in asked) else {Need.out_of_scope}
    if not any(case.repeat for case in cases):
        not_promised.add(Need.repeats)
    names = [
        metric.name
        for _, metrics in declared
        for metric in metrics
        if not metric.needs & not_promised
    ]
    found = aggregate_cases(records, names)
    first = {case.case_id: case for case in cases if case.repeat == 0}
    if tier == "3" and bench.run.cached_answers and cache:
        found |= cached_answers.cache_metrics(bench, first)
    if apart.is_of_users(bench):
        found |= apart.answered_metrics(bench, first)
    called = [case for case in cases if was_called_for(case.flags)]
    if not called and cases and all(GIVEN_ANSWER in case.flags for case in cases):
        return found  # no call was made by us: there is nothing to expect
    return found | latency_metrics([case.scores.get("latency_ms") for case in called])


def reads_vectors(tier: str, wanted: Wanted) -> bool:
    """Whether any of these metrics is made of vectors, so that texts have to be encoded."""
    return any(group.reads_vectors for group, _ in of_answers(tier, wanted))


@cache
def rehearse(tier: str) -> None:
    """Import what the metrics import when they are first computed."""
    import numpy as np

    vector = np.array([1.0, 0.0])
    for text in ("Как получить справку?", "How do I get a certificate?"):
        case = AnswerCase(
            question=text,
            answer=text,
            reference=text,
            contexts=(text,),
            given=("a",),
            relevant=("a",),
            cited=("a",),
            refused=False,
            out_of_scope=False,
            cached=False,
            vector=vector,
            reference_vector=vector,
        )
        _scores(tier, [case])
        for group, _ in of_answers(tier):
            if isinstance(group, RepeatMetrics):
                group.compute(Repeats((text, text), (vector, vector)))


def _answer_case(
    item: Item, result: Answer, given: Given, vectors: Vectors, twins: Twins
) -> AnswerCase:
    own = result.fragments if isinstance(result, OwnContexts) else None
    fragments, reference = given[item.item_id] if own is None else own, item.reference_answer
    return AnswerCase(
        question=item.question,
        answer=result.text,
        reference=reference,
        contexts=tuple(fragment.text for fragment in fragments),
        given=tuple(f.chunk_hash for f in fragments if f.chunk_hash),
        relevant=tuple(item.chunk_hashes),
        cited=result.citations,
        refused=result.refused,
        out_of_scope=item.out_of_scope,
        cached=isinstance(result, StoredAnswer),
        vector=vectors.get(result.text),
        reference_vector=vectors.get(reference) if reference else None,
        same=twins.same,
        cites=SOURCES_APART not in result.flags,
    )


def _lacks(case: AnswerCase) -> set[Need]:
    """Return what an answer does not have of what a metric of one answer may need."""
    generated = case.cites and not case.cached
    return _lacks_of(case.out_of_scope, case.reference, case.relevant, generated)


def _lacks_of(
    out_of_scope: bool, reference: str | None, relevant: Sequence[str], generated: bool
) -> set[Need]:
    lacks = {Need.in_scope if out_of_scope else Need.out_of_scope}
    if not reference:
        lacks.add(Need.reference)
    if not relevant:
        lacks.add(Need.relevant_chunks)
    if not generated:
        lacks.add(Need.generated)
    return lacks


def _scores(tier: str, cases: Sequence[AnswerCase], wanted: Wanted = None) -> list[dict[str, Any]]:
    """Return every answer's scores. What it lacks by its question's kind is left out; what else it
    cannot have is None, as that of a cached answer is.
    """
    lacks = [_lacks(case) for case in cases]
    found: list[dict[str, Any]] = [{} for _ in cases]
    for group, metrics in of_answers(tier, wanted):
        if isinstance(group, RepeatMetrics):
            continue
        for scores, lacking in zip(found, lacks, strict=True):
            scope = lacking & {Need.in_scope, Need.out_of_scope}
            for metric in metrics:
                if Need.generated in metric.needs & lacking or not metric.needs & scope:
                    scores[metric.name] = None
        able = [
            [metric.name for metric in metrics if not metric.needs & lacking] for lacking in lacks
        ]
        numbers = [number for number, names in enumerate(able) if names]
        if not numbers:
            continue
        computed = _computed(group, [cases[number] for number in numbers])
        for number, values in zip(numbers, computed, strict=True):
            found[number] |= {name: values[name] for name in able[number]}
    return found


def _computed(
    group: AnswerMetrics, cases: Sequence[AnswerCase]
) -> Sequence[Mapping[str, float | None]]:
    names = ", ".join(metric.name for metric in group.metrics)
    try:
        computed = group.compute(cases)
    except Exception as error:
        raise RagBenchError(f"{names} cannot be computed: {error!r}") from error
    if len(computed) != len(cases):
        raise RagBenchError(f"{names}: {len(computed)} results for {len(cases)} answers")
    return computed


def _record(
    item: Item,
    repeats: Sequence[Case],
    declared: Sequence[tuple[AnswerMetrics | RepeatMetrics, tuple[MetricSpec, ...]]],
    vectors: Vectors,
) -> CaseRecord:
    first = repeats[0]
    scores = dict(first.scores)
    withheld: dict[str, str] = {}
    generated = is_generated(first.flags) and SOURCES_APART not in first.flags
    lacks = _lacks_of(item.out_of_scope, item.reference_answer, item.chunk_hashes, generated)
    missing: set[str] = set()
    for group, metrics in declared:
        if isinstance(group, RepeatMetrics):
            answers = tuple(case.answer for case in repeats)
            found = tuple(vectors[answer] if answer else None for answer in answers)
            scores |= group.compute(Repeats(answers, found))
        elif group.withheld and item.reference_answer:
            withheld |= group.withheld(item.reference_answer)
        for metric in metrics:
            if first.answer is None and not first.error_code:  # there never was one to measure
                missing.add(metric.name)
            no_value = not first.error_code and scores.get(metric.name) is None
            if metric.needs & lacks or (no_value and Need.value in metric.needs):
                missing.add(metric.name)
    return CaseRecord(
        item.item_id, item.cluster, scores, first.error_code, first.flags, missing, withheld
    )
