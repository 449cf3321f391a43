"""The user's own metrics and BERTScore, per generation model, on the answers of tiers 2 and 3.

They read what is stored and ask no model of a provider. Results are an evaluation of their own
(kind ``custom``) that names the answers it is of, so that ``model_runs`` shows it beside them.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any

from rag_bench.errors import ConfigurationError, ErrorCode
from rag_bench.evaluation.aggregate import CaseRecord, aggregate_cases
from rag_bench.evaluation.custom import (
    NOT_APPLICABLE,
    CustomMetric,
    Outcome,
    failure_words,
    read_result,
    settle,
)
from rag_bench.evaluation.metrics.bertscore import BERTSCORE_NAMES
from rag_bench.evaluation.types import Scale
from rag_bench.settings import Settings
from rag_bench.store.datasets import Item
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers.apart import counts_apart
from rag_bench.tiers.answers.bertscore import BertScore, BertScoreModel, BertScorer, bertscore_model
from rag_bench.tiers.answers.earlier import Answers, context_texts
from rag_bench.tiers.answers.pairs import of_answered_models
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import (
    Declared,
    Measured,
    Nothing,
    Planned,
    Roles,
    Task,
    Work,
)
from rag_bench.tiers.base.models import Models
from rag_bench.tiers.users_metrics.metric_loading import load_metrics

NOTHING_CONFIGURED = (
    "Nothing is configured, so nothing was measured. Name metrics of your own in "
    "RAG_BENCH_CUSTOM_METRICS, or a model for BERTScore in RAG_BENCH_BERTSCORE_MODEL "
    "(docs/metrics.md)."
)
#: Flag of a case: BERTScore's model read only the beginning of its answer or reference.
TRUNCATED = "bertscore_truncated"
_BERTSCORE = "bertscore"
_AT_ONCE = 16  # calls of one async metric


@dataclass(frozen=True)
class ExtraMeasures:
    """What the settings ask for: the user's metrics, loaded, and BERTScore's model, not loaded."""

    metrics: Sequence[CustomMetric] = ()
    bertscore: BertScoreModel | None = None

    @cached_property
    def scorer(self) -> BertScorer:
        """BERTScore's model; loaded when the first answer is scored."""
        assert self.bertscore is not None
        return BertScorer(self.bertscore)

    def as_json(self) -> dict[str, Any]:
        """Return what decides the results, by metric: for the records and the input hash."""
        found: dict[str, Any] = {
            metric.name: {
                "target": metric.target,
                "source_hash": metric.source_hash,
                "scale": metric.scale,
            }
            for metric in self.metrics
        }
        if self.bertscore:
            found[_BERTSCORE] = {**self.bertscore.as_json(), "bert_score": version("bert-score")}
        return found


def anything_configured(settings: Settings) -> bool:
    """Return whether the settings name a metric of the user's, or BERTScore's model."""
    return bool(settings.custom_metrics.strip(" ,;") or settings.bertscore_model)


def open_measures(
    settings: Settings, *, names: Collection[str] | None = None, bertscore: bool = True
) -> ExtraMeasures:
    """Load what the settings name.

    Args:
        settings: of the environment.
        names: of metrics; only these are loaded. None: all.
        bertscore: whether BERTScore is wanted, if the settings name a model for it.

    Raises:
        ConfigurationError: one of the names, targets or folders is not right.
    """
    model = bertscore_model(settings) if bertscore else None
    return ExtraMeasures(load_metrics(settings, names), model)


@dataclass(frozen=True)
class _Outcomes:
    """One measure over all answers: outcomes by case, of the cases that have an answer."""

    title: str
    names: tuple[str, ...]
    outcomes: Mapping[str, Outcome]
    needs_reference: bool
    scale: Scale | None = None
    too_late: frozenset[str] = frozenset()
    flags: Mapping[str, str] = field(default_factory=dict)

    def not_applicable(self, item: Item) -> frozenset[str]:
        """Return the names that an item cannot have, whether or not it was answered."""
        outcome = self.outcomes.get(item.item_id)
        if outcome is not None:
            return outcome.not_applicable
        lacks = self.needs_reference and not item.reference_answer
        return frozenset(self.names) if lacks else frozenset()


