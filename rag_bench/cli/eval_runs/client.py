"""A thin client of the evaluation service: what breaks on the way is tried again, and no more."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.settings import load_environment

if TYPE_CHECKING:
    import httpx

URL, KEY = "RAG_BENCH_API_URL", "RAG_BENCH_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"
#: States in which a run is at its end.
ENDED = ("succeeded", "partial", "failed", "cancelled")
#: Seconds for which a service that cannot be reached is asked again.
PATIENCE = 120.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
# 409: the first request of this key is being answered still.
_AGAIN = (409, 429, 502, 503, 504)


class ServiceError(RagBenchError):
    """The service refused, or could not be reached; ``status`` is its HTTP status, if any."""

    def __init__(self, detail: str, status: int | None = None) -> None:
        super().__init__(detail)
        self.status = status


class _Trying:
    """Pauses between tries, longer each time, until it has failed for so many seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self.worked()

    def worked(self) -> None:
        """Begin to count anew with the next failure."""
        self._end: float | None = None
        self._pause = _FIRST_PAUSE

    def again(self, error: ServiceError, wait: float | None = None) -> None:
        """Pause before the next try, or raise what failed."""
        wait = wait or self._pause
        now = time.monotonic()
        self._end = now + self._patience if self._end is None else self._end
        if now + wait > self._end:
            raise error
        time.sleep(wait)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


@dataclass(frozen=True)
class Event:
    """A server-sent event."""

    id: str
    kind: str
    data: Mapping[str, Any]


class Service:
    """The API at one address, with one key."""

    def __init__(self, client: httpx.Client, patience: float = PATIENCE) -> None:
        self._client = client
        self._patience = patience

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Sequence[tuple[str, str]] = (),
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = True,
    ) -> httpx.Response:
        """Return a reply of success.

        ``repeatable``: it may be sent again where it is not known whether it arrived.

        Raises:
            ServiceError: the service refused, or was not reached for as long as is waited.
        """
        import httpx

        trying = _Trying(self._patience)
        while True:
            wait = None
            try:
                reply = self._client.request(
                    method, path, params=list(params), content=content, headers=dict(headers or {})
                )
                if reply.is_success:
                    return reply
                error = problem_of(reply)
                if reply.status_code not in _AGAIN or not repeatable:
                    raise error
                wait = _asked_to_wait(reply)
            except httpx.ConnectError as failed:
                error = ServiceError(f"{self._client.base_url} cannot be reached: {failed}")
            except httpx.TransportError as failed:
                error = ServiceError(f"{self._client.base_url} broke off: {failed!r}")
                if not repeatable:
                    raise error from None
            trying.again(error, wait)

    def json(self, method: str, path: str, **asked: Any) -> dict[str, Any]:
        """Return the object that a request is answered with; see `ask`."""
        found = self.ask(method, path, **asked).json()
        if not isinstance(found, dict):
            raise ServiceError(f"{method} {path} was answered with no object.")
        return found

    def follow(self, run_id: str) -> Iterator[Event]:
        """Yield a run's events until it is at its end, over as many connections as it takes.

        Raises:
            ServiceError: the service refused, or was not reached for as long as is waited.
        """
        import httpx

        last = ""
        path = f"/eval/runs/{run_id}/events"
        trying = _Trying(self._patience)
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
            try:
                with self._client.stream("GET", path, headers=headers) as reply:
                    if not reply.is_success:
                        reply.read()
                        raise problem_of(reply)
                    for event in events_of(reply.iter_lines()):
                        trying.worked()
                        last = event.id or last
                        yield event
                # It ends with the run, or because somebody between us ended it.
                if self.run(run_id)["status"] in ENDED:
                    return
                trying.again(ServiceError(f"The events of {run_id} end before the run does."))
            except httpx.TransportError as failed:
                trying.again(ServiceError(f"{run_id} cannot be followed any more: {failed!r}"))
            except ServiceError as refused:
                if refused.status not in _AGAIN:
                    raise
                trying.again(refused)

    def run(self, run_id: str) -> dict[str, Any]:
        """Return how far a run is."""
        return self.json("GET", f"/eval/runs/{run_id}")


@contextmanager
def service(url: str | None, key: str | None) -> Iterator[Service]:
    """Open the service at ``url``; unset, address and key are those of the environment.

    Raises:
        ServiceError: there is no key, or the address is none.
    """
    import httpx

    load_environment()
    address = url or os.environ.get(URL) or DEFAULT_URL
    # No later try would mend it, so it is not one of what is tried again.
    if not address.startswith(("http://", "https://")):
        raise ServiceError(f"{address!r} is no http address: write http://… or https://…")
    given = key or os.environ.get(KEY)
    if not given:
        raise ServiceError(
            f"There is no key: set {KEY}, or give --key. rag-bench keys create NAME makes one."
        )
    # A run may be silent for long; a heartbeat comes every 15 s.
    timeout = httpx.Timeout(60.0, connect=10.0)
    headers = {"Authorization": f"Bearer {given}", "User-Agent": "rag-bench eval"}
    try:
        with httpx.Client(base_url=address, headers=headers, timeout=timeout) as client:
            yield Service(client)
    except httpx.InvalidURL as error:
        raise ServiceError(f"{address!r} is no address: {error}") from None


def events_of(lines: Iterator[str]) -> Iterator[Event]:
    """Yield the events of a stream of lines; comments, which are heartbeats, are passed over."""
    found: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            if name:
                found[name] = value.removeprefix(" ")
        elif found.get("event"):
            yield Event(found.get("id", ""), found["event"], json.loads(found.get("data", "{}")))
            found = {}


def problem_of(reply: httpx.Response) -> ServiceError:
    """Return what a refusal says, with the place of each problem."""
    try:
        said = reply.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        return ServiceError(f"HTTP {reply.status_code}", reply.status_code)
    where = [f"  {_place(one)}: {one.get('detail')}" for one in said.get("errors") or [] if one]
    detail = said.get("detail") or said.get("title") or ""
    return ServiceError(
        "\n".join([f"HTTP {reply.status_code} {said.get('code', '')}: {detail}", *where]),
        reply.status_code,
    )


def _place(one: Mapping[str, Any]) -> str:
    if one.get("line") is not None:
        column = f", column {one['column']}" if one.get("column") is not None else ""
        pointer = f" {one['pointer']}" if one.get("pointer") else ""
        return f"line {one['line']}{column}{pointer}"
    return str(one.get("pointer") or one.get("parameter") or "request")


def _asked_to_wait(reply: httpx.Response) -> float | None:
    given = reply.headers.get("retry-after", "")
    return float(given) if given.isdigit() else None
