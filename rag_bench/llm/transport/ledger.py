"""The ledger: every chat call is looked up, made once, stored and only then answered.

It is an httpx transport, the lowest layer that knows what a chat call is, so that calls made by
RAGAS, instructor or any other library on the same SDK client are recorded and reused as well.

A reply is answered exactly as it is stored. A 200 that is no chat completion is stored with status
``ok``, an error code and ``{"unreadable": text}``, and answered as HTTP 502 with the cause, which
every library reports as a failed call; one that is readable but useless (truncated, refused,
empty) is stored with an error code and answered as it came. Both are asked again only where the
call's context says ``retry_failed``. Other statuses and broken connections are stored as errors
and never looked up, so the next run asks again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import httpx

from rag_bench.errors import ErrorCode, RagBenchError
from rag_bench.hashing import canonical_json, text_hash
from rag_bench.llm.config.advice import advise, in_words
from rag_bench.llm.config.options import Options
from rag_bench.llm.config.requests import earlier_body, limit_in
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.reading import replies
from rag_bench.llm.transport.budget import Reservation
from rag_bench.llm.transport.context import (
    CallContext,
    current_context,
    current_role,
    current_watch,
)
from rag_bench.llm.transport.hiding import Hider
from rag_bench.llm.transport.limits import (
    CALL_NUMBERS,
    CALL_SIZE,
    RESERVATION,
    CallNumbers,
    CallSize,
)
from rag_bench.llm.transport.network import HopelessError, road_to
from rag_bench.llm.transport.tally import NOTHING, Usage, current_tally
from rag_bench.store.calls import CallRow, CallStore, StoredReply

HIT_HEADER = "x-rag-bench-ledger"  # "hit": no call was made for this request; else "miss"
KEY_HEADER = "x-rag-bench-key"
REPLICATE_HEADER = "x-rag-bench-replicate"  # sent to the simulator only
LATENCY_HEADER = "x-rag-bench-latency-ms"  # of the original call

CostOf = Callable[[str, int | None, int | None], Decimal | None]

_CHAT_PATH = "/chat/completions"

#: Characters per token where nothing better is known. Today's tokenizers take 4 to 5 letters of
#: English and 2.5 to 3.5 of Russian; the benchmark's prompts are mostly Russian with some markup.
CHARS_PER_TOKEN = 3.0
_USUAL_COMPLETION = 128.0  # tokens, before the first reply
_LONGEST_UNASKED = 16_384  # tokens of a reply to a request that sets no limit
_PROMPT_EXTRA = 64  # tokens that a provider puts around the messages


def request_hash(
    provider: str, base_url: str, body: dict[str, Any], query: Mapping[str, str] | None = None
) -> str:
    """Return the hash of a request whatever its replicate; the body names the model.

    ``query``: what of the address's query may change the reply (`Options.public_query`).
    """
    parts = [provider, base_url, body.get("model"), body, *([dict(query)] if query else [])]
    return text_hash(canonical_json(parts))


def keys_of(
    provider: Provider, body: dict[str, Any], context: CallContext | None
) -> tuple[tuple[str, ...], int]:
    """Return the keys under which a call may be stored, today's first, and its replicate number.

    Makes the context count the request.
    """
    base_url = provider.require_base_url()
    query = provider.options_for(str(body.get("model"))).public_query
    hashed = request_hash(provider.name, base_url, body, query)
    replicate = context.next_replicate(hashed) if context else 0
    earlier = earlier_body(body)
    hashes = [hashed]
    if earlier is not None:
        hashes.append(request_hash(provider.name, base_url, earlier, query))
    return tuple(_key(h, replicate) for h in hashes), replicate


async def find_stored(store: CallStore, keys: Sequence[str]) -> StoredReply | None:
    """Return the reply that is kept under the first of a call's keys that has one."""
    for key in keys:
        stored = await store.lookup(key)
        if stored is not None:
            return stored
    return None


def call_key(provider: str, base_url: str, body: dict[str, Any], replicate: int) -> str:
    """Return the ledger's key of a call: provider, base URL, model, whole body, replicate."""
    return _key(request_hash(provider, base_url, body), replicate)


def _key(hashed_request: str, replicate: int) -> str:
    return text_hash(f"{hashed_request}:{replicate}")


