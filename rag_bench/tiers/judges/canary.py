"""A canary of each judge: stored calls asked again, beside the ledger: is it still the same?

The very requests of the past are sent once more, under replicate numbers of their own, so nothing
is answered from the ledger. What comes is compared with the first replies and with earlier
canaries (`rag_bench.evaluation.instrument.canary`). The reference is fixed: the earliest draws
since the judge last changed, so that a slow drift is not followed. Where it has one draw only, the
judge's own noise is not known, and each request is asked twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, ConfigurationError
from rag_bench.evaluation.instrument.canary import (
    LEAST_CASES,
    MOST_REFERENCE,
    USUAL_CASES,
    examine,
)
from rag_bench.evaluation.instrument.served import Served, differ
from rag_bench.hashing import content_hash
from rag_bench.llm.config.providers import Role
from rag_bench.llm.reading.chat_reply import read_chat_reply
from rag_bench.llm.reading.structured import UnreadableReplyError, parse_structured
from rag_bench.llm.tasks.judging import SCALE, DirectScore, ReasonedScore
from rag_bench.llm.wires.wire import ChatWire
from rag_bench.store import evaluations
from rag_bench.store.evaluations import Case
from rag_bench.store.evaluations.canaries import (
    CANNOT_TELL,
    CHANGED,
    TIER,
    UNCHANGED,
    JudgeCall,
    calls_named,
    calls_to_choose_from,
    canaries_of,
)
from rag_bench.tiers.base.evaluate import Measured, Roles, Task, Work, n_retryable
from rag_bench.tiers.base.text_vectors import Progress, silent

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.models import Models

VERSION = "1"
#: In its inputs: the keys of the calls that were asked again. (`calls` counts what it asked.)
CALLS = "asked_again"
_SEED = "canary"
_LOOKED_AT = 20  # stored calls per case, as not each reply is a rubric's score
#: Repeats of canaries: far above those of any run, and within the column's 31 bits.
FIRST_REPEAT = 1_000_000


@dataclass(frozen=True)
class CanaryPlan:
    """What a judge is to be asked again.

    Attributes:
        calls: the stored ones, each asked ``n_draws`` times.
        reference: the draws that the new ones are compared with, by call; of some there may be less
            than ``n_reference``, as calls fail, and these are asked and not compared.
        first_repeat: the number of the first new draw.
        served: by whom the reference was served, as far as it is known.
        since: when the judge was last known to be what the reference is.
    """

    judge: str
    calls: Sequence[JudgeCall]
    reference: Mapping[str, Sequence[float]]
    n_reference: int
    n_draws: int
    first_repeat: int
    served: Sequence[Served]
    since: datetime

    @property
    def n_calls(self) -> int:
        """Calls that will be made."""
        return len(self.calls) * self.n_draws

    @property
    def cost_usd(self) -> Decimal | None:
        """What they cost when they were first made, so often; None: a price is not known."""
        costs = [call.cost_usd for call in self.calls]
        return None if None in costs else sum((c for c in costs if c), Decimal(0)) * self.n_draws

    @property
    def in_words(self) -> str:
        """The price, for people."""
        cost = self.cost_usd
        price = "price unknown" if cost is None else f"about {cost:.4f} USD"
        twice = ", as its own noise is not known yet" if self.n_draws > 1 else ""
        return (
            f"{self.judge}: {len(self.calls)} stored calls asked {self.n_draws} "
            f"time{'s' if self.n_draws > 1 else ''}{twice}: {self.n_calls} calls, {price}"
        )


class NothingToAskAgainError(ConfigurationError):
    """There are no stored calls of the judge that could be asked again; the message says why."""


def plan_of(engine: Engine, models: Models, judge: str, n_cases: int = USUAL_CASES) -> CanaryPlan:
    """Return what a judge is to be asked again.

    Raises:
        NothingToAskAgainError: it has too few stored calls.
        ConfigurationError: its provider is not configured.
    """
    provider, model = models.split(judge)
    before = canaries_of(engine, judge)
    kept = calls_named(engine, before[0].inputs.get(CALLS, ())) if before else []
    if len(kept) >= n_cases:
        chosen = kept[:n_cases]
    else:
        found = calls_to_choose_from(
            engine, provider.recorded_name, model, seed=_SEED, limit=n_cases * _LOOKED_AT
        )
        usable = [call for call in found if _stored_score(call) is not None]
        if (changed := _changed_at(before)) is not None:  # the judge of before is not asked for
            usable = [call for call in usable if call.created_at >= changed]
        chosen = _over_rubrics(usable, n_cases)
        if len(chosen) <= len(kept):
            chosen = kept
        elif {call.key for call in chosen} != {call.key for call in kept}:
            before = []  # another set: its own draws alone are its reference
    if len(chosen) < LEAST_CASES:
        raise NothingToAskAgainError(
            f"{judge} has {len(chosen)} stored rubric scores that could be asked again; "
            f"{LEAST_CASES} are needed. Score answers first: `rag-bench sweep`, or the assets "
            "tier2_scores and tier3_scores."
        )
    reference, served, since = _reference(engine, chosen, before)
    n_reference = _common([len(draws) for draws in reference.values()])
    asked = sum(one.inputs["result"]["n_draws"] for one in canaries_of(engine, judge))
    return CanaryPlan(
        judge,
        chosen,
        reference,
        n_reference,
        1 if n_reference > 1 else 2,
        FIRST_REPEAT + asked,
        served,
        since,
    )


def _changed_at(before: Sequence[StoredEvaluation]) -> datetime | None:
    """Return when the judge was last found to be another one."""
    seen = (one.inputs["result"]["seen"] for one in before if _says(one) == CHANGED)
    return next((datetime.fromisoformat(one) for one in seen), None)


def _common(lengths: Sequence[int]) -> int:
    """Return how many draws at least four fifths of the cases have."""
    return sorted(lengths)[len(lengths) // 5]


def _over_rubrics(calls: Sequence[JudgeCall], n: int) -> list[JudgeCall]:
    """Return the first of each rubric in turn, in the order that they have."""
    by_rubric: dict[str, list[JudgeCall]] = {}
    for call in calls:
        by_rubric.setdefault(call.rubric, []).append(call)
    turns = zip_longest(*(by_rubric[name] for name in sorted(by_rubric)))
    return [call for turn in turns for call in turn if call is not None][:n]


def _reference(
    engine: Engine, calls: Sequence[JudgeCall], before: Sequence[StoredEvaluation]
) -> tuple[dict[str, list[float]], list[Served], datetime]:
    """Return the draws since the last change, by whom they were served, and the newest time at
    which the judge was what they are; of the first replies the oldest, as each has its own.
    """
    since_change = []
    for one in before:
        since_change.append(one)
        if one.inputs["result"]["outcome"] == CHANGED:
            break
    series = [one for one in reversed(since_change) if _says(one) != CANNOT_TELL]
    new_one = bool(series) and _says(series[0]) == CHANGED
    reference: dict[str, list[float]] = {call.key: [] for call in calls}
    served: list[Served] = []
    if not new_one:
        for call in calls:
            score = _stored_score(call)
            reference[call.key] += [] if score is None else [score]
        served += [call.served for call in calls]
    since = min(call.created_at for call in calls)
    for one in series:
        for case in evaluations.cases_of(engine, one.id):
            value = case.scores.get("judge_score")
            if case.case_id in reference and value is not None:
                reference[case.case_id].append(float(value))
        named = one.inputs["result"]["served"]
        served += [Served(*row) for row in named]
        since = datetime.fromisoformat(one.inputs["result"]["seen"])
    return {key: draws[:MOST_REFERENCE] for key, draws in reference.items()}, served, since


def _says(one: StoredEvaluation) -> str:
    return str(one.inputs["result"]["outcome"])


def _stored_score(call: JudgeCall) -> float | None:
    try:
        reply = read_chat_reply("", call.response, latency_ms=None, from_ledger=True, key=call.key)
        return _score(reply.text)
    except CaseError:
        return None


def _score(text: str) -> float:
    """Return the score in a reply of either mode.

    Raises:
        UnreadableReplyError: it has none.
    """
    try:
        return float(parse_structured(text, DirectScore).score)
    except UnreadableReplyError:
        return float(parse_structured(text, ReasonedScore).score)


@dataclass(frozen=True)
class _Conditions:
    """What a canary is asked under: no run's settings, so it enters no ``model_runs``."""

    engine: Engine
    judge: str
    run_id: str | None = None
    progress: Progress = field(default=silent)
    retry_failed: bool = False

    def input_hash(self, *parts: Any) -> str:
        return content_hash([TIER, self.judge, *parts])

    def identity(self) -> Mapping[str, Any]:
        settings = {"canary_of": self.judge}
        return {
            "settings_hash": content_hash(settings),
            "settings": settings,
            "dagster_run_id": self.run_id,
        }


