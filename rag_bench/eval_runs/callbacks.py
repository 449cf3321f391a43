"""Tells the addresses that clients named that their runs have ended.

By the Standard Webhooks rules: signed, an id that stays and a time that does not, 15 seconds to
answer, any 2xx is taken, a redirect is a failure, 410 ends it, and what failed is tried again
over days. Each address goes through the guard each time, so that a name that leads elsewhere
later leads nowhere.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rag_bench.access.guard import Guard, GuardError, guard_of
from rag_bench.access.webhooks import Signer, signer
from rag_bench.observing.trace import HEADER, new_trace_id, traceparent, tracing
from rag_bench.settings import Settings
from rag_bench.store.eval_runs import callbacks as stored
from rag_bench.store.eval_runs.callback_payload import as_sent
from rag_bench.store.eval_runs.callbacks import Attempt, Claimed, Status, host_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Seconds from a failed attempt to the next one; `docs/webhooks.md` publishes them.
SCHEDULE = (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
#: A wait is longer by up to this share of it, so that what failed together does not come together.
JITTER = 0.2
#: A receiver's Retry-After is believed up to this many seconds.
LONGEST_WAIT = 24 * 3600
#: Seconds that a receiver has to answer.
TIME_LIMIT = 15.0
#: Letters of an address.
LONGEST_URL = 2000
#: Statuses of a receiver, or of what is before it, that has too much to do.
_BUSY = frozenset({429, 502, 503, 504})
#: Attempts of this process at once, each to another host.
_AT_ONCE = 4
#: Seconds from one look for old deliveries to the next.
_PRUNE_EVERY = 3600.0
#: Seconds between two looks for what is due.
_LOOK_EVERY = 2.0
_log = logging.getLogger("rag_bench.callbacks")


def refusal(settings: Settings, url: str) -> str | None:
    """Return why a request may not name this address as its callback, in words; None: it may.

    The name is looked up. It is looked up again when the callback is made.
    """
    if signer_of(settings) is None:
        return "Callbacks are not set up here: RAG_BENCH_WEBHOOK_SECRET is not set."
    if len(url) > LONGEST_URL:
        return f"The address has more than {LONGEST_URL} letters."
    try:
        guard_of(settings).check(url, encrypted=True)
    except GuardError as error:
        return str(error)
    return None


def signer_of(settings: Settings) -> Signer | None:
    """Return what signs callbacks; None: no secret is set.

    Raises:
        ConfigurationError: a secret is none.
    """
    return signer(settings.webhook_secret, "RAG_BENCH_WEBHOOK_SECRET")


@dataclass(frozen=True)
class Verdict:
    """What follows from an attempt; the fields are those of `stored.record`."""

    status: Status
    wait: float | None = None
    hold_off: float | None = None


def verdict(
    http_status: int | None,
    round_number: int,
    retry_after: float | None = None,
    jitter: Callable[[], float] = random.random,
) -> Verdict:
    """Return what is to be done after an attempt.

    Args:
        http_status: of the answer; None: there was none.
        round_number: of the attempt, from 1.
        retry_after: seconds that the receiver asked for.
        jitter: from 0 to 1.
    """
    if http_status is not None and 200 <= http_status < 300:
        return Verdict("delivered")
    if http_status == 410:
        return Verdict("ended")
    if round_number > len(SCHEDULE):
        return Verdict("failed")
    wait = SCHEDULE[round_number - 1] * (1 + JITTER * jitter())
    if http_status not in _BUSY and retry_after is None:
        return Verdict("waiting", wait)
    asked = min(retry_after or 0.0, LONGEST_WAIT)
    slower = max(2 * wait, asked)
    return Verdict("waiting", slower, hold_off=max(asked, float(SCHEDULE[0])))


class Deliverer:
    """Threads that deliver what is due, until they are stopped.

    Any number of processes may have one: a callback is claimed before it is sent. What never got
    through is for people to look at: `rag-bench callbacks list --status failed`.
    """

    def __init__(
        self,
        engine: Engine,
        sign: Signer,
        guard: Guard,
        *,
        now: Callable[[], datetime] | None = None,
        jitter: Callable[[], float] = random.random,
        days: int | None = None,
    ) -> None:
        """``now``: None: the database's clock says what is due. ``days``: for which deliveries are
        listed; None: nothing is forgotten here.
        """
        self._days, self._prune_at = days, 0.0
        self._engine, self._sign, self._guard = engine, sign, guard
        self._now, self._jitter = now, jitter
        self._wake, self._stopped = Event(), Event()
        self._lock, self._busy = Lock(), set[str]()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to deliver."""
        self._thread = Thread(target=self._run, name="callbacks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at once for what is due."""
        self._wake.set()

    def stop(self) -> None:
        """Take nothing more; what is on its way ends, which may take `TIME_LIMIT`."""
        self._stopped.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="callback") as pool:
            while not self._stopped.is_set():
                self._wake.clear()
                claimed = None
                try:
                    self._prune()
                    claimed = self._claim()
                except Exception:  # the database may be away; the next look is soon
                    _log.warning("Callbacks cannot be looked for now.", exc_info=True)
                if claimed is None:
                    self._wake.wait(_LOOK_EVERY)
                else:
                    pool.submit(self._in_thread, claimed)

    def _prune(self) -> None:
        """Forget old deliveries, once in a while, as Dagster's sensor does where there is one."""
        if self._days is None or time.monotonic() < self._prune_at:
            return
        self._prune_at = time.monotonic() + _PRUNE_EVERY
        with self._engine.begin() as connection:
            stored.prune(connection, self._days)

    def _claim(self) -> Claimed | None:
        with self._lock:
            if len(self._busy) >= _AT_ONCE:
                return None
            claimed = stored.claim(self._engine, busy=self._busy, now=self._time())
            if claimed is not None:
                self._busy.add(host_of(claimed.url))
            return claimed

    def _in_thread(self, claimed: Claimed) -> None:
        try:
            self.deliver(claimed)
        except Exception:  # the claim ends by itself, and it is tried again
            _log.exception("A callback was not recorded.", extra={"run_id": claimed.run_id})
        finally:
            with self._lock:
                self._busy.discard(host_of(claimed.url))
            self._wake.set()

    def deliver_one(self) -> bool:
        """Deliver one callback that is due, in this thread; False: none is."""
        claimed = stored.claim(self._engine, now=self._time())
        if claimed is not None:
            self.deliver(claimed)
        return claimed is not None

    def deliver(self, claimed: Claimed) -> None:
        """Send a claimed callback once and record what came of it."""
        at = self._time() or datetime.now(UTC)
        began = time.monotonic()
        http_status, error, retry_after = self._send(claimed, at)
        spent = round((time.monotonic() - began) * 1000)
        found = verdict(http_status, claimed.round_number, retry_after, self._jitter)
        stored.record(
            self._engine,
            claimed,
            Attempt(at, http_status, error, spent),
            found.status,
            wait=found.wait,
            hold_off=found.hold_off,
            now=self._time(),
        )
        said = {"run_id": claimed.run_id, "trace_id": claimed.trace_id, "ms": spent}
        level = logging.INFO if error is None else logging.WARNING
        told = f"Callback {claimed.id}, attempt {claimed.number}: {error or 'delivered'}"
        _log.log(level, "%s (%s)", told, found.status, extra=said)

    def _send(self, claimed: Claimed, at: datetime) -> tuple[int | None, str | None, float | None]:
        body = as_sent(claimed.payload)
        headers = {**self._sign.headers(claimed.id, at, body), "user-agent": "rag-bench"}
        trace_id = claimed.trace_id or new_trace_id()
        try:
            with tracing(trace_id, run_id=claimed.run_id, name="callback"):
                reply = self._guard.fetch(
                    claimed.url,
                    method="POST",
                    content=body.encode(),
                    headers={**headers, HEADER: traceparent() or ""},
                    encrypted=True,
                    most_seconds=TIME_LIMIT,
                )
        except GuardError as error:
            # Its status was read: what it says after that is of no interest.
            taken = error.status is not None and 200 <= error.status < 300
            return error.status, None if taken else str(error), None
        except Exception as error:  # a failure as others are, or it would be tried for ever
            _log.exception("A callback could not be sent.", extra={"run_id": claimed.run_id})
            return None, f"It could not be sent ({type(error).__name__}).", None
        if 200 <= reply.status < 300:
            return reply.status, None, None
        after = seconds_of(reply.headers, at)
        return reply.status, f"{host_of(claimed.url)} answered with {reply.status}.", after

    def _time(self) -> datetime | None:
        return self._now() if self._now else None


def seconds_of(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of `Retry-After`, as a number or a date; None: it says nothing usable."""
    said = headers.get("retry-after", "").strip()
    if said.isascii() and said.isdecimal() and len(said) < 10:
        return float(said)
    try:
        until = parsedate_to_datetime(said)
    except (TypeError, ValueError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


def shown(url: str) -> str:
    """Return an address for people: without its query, which may hold a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}" + ("?…" if parts.query else "")


def deliverer(engine: Engine, settings: Settings) -> Deliverer | None:
    """Return what delivers by the settings; None: no secret is set, so nothing can be signed.

    Raises:
        ConfigurationError: a secret or the operator's list is malformed.
    """
    sign = signer_of(settings)
    if sign is None:
        return None
    return Deliverer(engine, sign, guard_of(settings), days=settings.callback_days)