@dataclass(frozen=True)
class _Call:
    """What is to be asked."""

    keys: tuple[str, ...]  # today's, then those of earlier versions
    replicate: int
    body: dict[str, Any]
    content: bytes
    role: str
    retry_failed: bool
    run_id: str | None

    @property
    def key(self) -> str:
        return self.keys[0]


@dataclass(frozen=True)
class _Answer:
    """What every waiting caller of one key is told."""

    status: int
    content: bytes
    hit: bool
    latency_ms: float | None
    usage: Usage = NOTHING
    key: str | None = None  # under which it is stored, where that is not today's


class LedgerTransport(httpx.AsyncBaseTransport):
    """The transport of one provider's clients. Closing it closes the inner transport.

    It holds the provider's key, puts it into requests below the SDK (which never sees it), and
    sends nothing to any other address than the provider's.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        store: CallStore,
        provider: Provider,
        cost_of: CostOf | None = None,
    ) -> None:
        self._inner = inner
        self._store = store
        self._provider = provider
        self._base = httpx.URL(provider.require_base_url())
        self._cost_of = cost_of
        self._tally = current_tally()
        self._in_flight: dict[str, asyncio.Task[_Answer]] = {}
        self._asked_again: set[str] = set()
        self._completion_tokens = 0.0  # the mean so far, for guesses of a call's size
        self._n_completions = 0
        key = provider.api_key
        secrets: list[str] = []
        if provider.kind == "http":
            road = road_to(provider.require_base_url())
            secrets = provider.secrets() + (road.secrets() if road else [])
        self._hider = Hider(secrets)
        self._authorization = f"Bearer {key.get_secret_value()}" if key else None

    def __repr__(self) -> str:
        return f"LedgerTransport({self._provider.name!r})"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        if not self._is_ours(request.url):
            return _error(400, f"provider {self._provider.name!r} is not asked at this address")
        if request.method != "POST" or not request.url.path.endswith(_CHAT_PATH):
            return await self._pass(self._outgoing(request, content))
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return _error(400, "not a chat request: a JSON object with a model is expected")
        if body.get("stream"):
            return _error(400, "streamed calls are not recorded: call without stream=True")

        context = current_context()
        call = self._call(body, content, context)
        if context is not None:
            context.note_reply(None)
        task = self._in_flight.get(call.key)
        joined = task is not None
        if task is None:
            task = asyncio.create_task(self._resolve(call, request))
            self._in_flight[call.key] = task
            task.add_done_callback(lambda done: self._landed(call.key, done))
        # A caller that gives up does not take the paid reply away from the ledger or the others.
        try:
            answer = await asyncio.shield(task)
        except Exception as error:
            if not isinstance(error, RagBenchError):  # such a one was not sent
                self._count(call, hit=False, joined=joined)
            raise
        self._count(call, hit=answer.hit, joined=joined, usage=answer.usage)
        if context is not None and answer.status == 200:
            context.note_reply(answer.key or call.key)
        return self._response(call, answer, joined)

    async def aclose(self) -> None:
        """Cancel what nobody waits for any more, then close the inner transport."""
        left = list(self._in_flight.values())
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._inner.aclose()

    def _is_ours(self, url: httpx.URL) -> bool:
        base = self._base
        same_place = (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port)
        return same_place and url.path.startswith(base.path.rstrip("/") + "/")

    def _call(self, body: dict[str, Any], content: bytes, context: CallContext | None) -> _Call:
        keys, replicate = keys_of(self._provider, body, context)
        return _Call(
            keys=keys,
            replicate=replicate,
            body=body,
            content=content,
            role=current_role(),
            retry_failed=context.retry_failed if context else False,
            run_id=context.run_id if context else None,
        )

    def _count(self, call: _Call, *, hit: bool, joined: bool, usage: Usage = NOTHING) -> None:
        if self._tally is not None:
            self._tally.note(call.role, from_ledger=hit, shared=joined, usage=usage)

    def _landed(self, key: str, task: asyncio.Task[_Answer]) -> None:
        self._in_flight.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, also where every caller has gone

    async def _resolve(self, call: _Call, request: httpx.Request) -> _Answer:
        stored = await find_stored(self._store, call.keys)
        if stored is not None:
            again = (
                call.retry_failed
                and stored.error_code is not None
                and call.key not in self._asked_again  # once in a run is enough
            )
            if not again:
                return _from_store(stored)
        watch = current_watch()
        refusal = watch.refusal() if watch is not None else None
        if refusal is not None:
            raise refusal  # nothing is sent
        self._asked_again.add(call.key)
        options = self._provider.options_for(call.body["model"])
        outgoing = self._outgoing(request, _not_streamed(call, options), call.replicate, options)
        outgoing.extensions[CALL_SIZE] = self._size(call)
        try:
            response = await self._inner.handle_async_request(outgoing)
            content = self._hider.content(await response.aread())
        except RagBenchError:
            raise  # nothing was sent: the run's cap is reached
        except Exception as error:
            self._hider.error(error)
            if stored is not None:
                await self._store.discard_unusable(stored.key)
            await self._store_failure(call, error, outgoing)
            raise
        if stored is not None:
            await self._store.discard_unusable(stored.key)
        return await self._store_response(call, response, content)

    def _size(self, call: _Call) -> CallSize:
        """Return a call's tokens, guessed, and the most that it can cost."""
        model_key = f"{self._provider.name}/{call.body['model']}"
        longest = limit_in(call.body) or _LONGEST_UNASKED
        usual = self._completion_tokens if self._n_completions else _USUAL_COMPLETION
        most = None
        if self._cost_of is not None:
            # Tokens are pieces of UTF-8: no text has more of them than bytes.
            most = self._cost_of(model_key, len(call.content) + _PROMPT_EXTRA, longest)
        tokens = len(call.content.decode(errors="replace")) / CHARS_PER_TOKEN
        return CallSize(model_key, tokens + min(usual, longest), most)

    async def _store_response(
        self, call: _Call, response: httpx.Response, content: bytes
    ) -> _Answer:
        numbers = _numbers(response.extensions)
        reservation = response.extensions.get(RESERVATION)
        status = response.status_code
        if status != 200:
            hint = advise(self._provider, call.body, status, content)
            detail = in_words(status, replies.short_error(content), hint)
            await self._store.insert(self._row(call, numbers, None, detail, http_status=status))
            return _Answer(status, content, False, numbers.latency_ms)
        reply = replies.read_reply(content, numbers.oversize)
        if reply.provider_error is not None:
            detail = f"http {reply.provider_error} inside a 200: {reply.problem}"
            if isinstance(reservation, Reservation):
                reservation.settle(Decimal(0))
            await self._store.insert(self._row(call, numbers, reply, detail, http_status=200))
            return _Answer(reply.provider_error, content, False, numbers.latency_ms)
        row = self._row(call, numbers, reply, reply.problem, status="ok", http_status=200)
        if isinstance(reservation, Reservation):
            reservation.settle(row.cost_usd)
        if row.completion_tokens is not None:
            self._n_completions += 1
            step = (row.completion_tokens - self._completion_tokens) / self._n_completions
            self._completion_tokens += step
        usage = Usage(row.prompt_tokens, row.completion_tokens, row.cost_usd)
        if not await self._store.insert(row):
            # Another process was first: its reply stands, or a rerun would see other numbers.
            stored = await self._store.lookup(call.key)
            if stored is not None:
                return replace(_from_store(stored, hit=False), usage=usage)
        if reply.body is None:
            return _Answer(502, _error_body(reply.problem or ""), False, numbers.latency_ms, usage)
        return _Answer(200, reply.json.encode(), False, numbers.latency_ms, usage)

    async def _store_failure(self, call: _Call, error: Exception, sent: httpx.Request) -> None:
        timed_out = isinstance(error, httpx.TimeoutException)
        row = self._row(
            call,
            _numbers(sent.extensions),
            None,
            describe(error),
            error_code=ErrorCode.TIMEOUT if timed_out else ErrorCode.LLM_FAILED,
        )
        await self._store.insert(row)

    def _row(
        self,
        call: _Call,
        numbers: CallNumbers,
        reply: replies.ReadReply | None,
        detail: str | None,
        *,
        status: str = "error",
        error_code: ErrorCode = ErrorCode.LLM_FAILED,
        http_status: int | None = None,
    ) -> CallRow:
        model = call.body["model"]
        prompt_tokens = reply.prompt_tokens if reply else None
        completion_tokens = reply.completion_tokens if reply else None
        cost = None
        if self._cost_of is not None and status == "ok":
            cost = self._cost_of(f"{self._provider.name}/{model}", prompt_tokens, completion_tokens)
        return CallRow(
            key=call.key,
            role=replies.clean_text(call.role),
            provider=self._provider.name,
            base_url=self._provider.require_base_url(),
            model=replies.clean_text(model),
            replicate=call.replicate,
            request_json=canonical_json(replies.clean_value(call.body)),
            response_json=reply.json if reply else None,
            status=status,
            error_code=error_code if detail else None,
            error_detail=replies.clean_text(detail) if detail else None,
            http_status=http_status,
            finish_reason=reply.finish_reason if reply else None,
            prompt_tokens=prompt_tokens,
            completion_tokens=completion_tokens,
            cost_usd=cost,
            latency_ms=numbers.latency_ms,
            wait_ms=numbers.wait_ms,
            retries=numbers.retries,
            dagster_run_id=call.run_id,
        )

    async def _pass(self, request: httpx.Request) -> httpx.Response:
        """Send what is no chat call; nothing of it is recorded."""
        try:
            response = await self._inner.handle_async_request(request)
            content = self._hider.content(await response.aread())
        except Exception as error:
            self._hider.error(error)
            raise
        headers = {"content-type": response.headers.get("content-type", "application/json")}
        return httpx.Response(response.status_code, headers=headers, content=content)

    def _outgoing(
        self,
        request: httpx.Request,
        content: bytes,
        replicate: int = 0,
        options: Options | None = None,
    ) -> httpx.Request:
        """Return the request as it is sent: our own few headers, and the provider's key."""
        headers = {
            "accept": "application/json",
            "accept-encoding": "gzip, deflate",
            "content-type": request.headers.get("content-type", "application/json"),
            "user-agent": "rag-bench",
        }
        if self._authorization:
            headers["authorization"] = self._authorization
        if self._provider.kind == "simulator":
            # A real model varies between repeats by itself; a deterministic one has to be told.
            headers[REPLICATE_HEADER] = str(replicate)
        options = options or self._provider.options
        for name, value in options.headers.items():
            if value is None:
                headers.pop(name, None)
            else:
                headers[name] = value
        url = request.url.copy_merge_params(options.query) if options.query else request.url
        return httpx.Request(request.method, url, headers=headers, content=content)

    def _response(self, call: _Call, answer: _Answer, joined: bool) -> httpx.Response:
        headers = {
            "content-type": "application/json",
            HIT_HEADER: "hit" if answer.hit or joined else "miss",
            KEY_HEADER: answer.key or call.key,
        }
        if answer.latency_ms is not None:
            headers[LATENCY_HEADER] = f"{answer.latency_ms:.3f}"
        return httpx.Response(answer.status, headers=headers, content=answer.content)


