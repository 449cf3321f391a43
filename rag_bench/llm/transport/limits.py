"""Limits, retries and timeouts of one provider, as an httpx transport below the ledger.

Nothing above retries: the SDK's and the libraries' own retries are off, so that one
requested completion is one row of the ledger, however often it was attempted here.

A 429 is no failure but a word about the pace (`rag_bench.llm.transport.pacing`): it holds back all
calls of the provider, uses up no retry, and the refused call goes first when calls go on, once. It
becomes the call's error only where waiting is hopeless: for longer than ``max_limited_seconds``,
where the provider has answered nothing at all for ``max_silent_seconds``, or because the account
has no money left. A request refused again and again while others are answered says nothing about
the pace: it goes to the back, holds nobody up, and is given up after ``max_refusals``.

Processes that call one provider at the same time divide its limits: what of them this one may use
is set from outside (`rag_bench.llm.sharing.leases`).
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import httpx

from rag_bench.llm.config.known_quirks import QUIRKS
from rag_bench.llm.network.network import HopelessError
from rag_bench.llm.reading import replies
from rag_bench.llm.sharing.fence import NotSentError, fence
from rag_bench.llm.transport.budget import Budget, CapReachedError, Reservation
from rag_bench.llm.transport.call_note import CallNote, CallNumbers, CallSize
from rag_bench.llm.transport.context import current_watch
from rag_bench.llm.transport.pacing import Pace
from rag_bench.llm.transport.queueing import Queue
from rag_bench.llm.transport.statuses import LIMITED, RETRIED
from rag_bench.llm.transport.stopping import StoppedError, current_stop
from rag_bench.llm.wires.wire import JSON_TYPE

MAX_REPLY_BYTES = 4_000_000
_MAX_ERROR_BYTES = 64_000

# So many 429s of one request are always taken for the pace's.
_REFUSALS_OF_THE_PACE = 2
# So much evidence stands, also when the others have all been answered.
_SURE = 2
# Rounds of the event loop that a call needs from its permit to its sending. Replies are read after
# them: what takes their place in flight leaves first, or the provider would wait for the reading of
# all replies that came together.
_ROUNDS_TO_SEND = 3
# 429s that no waiting mends: OpenAI's for an account without money, and its kin.
_HOPELESS = tuple(word.encode() for quirk in QUIRKS for word in quirk.hopeless)


ErrorInside = Callable[[bytes, str], int | None]


@dataclass(frozen=True)
class Limits:
    """How hard one provider may be asked, and how long it may take. Times are in seconds."""

    concurrency: int = 16
    call_timeout: float = 120.0  # of one attempt, from sending to the reply's last byte
    connect_timeout: float = 10.0
    max_retries: int = 4
    # A timed-out attempt was paid for and took the whole timeout; repeating it often helps nobody.
    max_timeout_retries: int = 1
    backoff_base: float = 0.5  # doubled at each retry, with full jitter on top of the half
    backoff_max: float = 30.0
    # A provider that asks for a longer pause is not waited for: the next run asks again.
    max_retry_after: float = 300.0
    max_limited_seconds: float = 900.0  # of a call, from its first 429 on
    # Limits by the minute let something through each minute; who is silent for longer is down.
    max_silent_seconds: float = 90.0
    max_refusals: int = 8  # of one request while others were answered
    first_limited_rate: float = 2.0  # calls a second after the first 429, at the least
    rpm: float | None = None  # what is known of the provider's limits, by the minute
    tpm: float | None = None
    max_reply_bytes: int = MAX_REPLY_BYTES


@dataclass
class _Tries:
    """What one call has been through."""

    arrived: float
    place: int
    retries: int = 0
    failures: int = 0
    timeouts: int = 0
    limited_since: float | None = None
    refusals: int = 0  # 429s
    n_answered: int = 0  # the provider's answered calls at the last one
    singled_out: int = 0  # refusals while others were answered, once it had met a few
    sent: bool = False  # the present attempt


class LimitTransport(httpx.AsyncBaseTransport):
    """Bounds the calls in flight, retries what may pass, and ends what takes too long.

    Raises what the inner transport raises; an attempt over ``call_timeout`` (a slow drip of bytes
    included) ends as ``httpx.ReadTimeout``; a call that the budget has no room for, as
    ``CapReachedError`` before anything is sent. Replies are read whole, decoded, and cut at
    ``max_reply_bytes``, which the numbers then say. Latency leaves out waits and failed attempts.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        limits: Limits,
        budget: Budget | None = None,
        error_inside: ErrorInside | None = None,
    ) -> None:
        """``error_inside``: returns the status of an error that came in a 200 (`Wire`)."""
        self._inner = inner
        self._error_inside = error_inside
        self._limits = limits
        self._budget = budget
        self.queue = Queue(
            Pace(
                limits.concurrency,
                limits.rpm,
                limits.tpm,
                limits.first_limited_rate,
                clock=time.perf_counter,
            )
        )
        self._jitter = random.Random()
        self._stop = current_stop()
        if self._stop is not None:
            self._stop.tell(lambda: self.queue.refuse_all(StoppedError()))
        self._n_answered = 0
        self._silent_since: float | None = None  # the first 429 since the last answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        note = CallNote.of(request)
        size = note.size
        tries = _Tries(time.perf_counter(), self.queue.number())
        response: httpx.Response | None = None
        failure: Exception | None = None
        while True:
            reservation = None
            if self._budget is not None:
                try:
                    reservation = await self._budget.reserve(size.model_key, size.most_usd)
                except CapReachedError:
                    if tries.failures == 0:
                        raise
                    return _outcome(response, failure, self._limits)  # of the last attempt
            try:
                response, failure, note.numbers = await self._try(request, size, tries)
            except BaseException:
                if reservation is not None:
                    (reservation.settle(None) if tries.sent else reservation.cancel())
                raise
            pause = self._pause(response, failure, tries)
            if pause is None and response is not None and response.status_code == 200:
                note.reservation = reservation
                return response
            _close(reservation, None if response is None else self._status(response), failure)
            if pause is None:
                return _outcome(response, failure, self._limits)
            tries.retries += 1
            await (asyncio.sleep if self._stop is None else self._stop.sleep)(pause)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _status(self, response: httpx.Response) -> int:
        """Return the status, of an error inside a 200 that of the error: routers send such ones."""
        if response.status_code != 200 or self._error_inside is None:
            return response.status_code
        media_type = response.headers.get("content-type", JSON_TYPE)
        return self._error_inside(response.content, media_type) or 200

    async def _try(
        self, request: httpx.Request, size: CallSize, tries: _Tries
    ) -> tuple[httpx.Response | None, Exception | None, CallNumbers]:
        """Make one attempt when the pace allows it, and tell the pace how it ended."""
        limits, pace = self._limits, self.queue.pace
        failure: Exception | None = None
        response: httpx.Response | None = None
        oversize = False
        latency: float | None = None
        tries.sent = unsent = False
        if self._stop is not None and self._stop.requested:
            raise StoppedError
        permit = await self.queue.permit(tries.place, size.tokens)
        try:
            tries.sent = True
            started = time.perf_counter()
            try:
                response, oversize = await self._attempt(request)
                latency = time.perf_counter() - started
            except (httpx.RequestError, TimeoutError) as error:
                failure = error
            except NotSentError:
                tries.sent, unsent = False, True
        finally:
            if response is None:
                pace.failed(permit)
            elif self._status(response) == LIMITED:
                asked = retry_after_seconds(response.headers)
                waited_for = asked is not None and asked <= limits.max_retry_after
                if self._is_singled_out(tries):
                    pace.failed(permit)
                else:
                    pace.refused(permit, asked if waited_for else None)
                    if asked and waited_for and self._silent_since is not None:
                        # A pause that was asked for is not the provider's silence.
                        until = time.perf_counter() + asked
                        self._silent_since = max(self._silent_since, until)
            elif response.is_success and self._status(response) == response.status_code:
                used = None if limits.tpm is None else replies.tokens_used(response.content)
                pace.answered(permit, used)
                self._n_answered += 1
                self._silent_since = None
            else:
                pace.failed(permit)
            self.queue.advance()
        if unsent:
            return await self._try(request, size, tries)
        for _ in range(_ROUNDS_TO_SEND):
            await asyncio.sleep(0)
        elapsed = time.perf_counter() - tries.arrived
        numbers = CallNumbers(
            latency_ms=None if latency is None else latency * 1000,
            wait_ms=(elapsed - (latency or 0.0)) * 1000,
            retries=tries.retries,
            oversize=oversize,
            attempts=tries.retries + 1,
        )
        return response, failure, numbers

    def _pause(
        self, response: httpx.Response | None, failure: Exception | None, tries: _Tries
    ) -> float | None:
        """Return the seconds until the call is tried again, or None if it is not."""
        limits = self._limits
        status = None if response is None else self._status(response)
        if response is not None and status == LIMITED:
            if self._is_hopeless(response, tries):
                return None
            if tries.refusals > 1:
                # Behind the others: if they are answered, this one's refusals are its own.
                tries.place = self.queue.number()
            if not tries.singled_out:
                return 0.0  # the pace holds it back together with all others
            asked = retry_after_seconds(response.headers) or 0.0
            return max(asked, self._backoff(tries.singled_out - 1))
        if tries.failures >= limits.max_retries:
            return None
        pause = None
        if failure is not None:
            tries.timeouts += isinstance(failure, (httpx.TimeoutException, TimeoutError))
            if _may_pass(failure) and tries.timeouts <= limits.max_timeout_retries:
                pause = self._backoff(tries.failures)
        elif response is not None and status in RETRIED:
            pause = self._pause_after(response.headers, tries.failures)
        tries.failures += 1
        watch = current_watch()
        return pause if watch is None or watch.may_retry() else None

    def _is_singled_out(self, tries: _Tries) -> bool:
        """Count a refusal; say whether it is about this request and not about the pace."""
        now = time.perf_counter()
        if tries.limited_since is None:
            tries.limited_since = now
        if self._silent_since is None:
            self._silent_since = now
        tries.refusals += 1
        others_answered = self._n_answered > tries.n_answered
        tries.n_answered = self._n_answered
        alone = tries.refusals > _REFUSALS_OF_THE_PACE and (
            others_answered or tries.singled_out >= _SURE
        )
        tries.singled_out += alone
        return alone

    def _is_hopeless(self, response: httpx.Response, tries: _Tries) -> bool:
        """Whether waiting for a limit will not help."""
        limits, now = self._limits, time.perf_counter()
        limited_since = now if tries.limited_since is None else tries.limited_since
        silent_since = now if self._silent_since is None else self._silent_since
        asked = retry_after_seconds(response.headers) or 0.0
        return (
            asked > limits.max_retry_after
            or now - limited_since + asked > limits.max_limited_seconds
            or now - silent_since > limits.max_silent_seconds + asked
            or tries.singled_out + _REFUSALS_OF_THE_PACE >= limits.max_refusals
            or any(word in response.content for word in _HOPELESS)
        )

    async def _attempt(self, request: httpx.Request) -> tuple[httpx.Response, bool]:
        limits = self._limits
        request.extensions["timeout"] = {
            "connect": limits.connect_timeout,
            "read": None,  # the timeout below counts for all of it
            "write": None,
            "pool": None,  # the pace is the queue
        }
        if self.queue.gate is not None:
            request.extensions["trace"] = fence(self.queue.gate)
        async with asyncio.timeout(limits.call_timeout):
            response = await self._inner.handle_async_request(request)
            try:
                cap = limits.max_reply_bytes if response.is_success else _MAX_ERROR_BYTES
                content = bytearray()
                async for part in response.aiter_bytes():
                    content += part
                    if len(content) > cap:
                        break
            finally:
                await response.aclose()
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            # They describe the bytes on the wire, and these are decoded.
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        whole = httpx.Response(response.status_code, headers=headers, content=bytes(content[:cap]))
        return whole, len(content) > cap

    def _backoff(self, retries: int) -> float:
        step = min(self._limits.backoff_base * 2**retries, self._limits.backoff_max)
        return step * self._jitter.uniform(0.5, 1.5)

    def _pause_after(self, headers: Mapping[str, str], retries: int) -> float | None:
        """Return the seconds to wait, or None if the provider asks for more than we wait."""
        backoff = self._backoff(retries)
        asked = retry_after_seconds(headers)
        if asked is None:
            return backoff
        if asked > self._limits.max_retry_after:
            return None
        # A little more than asked, spread out: everybody was told the same moment.
        return asked + min(backoff, 0.1 * asked + self._limits.backoff_base)


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """Read ``retry-after-ms`` or ``Retry-After`` (seconds or an HTTP date); None if unreadable."""
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        try:
            seconds = float(value) / unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            return seconds
    try:
        when = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
    except (TypeError, ValueError):
        return None
    return max(0.0, when.timestamp() - time.time())


def _outcome(
    response: httpx.Response | None, failure: Exception | None, limits: Limits
) -> httpx.Response:
    if response is not None:
        return response
    assert failure is not None
    if isinstance(failure, TimeoutError):
        raise httpx.ReadTimeout(f"no complete reply within {limits.call_timeout:g} s") from None
    raise failure


def _close(reservation: Reservation | None, status: int | None, failure: Exception | None) -> None:
    """Close the reservation of an attempt without a usable reply.

    Providers charge nothing for an error that they answer with; what was lost on the way may have
    been worked on, and counts as the most that it can have cost.
    """
    if reservation is None:
        return
    if status == LIMITED or isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout):
        reservation.cancel()
    elif failure is None:
        reservation.settle(Decimal(0))
    else:
        reservation.settle(None)


def _may_pass(failure: Exception) -> bool:
    # A bad scheme or certificate, a refusing proxy, a body that cannot be decompressed stay so.
    return not isinstance(
        failure,
        (HopelessError, httpx.UnsupportedProtocol, httpx.ProxyError, httpx.DecodingError),
    )
