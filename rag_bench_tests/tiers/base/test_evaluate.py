"""The one way from a task to its record: found, or its jobs run, measured and stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from sqlalchemy import Engine

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.statistics import rate_metric
from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Providers
from rag_bench.store.evaluations import Case, StoredEvaluation, cases_of
from rag_bench.tiers.base.case_of import case_of
from rag_bench.tiers.base.evaluate import (
    Measured,
    Roles,
    Task,
    Work,
    evaluate,
    evaluate_here,
    evaluate_one,
    n_retryable,
)
from rag_bench.tiers.base.models import Models

JUDGE = "simulator/judge"
MODELS = Models(cast(Any, None), Providers({}), 4)
LOST = CaseError(ErrorCode.TIMEOUT, "nobody came", retryable=True)
USELESS = CaseError(ErrorCode.METRIC_ERROR, "neither yes nor no")


@dataclass
class Conditions:
    engine: Engine
    retry_failed: bool = False
    told: list[tuple[str, int, int]] = field(default_factory=list)

    def progress(self, label: str, done: int, total: int) -> None:
        self.told.append((label, done, total))

    def input_hash(self, *parts: Any) -> str:
        return content_hash(["settings", *parts])

    def identity(self) -> Mapping[str, Any]:
        return {"settings_hash": "settings", "settings": {"n": 1}, "dataset_id": None}


class Tier:
    """Asks each judge two questions; ``replies`` are what they end with."""

    def __init__(self, *replies: bool | CaseError) -> None:
        self.replies, self.prepared = replies, 0

    def task(self, judge: str = JUDGE, *, version: str = "1", **more: Any) -> Task[str]:
        hashed = ("x", judge, version)
        roles = Roles(benchmark_judge_model=judge)
        return Task(judge, "x", "scores", hashed, version, self._prepare, roles, **more)

    def _prepare(self) -> Work:
        self.prepared += 1
        return Work([self._job(reply) for reply in self.replies], self._measure)

    def _job(self, reply: bool | CaseError) -> Callable[[], Any]:
        async def job() -> bool:
            if isinstance(reply, CaseError):
                raise reply
            return reply

        return job

    def _measure(self, results: Sequence[bool | CaseError]) -> Measured:
        values = [None if isinstance(r, CaseError) else r for r in results]
        cases = [
            Case(f"q{n}", error_code=r.code, error_detail=r.detail)
            if isinstance(r, CaseError)
            else Case(f"q{n}", scores={"yes": r})
            for n, r in enumerate(results)
        ]
        n_scored = sum(value is not None for value in values)
        metrics = {"yes_rate": rate_metric(values)}
        return Measured(metrics, cases, n_scored, n_retryable(results), inputs={"late": 1})


def run(conditions: Conditions, *tasks: Task[str]) -> dict[str, StoredEvaluation]:
    found: dict[str, StoredEvaluation] = {}
    asyncio.run(
        evaluate(conditions, MODELS, tasks, lambda task, one: found.update({task.key: one}), "x")
    )
    return found


def here(conditions: Conditions, *tasks: Task[str]) -> dict[str, StoredEvaluation]:
    found: dict[str, StoredEvaluation] = {}
    asyncio.run(
        evaluate_here(conditions, tasks, lambda task, one: found.update({task.key: one}), "x")
    )
    return found


def test_a_task_is_asked_measured_and_stored_once(engine: Engine) -> None:
    tier, conditions = Tier(True, False, True), Conditions(engine)
    task = tier.task(asked=JUDGE, inputs={"early": 2})
    made = run(conditions, task)[JUDGE]
    assert (made.status, made.reused, made.benchmark_judge_model) == ("succeeded", False, JUDGE)
    assert made.input_hash == content_hash(["settings", "x", JUDGE, "1"])
    assert made.metrics["yes_rate"]["value"] == pytest.approx(2 / 3, abs=1e-6)
    assert (made.inputs["early"], made.inputs["late"], made.inputs["n_retryable"]) == (2, 1, 0)
    assert [case.scores for case in cases_of(engine, made.id)] == [{"yes": y} for y in tier.replies]
    assert conditions.told[-1] == ("x", 3, 3)
    again = run(conditions, task)[JUDGE]
    assert (again.id, again.reused, tier.prepared) == (made.id, True, 1)
    # Another version of the code is another task.
    assert run(conditions, tier.task(version="2", asked=JUDGE))[JUDGE].id != made.id
    assert tier.prepared == 2


def test_what_another_run_may_get_is_asked_for_again(engine: Engine) -> None:
    tier, conditions = Tier(True, LOST), Conditions(engine)
    made = run(conditions, tier.task(asked=JUDGE))[JUDGE]
    assert (made.status, made.needs_retry, dict(made.errors)) == ("partial", True, {"TIMEOUT": 1})
    tier.replies = (True, False)
    again = run(conditions, tier.task(asked=JUDGE))[JUDGE]
    assert (again.status, again.reused) == ("succeeded", False)


def test_what_was_answered_unusably_is_kept_until_it_is_asked_for(engine: Engine) -> None:
    tier, conditions = Tier(True, USELESS), Conditions(engine)
    made = run(conditions, tier.task(asked=JUDGE))[JUDGE]
    assert (made.status, made.needs_retry) == ("partial", False)
    assert run(conditions, tier.task(asked=JUDGE))[JUDGE].id == made.id
    conditions.retry_failed = True
    assert run(conditions, tier.task(asked=JUDGE))[JUDGE].id != made.id


def test_nothing_scored_is_a_failure_and_no_cases_are_none(engine: Engine) -> None:
    conditions = Conditions(engine)
    assert run(conditions, Tier(LOST, USELESS).task(asked=JUDGE))[JUDGE].status == "failed"
    assert run(conditions, Tier().task("simulator/idle", asked=JUDGE))["simulator/idle"].status == (
        "succeeded"
    )


def test_tasks_that_ask_no_model_run_one_after_another_in_their_order(engine: Engine) -> None:
    conditions, tiers = Conditions(engine), [Tier(True), Tier(False, USELESS)]
    tasks = [tier.task(name) for tier, name in zip(tiers, ("b", "a"), strict=True)]
    found = here(conditions, *tasks)
    assert list(found) == ["b", "a"]
    assert found["a"].errors == {"METRIC_ERROR": 1}
    assert conditions.told == [("x", 0, 2), ("x", 1, 2), ("x", 2, 2)]
    assert [one.reused for one in here(conditions, *tasks).values()] == [True, True]
    assert [tier.prepared for tier in tiers] == [1, 1]


def test_a_task_without_jobs_needs_no_loop(engine: Engine) -> None:
    conditions, tier = Conditions(engine), Tier()
    made = evaluate_one(conditions, tier.task())
    assert (evaluate_one(conditions, tier.task()).id, tier.prepared) == (made.id, 1)


def test_columns_of_a_task_stand_before_those_of_the_conditions(engine: Engine) -> None:
    conditions = Conditions(engine)
    task = replace(Tier(True).task(asked=JUDGE), columns={"settings_hash": "own"})
    assert run(conditions, task)[JUDGE].settings_hash == "own"


def test_a_case_of_several_questions_names_all_that_went_wrong() -> None:
    class Said:
        flags = ("thought", "cut")

    lost = CaseError(ErrorCode.TIMEOUT, "nobody came")
    lost.flags = ("thought", "asked_again")
    case = case_of(
        "q",
        {"kind": Said(), "true": USELESS, "short": lost},
        lambda name, result: {name: len(result.flags)},
        known={"question": "Когда?"},
    )
    assert case.scores == {"question": "Когда?", "kind": 2}
    assert case.error_code == ErrorCode.METRIC_ERROR
    assert case.error_detail == "true: neither yes nor no; short (TIMEOUT): nobody came"
    assert list(case.flags) == ["thought", "cut", "asked_again"]