def describe(error: BaseException) -> str:
    """Return a transport's exception in words."""
    words = replies.shorten(str(error))
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within the connect timeout {words}".strip()
    if isinstance(error, httpx.TimeoutException):
        return words or "no complete reply in time"
    if isinstance(error, HopelessError):
        return words
    if isinstance(error, httpx.ConnectError):
        return f"cannot connect: {words}"
    if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
        return f"the connection broke: {words or type(error).__name__}"
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _not_streamed(call: _Call, options: Options) -> bytes:
    """Return the request as it is sent: some servers stream unless they are told not to.

    The field is not in the body that the ledger knows: it changes no reply, and the replies of
    earlier versions, which did not send it, answer the same request.
    """
    if "stream" in options.body and options.body["stream"] is None:
        return call.content  # a server that refuses the field
    if "stream" in call.body:
        return json.dumps({**call.body, "stream": False}).encode()
    return call.content.rstrip()[:-1] + b',"stream":false}'


def _from_store(stored: StoredReply, hit: bool = True) -> _Answer:
    # Only a reply with an error code can be an unreadable one, so the others are not parsed.
    if stored.error_code is not None and replies.is_unreadable(stored.response_json):
        content = _error_body(stored.error_detail or "unreadable reply")
        return _Answer(502, content, hit, stored.latency_ms, key=stored.key)
    return _Answer(200, stored.response_json.encode(), hit, stored.latency_ms, key=stored.key)


def _numbers(extensions: Any) -> CallNumbers:
    numbers = extensions.get(CALL_NUMBERS)
    return numbers if isinstance(numbers, CallNumbers) else CallNumbers(None, 0.0, 0)


def _error_body(message: str) -> bytes:
    error = {"message": message, "type": "rag_bench", "code": str(ErrorCode.LLM_FAILED)}
    return json.dumps({"error": error}, ensure_ascii=False).encode()


def _error(status: int, message: str) -> httpx.Response:
    return httpx.Response(
        status, headers={"content-type": "application/json"}, content=_error_body(message)
    )