def custom_metric_tasks(
    bench: Bench, models: Models | None, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    """Return a task per generation model: its answers by all that the settings name.

    Raises:
        ConfigurationError: one of the names, targets or folders is not right.
    """
    if not anything_configured(bench.settings):
        return [Nothing(model, NOTHING_CONFIGURED, model) for model in keys]
    return tasks_with(open_measures(bench.settings), bench, step, keys)


def tasks_with(
    measures: ExtraMeasures, bench: Bench, step: Declared, keys: Sequence[str]
) -> Sequence[Planned[str]]:
    """Return a task per generation model: its answers by these measures."""

    def task(model: str, answers: Answers) -> Task[str]:
        return Task(
            model,
            step.tier,
            step.kind,
            (step.kind, step.tier, model, step.version, measures.as_json(), answers.hash),
            step.version,
            partial(_work, bench, measures, answers),
            Roles(generation_model=model),
            inputs={
                "answers_evaluation": answers.evaluation,
                "answers_hash": answers.hash,
                "measures": measures.as_json(),
            },
            made_from=answers.version,
        )

    return of_answered_models(bench, step.tier, keys, task)


def _work(bench: Bench, measures: ExtraMeasures, answers: Answers) -> Work:
    """Return a job per metric of the user's, over all answers."""
    # A refusal is right where no chunk answers: there is nothing to measure, as for the rubrics.
    items = [
        item
        for item in bench.items
        if not item.out_of_scope and not counts_apart(bench, answers.by_item.get(item.item_id))
    ]
    fields = {
        item.item_id: _fields(bench, item, case)
        for item in items
        if (case := answers.by_item.get(item.item_id)) is not None and case.answer is not None
    }
    timeout = bench.settings.call_timeout_seconds
    taken = {metric.name for metric in measures.metrics}

    def measure(measured: list[_Outcomes]) -> Measured:
        published = Counter(name for one in measured for name in one.names)
        twice = [name for name, n in published.items() if n > 1]
        if twice:
            raise ConfigurationError(
                f"Two of your metrics publish {twice[0]!r}: rename one in RAG_BENCH_CUSTOM_METRICS."
            )
        if measures.bertscore:
            measured = [*measured, _bertscore(measures.scorer, fields)]
        return _measured(items, answers, measured)

    return Work(
        [partial(_run, metric, fields, timeout, taken) for metric in measures.metrics], measure
    )


def _measured(items: Sequence[Item], answers: Answers, measured: Sequence[_Outcomes]) -> Measured:
    cases = [_case(item, answers.by_item.get(item.item_id), measured) for item in items]
    records = [
        CaseRecord(
            item.item_id,
            item.cluster,
            case.scores,
            case.error_code,
            case.flags,
            {name for one in measured for name in one.not_applicable(item)},
        )
        for item, case in zip(items, cases, strict=True)
    ]
    names = [name for one in measured for name in one.names]
    own = {n: one.scale for one in measured for n in one.names if n not in BERTSCORE_NAMES}
    return Measured(
        aggregate_cases(records, names, scales=own),
        cases,
        # A case without an error is done, also where no metric applies to it.
        n_scored=sum(bool(case.scores) or case.error_code is None for case in cases),
        n_retryable=sum(len(one.too_late) for one in measured),
    )


async def _run(
    metric: CustomMetric, fields: Mapping[str, Mapping[str, Any]], timeout: float, taken: set[str]
) -> _Outcomes:
    """Call a metric for every answer.

    Plain functions run one after another, in the order of the questions; awaitables side by side.
    """
    slots = asyncio.Semaphore(_AT_ONCE)
    too_late: set[str] = set()

    async def one(case: str, given: Mapping[str, Any]) -> Outcome:
        if metric.needs_reference and given["reference_answer"] is None:
            return NOT_APPLICABLE
        async with slots:
            try:
                # A list of its own: a metric that sorts its contexts must not change another's.
                result = metric.call({**given, "contexts": list(given["contexts"])})
                if inspect.isawaitable(result):
                    result = await _in_time(result, timeout)
            except _TooLateError as error:
                too_late.add(case)
                return Outcome(error=str(error))
            # It is others' code: it may end in anything, sys.exit included.
            except (Exception, SystemExit) as error:
                return Outcome(error=failure_words(error))
        return read_result(metric.name, result, scale=metric.scale, taken=taken)

    outcomes = await asyncio.gather(*(one(case, given) for case, given in fields.items()))
    settled = settle(metric.name, dict(zip(fields, outcomes, strict=True)))
    return _Outcomes(
        metric.name,
        settled.names,
        settled.outcomes,
        metric.needs_reference,
        metric.scale,
        frozenset(too_late),
    )


class _TooLateError(Exception):
    """A metric did not end in time; another run may see it do so."""


async def _in_time(result: Awaitable[Any], timeout: float) -> Any:
    try:
        async with asyncio.timeout(timeout) as limit:
            return await result
    except TimeoutError:
        if limit.expired():
            raise _TooLateError(f"no result within {timeout:g} s") from None
        raise  # the metric's own


def _bertscore(scorer: BertScorer, fields: Mapping[str, Mapping[str, Any]]) -> _Outcomes:
    """Score every answer that has a reference."""
    nothing = Outcome(not_applicable=frozenset(BERTSCORE_NAMES), applies=False)
    outcomes = dict.fromkeys(fields, nothing)
    flags: dict[str, str] = {}
    asked = {
        case: (given["answer"], given["reference_answer"])
        for case, given in fields.items()
        if given["reference_answer"] is not None
    }
    for case, found in zip(asked, scorer.score(list(asked.values())), strict=True):
        if not isinstance(found, BertScore):
            outcomes[case] = Outcome(error=found.detail)
            continue
        values = (found.precision, found.recall, found.f1)
        outcomes[case] = Outcome(dict(zip(BERTSCORE_NAMES, values, strict=True)))
        if found.truncated:
            flags[case] = TRUNCATED
    return _Outcomes(_BERTSCORE, BERTSCORE_NAMES, outcomes, needs_reference=True, flags=flags)


def _fields(bench: Bench, item: Item, case: Case) -> dict[str, Any]:
    """Return all that a metric may be given of a case."""
    return {
        "question": item.question,
        "answer": case.answer,
        "reference_answer": item.reference_answer or None,
        "contexts": context_texts(bench, case.retrieved or ()),
        "language": language_of(item),
    }


def language_of(item: Item) -> str:
    """Return the language that the dataset names, else ``ru`` or ``en`` by the question's letters:
    a Russian question may hold Latin names, an English one hardly Cyrillic.
    """
    named = item.details.get("language")
    if isinstance(named, str) and named:
        return named
    return (
        "ru"
        if any("а" <= letter <= "я" or letter == "ё" for letter in item.question.lower())
        else "en"
    )


def _case(item: Item, answered: Case | None, measured: Sequence[_Outcomes]) -> Case:
    """Return what is stored of a case: its scores by all measures, and what went wrong."""
    if answered is None or answered.answer is None:
        # Trying again is up to the answers; measuring cannot mend it.
        code = answered.error_code if answered else None
        detail = answered.error_detail if answered else "the answer is missing"
        return Case(
            item.item_id,
            error_code=code or ErrorCode.LLM_FAILED,
            error_detail=f"no answer to measure: {detail}",
        )
    scores: dict[str, float] = {}
    problems: list[str] = []
    for one in measured:
        outcome = one.outcomes[item.item_id]
        scores |= outcome.scores
        if outcome.error:
            problems.append(f"{one.title}: {outcome.error}")
    code = ErrorCode.METRIC_ERROR if problems else None
    if any(item.item_id in one.too_late for one in measured):
        code = ErrorCode.TIMEOUT
    return Case(
        item.item_id,
        scores=scores,
        error_code=code,
        error_detail="; ".join(problems) or None,
        flags=[one.flags[item.item_id] for one in measured if item.item_id in one.flags],
    )