def conditions(
    engine: Engine, judge: str, run_id: str | None = None, progress: Progress = silent
) -> _Conditions:
    """Return what a judge's canary is evaluated under."""
    return _Conditions(engine, judge, run_id, progress)


def task_of(engine: Engine, models: Models, plan: CanaryPlan, run_id: str | None) -> Task[str]:
    """Return the task of a plan; each is another, so none is found in the store."""
    return Task(
        plan.judge,
        TIER,
        "metrics",
        (VERSION, plan.first_repeat, [call.key for call in plan.calls]),
        VERSION,
        partial(_work, models, plan, run_id),
        Roles(benchmark_judge_model=plan.judge),
        asked=plan.judge,
        inputs={CALLS: [call.key for call in plan.calls]},
        under=conditions(engine, plan.judge, run_id),
    )


@dataclass(frozen=True)
class _Drawn:
    score: float
    served: Served


def _work(models: Models, plan: CanaryPlan, run_id: str | None) -> Work:
    provider, _ = models.split(plan.judge)
    chat = models.chat_models
    asked = [(call, draw) for draw in range(plan.n_draws) for call in plan.calls]

    async def job(call: JudgeCall, draw: int) -> _Drawn:
        async with chat.case(
            Role.benchmark_judge,
            call.key,
            metric=TIER,
            repeat=plan.first_repeat + draw,
            run_id=run_id,
        ):
            body = dict(call.request)
            answer = await chat.ask(provider, ChatWire(provider), Role.benchmark_judge, body)
            reply = read_chat_reply(
                plan.judge,
                answer.content,
                latency_ms=answer.latency_ms,
                from_ledger=answer.hit,
                key=answer.key,
            )
            return _Drawn(_score(reply.text), answer.served)

    def measure(results: Sequence[_Drawn | CaseError]) -> Measured:
        drawn = {
            (call.key, draw): result for (call, draw), result in zip(asked, results, strict=True)
        }
        return Measured(
            {},
            [_case(call, draw, drawn[call.key, draw]) for call, draw in asked],
            n_scored=sum(isinstance(result, _Drawn) for result in results),
            n_retryable=n_retryable(results),
            inputs={"result": result_of(plan, drawn)},
        )

    return Work([partial(job, call, draw) for call, draw in asked], measure)


