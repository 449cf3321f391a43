"""Limits, retries and timeouts of one provider, as an httpx transport below the ledger.

Nothing above retries: the SDK's and the libraries' own retries are off, so that one wish is one
call in the ledger however often it was attempted here.
"""

from __future__ import annotations

import asyncio
import email.utils
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
MAX_REPLY_BYTES = 4_000_000
_MAX_ERROR_BYTES = 64_000

# Where the numbers of a call are left: in the response's extensions, and in the request's, as a
# call that ends in an exception has no response.
CALL_NUMBERS = "rag_bench"


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
    max_retry_after: float = 120.0
    max_reply_bytes: int = MAX_REPLY_BYTES


@dataclass(frozen=True)
class CallNumbers:
    """Of one call: the last attempt's own latency, everything else that passed, and retries."""

    latency_ms: float | None
    wait_ms: float
    retries: int
    oversize: bool = False


class LimitTransport(httpx.AsyncBaseTransport):
    """Bounds the calls in flight, retries what may pass, and ends what takes too long.

    Raises what the inner transport raises; an attempt over ``call_timeout`` (a slow drip of bytes
    included) ends as ``httpx.ReadTimeout``. Replies are read whole, decoded, and cut at
    ``max_reply_bytes``, which the numbers then say. Latency leaves out waits and failed attempts.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, limits: Limits) -> None:
        self._inner = inner
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._jitter = random.Random()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        limits = self._limits
        arrived = time.perf_counter()
        retries = timeouts = 0
        while True:
            failure: Exception | None = None
            response: httpx.Response | None = None
            oversize = False
            latency: float | None = None
            async with self._slots:
                started = time.perf_counter()
                try:
                    response, oversize = await self._attempt(request)
                    latency = time.perf_counter() - started
                except (httpx.RequestError, TimeoutError) as error:
                    failure = error
            elapsed = time.perf_counter() - arrived
            numbers = CallNumbers(
                latency_ms=None if latency is None else latency * 1000,
                wait_ms=(elapsed - (latency or 0.0)) * 1000,
                retries=retries,
                oversize=oversize,
            )
            request.extensions[CALL_NUMBERS] = numbers
            pause = None
            if retries < limits.max_retries:
                if failure is not None:
                    timeouts += isinstance(failure, (httpx.TimeoutException, TimeoutError))
                    if _may_pass(failure) and timeouts <= limits.max_timeout_retries:
                        pause = self._backoff(retries)
                elif response is not None and response.status_code in RETRIED_STATUSES:
                    pause = self._pause_after(response.headers, retries)
            if pause is not None:
                retries += 1
                await asyncio.sleep(pause)
                continue
            if failure is not None:
                if isinstance(failure, TimeoutError):
                    raise httpx.ReadTimeout(
                        f"no complete reply within {limits.call_timeout:g} s", request=request
                    ) from None
                raise failure
            assert response is not None
            response.extensions[CALL_NUMBERS] = numbers
            return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _attempt(self, request: httpx.Request) -> tuple[httpx.Response, bool]:
        limits = self._limits
        extensions = {
            **request.extensions,
            "timeout": {
                "connect": limits.connect_timeout,
                "read": limits.call_timeout,
                "write": limits.call_timeout,
                "pool": None,  # the semaphore is the queue
            },
        }
        attempt = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            content=await request.aread(),
            extensions=extensions,
        )
        async with asyncio.timeout(limits.call_timeout):
            response = await self._inner.handle_async_request(attempt)
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


def _may_pass(failure: Exception) -> bool:
    # A bad scheme, a refusing proxy or a body that cannot be decompressed stays as it is.
    return not isinstance(
        failure, (httpx.UnsupportedProtocol, httpx.ProxyError, httpx.DecodingError)
    )
