"""From a request to a run and its answer: made with its records as one, then waited for.

Whatever happens to the client, the run goes on; an answer that nobody hears any more is kept for
the key that the request named.
"""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import missing
from rag_bench.api.eval_runs import deciding, keyed
from rag_bench.api.eval_runs.deciding import Decision, Mode
from rag_bench.api.eval_runs.seen import run_as_seen, whole_as_seen
from rag_bench.api.eval_runs.shown import path, retry_after, summary
from rag_bench.api.problems import Code, Problem
from rag_bench.api.recording import note, noted
from rag_bench.errors import RagBenchError
from rag_bench.eval_runs.executing.execution import measure_new
from rag_bench.eval_runs.executing.light import will_be_light
from rag_bench.eval_runs.limits import LimitReached, admit
from rag_bench.eval_runs.reply import reply
from rag_bench.store.eval_runs import changing, idempotency, reading
from rag_bench.store.eval_runs.at_once import Made
from rag_bench.store.eval_runs.creating import create, new_id
from rag_bench.store.eval_runs.idempotency import Named

if TYPE_CHECKING:
    from fastapi import Request
    from sqlalchemy import Connection, Engine

    from rag_bench.api.eval_runs.following import Following
    from rag_bench.eval_runs.intake.estimating import Estimate
    from rag_bench.eval_runs.intake.prepared import Prepared
    from rag_bench.eval_runs.runner import Runner
    from rag_bench.settings import Settings
    from rag_bench.store.eval_runs.creating import NewRun

_log = logging.getLogger("rag_bench.api")
#: So many runs of a process between two looks for records of the past.
_PRUNED_EVERY = 200
#: Cases of a run that asks nobody, up to which it is executed in the thread of its request.
_MOST_HERE = 20


@dataclass(frozen=True)
class Asked:
    """A request for a run: who, under which key, how it may be answered."""

    request: Request
    caller: Principal
    route: str
    named: Named | None
    preferred: deciding.Preferences


@dataclass(frozen=True)
class Started:
    """A run that is there, and how it is to be answered for."""

    run_id: str
    decision: Decision
    named: Named | None
    caller: Principal