def _case(call: JudgeCall, draw: int, result: _Drawn | CaseError) -> Case:
    if isinstance(result, CaseError):
        return Case(call.key, draw, error_code=str(result.code), error_detail=result.detail)
    return Case(call.key, draw, scores={"judge_score": result.score, "rubric": call.rubric})


def result_of(
    plan: CanaryPlan, drawn: Mapping[tuple[str, int], _Drawn | CaseError]
) -> dict[str, Any]:
    """Return what a canary has shown, as it is stored.

    ``outcome``: the judge is changed (its scores are others, or another model served them),
    unchanged, or too few cases have all draws to tell.
    """
    whole: dict[str, list[float]] = {}
    for call in plan.calls:
        found = [drawn[call.key, draw] for draw in range(plan.n_draws)]
        scores = [one.score for one in found if isinstance(one, _Drawn)]
        if len(scores) == plan.n_draws and 0 < plan.n_reference <= len(plan.reference[call.key]):
            whole[call.key] = scores
    new = list(dict.fromkeys(one.served for one in drawn.values() if isinstance(one, _Drawn)))
    said: dict[str, Any] = {
        "n_draws": plan.n_draws,
        "n_asked": len(plan.calls),
        "since": plan.since.isoformat(),
        "seen": datetime.now(UTC).isoformat(),
        "served": [[one.model, one.fingerprint] for one in new],
        "served_before": [[one.model, one.fingerprint] for one in dict.fromkeys(plan.served)],
    }
    another = differ([Served(one.model) for one in plan.served], [Served(one.model) for one in new])
    said["another_model"] = another
    said["another_build"] = differ(plan.served, new) and not another
    if len(whole) < LEAST_CASES:
        return {**said, "n_cases": len(whole), "outcome": CHANGED if another else CANNOT_TELL}
    shown = examine(
        [plan.reference[key][: plan.n_reference] for key in whole],
        list(whole.values()),
        scale=(float(SCALE[0]), float(SCALE[1])),
    )
    outcome = CHANGED if shown.changed or another else UNCHANGED
    return {**said, **shown.as_json(), "outcome": outcome}