class Starting:
    """Starts runs of one database. ``runner`` is None where this process executes none."""

    def __init__(
        self, engine: Engine, settings: Settings, following: Following, runner: Runner | None
    ) -> None:
        self._engine, self._settings = engine, settings
        self._following, self._runner = following, runner
        self._counted = itertools.count(1)

    async def run(
        self,
        request: Request,
        caller: Principal,
        body_hash: Callable[[], str],
        prepare: Callable[[], Prepared],
    ) -> Response:
        """Make a run of a request and answer; ``prepare`` reads and checks it, in a thread.

        Raises:
            Problem: it may not or cannot be run; then there is none.
        """

        def start() -> Started | Response:
            asked = self.asked(request, caller, "POST /eval/run", body_hash)
            first = self.first(asked)
            return first if first is not None else self._start(asked, prepare())

        return await self.answered(start)

    def asked(
        self, request: Request, caller: Principal, route: str, body_hash: Callable[[], str]
    ) -> Asked:
        """Return a request as it is known here. ``route``: within which its key means something."""
        key = keyed.key_of(request)
        named = None if key is None else Named(caller.subject, route, key, body_hash())
        preferred = deciding.preferences(request.headers.getlist("prefer"))
        return Asked(request, caller, route, named, preferred)

    async def answered(self, start: Callable[[], Started | Response]) -> Response:
        """Start in a thread, wait without one, answer from a thread."""
        started = await run_in_threadpool(start)
        if isinstance(started, Response):
            return started
        ended = False
        if self._runner is not None:
            self._runner.wake()
        if started.decision.wait:
            ended = await self._following.ended(started.run_id, started.decision.wait)
        return await run_in_threadpool(self._answer, started, ended)

    def first(self, asked: Asked) -> Started | Response | None:
        """Return what the first request with this key was answered, if there was one.

        Raises:
            Problem: it was another request, or is being answered.
        """
        if asked.named is None:
            return None
        with self._engine.connect() as connection:
            first = idempotency.find(connection, asked.named)
        if first is None:
            return None
        asked.request.state.asked.run_id = first.run_id
        decided = Decision("async", "", "service", 0.0)
        return keyed.again(asked.named, first) or Started(
            first.run_id, decided, asked.named, asked.caller
        )

    def _start(self, asked: Asked, prepared: Prepared) -> Started | Response:
        needed = Scope.RUN_PAID if prepared.paid else Scope.RUN
        if needed not in asked.caller.scopes:
            raise missing(needed)
        n_cases, wanted = len(prepared.cases), prepared.wanted_mode
        decision = self.decide(asked, n_cases, lambda: prepared, wanted)
        run_id = new_id()
        here = self._runner if decision.wait and self._is_light(prepared) else None

        run = prepared.run(
            user_id=asked.caller.user_id,
            subject=asked.caller.subject,
            trace_id=asked.request.state.asked.trace_id,
            mode=decision.mode,
            place=decision.place,
            mode_reason=decision.reason,
        )
        if here is not None and (made := self._at_once(asked, run_id, decision, run, prepared)):
            return made

        def make(connection: Connection) -> None:
            holder = here.holder if here else None
            create(connection, run, prepared.cases, run_id=run_id, holder=holder)

        started = self.begin(asked, run_id, decision, make)
        if here is None or not isinstance(started, Started) or started.run_id != run_id:
            return started
        told = here.work(run_id, asked.request.state.asked.trace_id, asked.caller.user_id)
        return self._answer(started, ended=told is not None, told=told, of=run.request)

    def _at_once(
        self, asked: Asked, run_id: str, decision: Decision, run: NewRun, prepared: Prepared
    ) -> Started | Response | None:
        """Measure a run and store it, its results and all its records as one; None: it is not so
        small, or that failed, and whoever executes it in the usual way tells why.

        It asks nobody and waits for nothing, so no limit of runs, calls or money is asked about.
        """
        from sqlalchemy.exc import OperationalError

        began, action = time.monotonic(), noted(asked.request, run_id=run_id)
        made = Made(run_id, run, prepared.cases, action, began)
        with self._engine.connect() as connection:
            if asked.named is None:  # then there is one statement, which is a transaction by itself
                connection.execution_options(isolation_level="AUTOCOMMIT")
            if not self._is_first(connection, asked, run_id, decision):
                return self._late(asked)
            try:
                execution = measure_new(connection, self._engine, self._settings, made)
            except OperationalError:
                raise
            except Exception:
                _log.exception("Run %s is queued, as it could not be measured at once.", run_id)
                return None
            if execution is None:
                return None
            connection.commit()
        told = execution.ending.end()
        return self._answer(
            Started(run_id, decision, asked.named, asked.caller),
            ended=True,
            told=told,
            of=run.request,
        )

    def _is_first(
        self, connection: Connection, asked: Asked, run_id: str, decision: Decision
    ) -> bool:
        """Note the key of a request, if it names one; False: another request has it already, and
        the transaction is given up.
        """
        if asked.named is None:
            return True
        if next(self._counted) % _PRUNED_EVERY == 0:
            idempotency.prune(connection)
        if idempotency.begin(connection, asked.named, run_id, decision.wait):
            return True
        connection.rollback()
        return False

    def _is_light(self, prepared: Prepared) -> bool:
        """Whether a run takes so little that this very thread executes it."""
        answered = all(one.given.get("answer") is not None for one in prepared.cases)
        return len(prepared.cases) <= _MOST_HERE and will_be_light(prepared.config, answered)

    def decide(
        self,
        asked: Asked,
        n_cases: int,
        prepared: Callable[[], Prepared],
        wanted: Mode | None,
    ) -> Decision:
        """Decide whether to wait for a run, by what was asked and how long it will take.

        ``prepared`` gives the run, where that is looked at: its calls are counted for it.

        Raises:
            Problem: the run cannot be executed as it is asked for.
        """

        def estimate() -> Estimate:
            from rag_bench.eval_runs.intake import estimating

            try:
                return estimating.estimate(self._engine, self._settings, prepared())
            except RagBenchError as error:
                raise Problem(Code.INVALID_INPUT, str(error)) from None

        return deciding.decide(n_cases, asked.preferred, wanted, estimate, self._settings)

    def begin(
        self, asked: Asked, run_id: str, decision: Decision, make: Callable[[Connection], None]
    ) -> Started | Response:
        """Make or requeue a run with the record of its key and its row of the audit, as one.

        Raises:
            Problem: a limit is reached, or another request with this key was quicker.
        """
        with self._engine.connect() as connection:
            if not self._is_first(connection, asked, run_id, decision):
                return self._late(asked)
            try:
                admit(connection, self._settings, asked.caller.subject)
            except LimitReached as limit:
                headers = {"Retry-After": str(limit.seconds)}
                raise Problem(Code.LIMIT_REACHED, str(limit), headers=headers) from None
            make(connection)
            note(connection, asked.request, run_id=run_id)
            connection.commit()
        return Started(run_id, decision, asked.named, asked.caller)

    def _late(self, asked: Asked) -> Started | Response:
        found = self.first(asked)
        if found is None:  # its record was a day old in this very moment
            raise Problem(Code.IN_FLIGHT, "Ask again.", headers={"Retry-After": "1"})
        return found

    def _answer(
        self,
        started: Started,
        ended: bool,
        told: Mapping[str, Any] | None = None,
        of: Mapping[str, Any] | None = None,
    ) -> Response:
        """``told``: the whole result, where it is at hand; ``of``: then the request."""
        run_id, decision, caller = started.run_id, started.decision, started.caller
        headers = {"Location": path(run_id)}
        if decision.applied:
            headers["Preference-Applied"] = ", ".join(decision.applied)
        if told is not None:
            row = {"user_id": caller.user_id, "request": of or {}}
            seen = whole_as_seen(self._engine, caller, row, told)
            return self._kept(started, 200, seen, headers)
        with self._engine.connect() as connection:
            if not ended:
                ended = run_id in reading.ended(connection, [run_id])
            if not ended and decision.wait:
                reason = f"It had not ended after {decision.wait:g} s; it goes on."
                changing.set_mode(connection, run_id, "async", reason)
                connection.commit()
                decision = replace(decision, mode="async", reason=reason)
            stored = reading.get(connection, run_id)
        if stored is None:
            raise Problem(Code.NOT_FOUND, "The run is not there any more.")
        if ended:
            whole = whole_as_seen(self._engine, caller, stored, reply(self._engine, run_id))
            return self._kept(started, 200, whole, headers)
        headers["Retry-After"] = str(retry_after(stored))
        seen = run_as_seen(self._engine, caller, stored, summary(stored))
        return self._kept(started, 202, seen, headers)

    def _kept(
        self, started: Started, status: int, said: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Response:
        body = json.dumps(said, ensure_ascii=False, allow_nan=False)
        if started.named is not None:
            with self._engine.begin() as connection:
                idempotency.answer(connection, started.named, started.run_id, status, body, headers)
        return Response(body, status, dict(headers), media_type="application/json")
