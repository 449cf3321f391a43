"""The ledger: every call of a model is looked up, made once, stored and only then answered.

A reply is answered exactly as it is stored. A 200 that is no chat completion (or whatever the
endpoint's wire reads, `rag_bench.llm.wires`) is stored with status
``ok``, an error code and ``{"unreadable": text}``, and answered as HTTP 502 with the cause, which
every library reports as a failed call; one that is readable but useless (truncated, refused,
empty) is stored with an error code and answered as it came. Both are asked again only where the
call's context says ``retry_failed``. Other statuses and broken connections are stored as errors
and never looked up, so the next run asks again.

`ChatModels.chat` asks here; what libraries send on the SDK's client comes through
`rag_bench.llm.transport.ledger_transport`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import httpx

from rag_bench.errors import ErrorCode, RagBenchError
from rag_bench.evaluation.instrument.served import Served
from rag_bench.llm.config.advice import in_words
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.reading import replies
from rag_bench.llm.sharing.claims import Claims
from rag_bench.llm.transport.call import Answer, Call, find_stored, keys_of
from rag_bench.llm.transport.call_note import CallNote
from rag_bench.llm.transport.case_calls import note_call
from rag_bench.llm.transport.context import current_context, current_role, current_watch
from rag_bench.llm.transport.failures import describe
from rag_bench.llm.transport.records import CostOf, Records
from rag_bench.llm.transport.sender import Sender
from rag_bench.llm.transport.tally import NOTHING, Usage, current_tally
from rag_bench.llm.wires.wire import JSON_TYPE, Wire
from rag_bench.store.calls import CallRow, CallStore, StoredReply


class Ledger:
    """The ledger of one provider's calls. Closing it closes the sender."""

    def __init__(
        self,
        sender: Sender,
        store: CallStore,
        provider: Provider,
        wire: Wire,
        cost_of: CostOf | None = None,
        claims: Claims | None = None,
        revisions: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """``revisions``: of models that were changed behind their names, by their keys."""
        self._revisions = revisions
        self._claims = claims
        self._sender = sender
        self._store = store
        self._wire = wire
        self._records = Records(provider, wire, cost_of)
        self._tally = current_tally()
        self._in_flight: dict[str, tuple[Call, asyncio.Task[Answer]]] = {}
        self._asked_again: set[str] = set()

    async def ask(self, body: dict[str, Any], given: httpx.Request | None = None) -> Answer:
        """Return the reply to a request: the stored one, that of an equal call under way, or
        the provider's, once it is stored.

        The call's context (`rag_bench.llm.transport.context`) counts the request and remembers its
        reply; the tally counts it.

        Args:
            body: of the request, as the wire makes it one; of chat, it names the model.
            given: the request itself, where a library made it.

        Raises:
            RagBenchError: the call was not sent, or could not be stored.
            Exception: what the transport raises.
        """
        context = current_context()
        keys, replicate = keys_of(self._wire, body, context, self._revisions)
        call = Call(
            keys,
            replicate,
            body,
            self._wire.model(body),
            current_role(),
            retry_failed=context.retry_failed if context else False,
            run_id=context.run_id if context else None,
            given=given,
        )
        if context is not None:
            context.note_reply(None)
        under_way = self._in_flight.get(call.key)
        joined = under_way is not None
        if under_way is None:
            under_way = call, asyncio.create_task(self._resolve(call))
            self._in_flight[call.key] = under_way
            under_way[1].add_done_callback(lambda done: self._landed(call.key, done))
        made, task = under_way
        # A caller that gives up does not take the paid reply away from the ledger or the others.
        try:
            answer = await asyncio.shield(task)
        except Exception as error:
            if not isinstance(error, RagBenchError):  # such a one was not sent
                self._count(made, hit=False, joined=joined)
            raise
        self._count(made, hit=answer.hit, joined=joined, usage=answer.usage)
        if context is not None and answer.status == 200:
            context.note_reply(answer.key)
        if (watch := current_watch()) is not None and answer.status == 200:
            at = answer.at or datetime.now(UTC)
            watch.served.note(self._wire.model_key(call.body), answer.served, at)
        return replace(answer, hit=True) if joined and not answer.hit else answer

    async def aclose(self) -> None:
        """Cancel what nobody waits for any more, then close the sender."""
        left = [task for _, task in self._in_flight.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._sender.aclose()

    def _count(self, made: Call, *, hit: bool, joined: bool, usage: Usage = NOTHING) -> None:
        """Count a request that was answered by a call, its own or another's, and note it for its
        case.
        """
        role = current_role()
        if self._tally is not None:
            self._tally.note(role, from_ledger=hit, shared=joined, usage=usage)
        note_call(role, made.row_id, from_ledger=hit, shared=joined, usage=usage)

    def _landed(self, key: str, task: asyncio.Task[Answer]) -> None:
        self._in_flight.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, also where every caller has gone

    async def _resolve(self, call: Call) -> Answer:
        stored = await find_stored(self._store, call.keys)
        if stored is not None:
            again = (
                call.retry_failed
                and stored.error_code is not None
                and call.key not in self._asked_again  # once in a run is enough
            )
            if not again:
                return _from_store(call, stored)
        watch = current_watch()
        refusal = watch.refusal() if watch is not None else None
        if refusal is not None:
            raise refusal  # nothing is sent
        self._asked_again.add(call.key)
        if self._claims is None:
            return await self._ask(call, stored)
        # Another process may be asking the same.
        found = await self._claims.take(
            call.key, lambda: find_stored(self._store, call.keys), stored
        )
        if found is not None:
            return _from_store(call, found)
        try:
            return await self._ask(call, stored)
        finally:
            await self._claims.release(call.key)

    async def _ask(self, call: Call, stored: StoredReply | None) -> Answer:
        """Send a call and store what comes, in place of ``stored``."""
        request = self._sender.request_of(call, self._records.size_of(call))
        try:
            try:
                response, content = await self._sender.send(request)
            finally:
                attempts = CallNote.of(request).numbers.attempts
                if self._tally is not None and attempts:
                    self._tally.attempted(call.role, attempts)
        except RagBenchError:
            raise  # nothing was sent: the run's cap is reached
        except Exception as error:
            if stored is not None:
                await self._store.discard_unusable(stored.key)
            await self._store_failure(call, error, request)
            raise
        note = CallNote.of(request)
        try:
            if stored is not None:
                await self._store.discard_unusable(stored.key)
            return await self._store_response(call, note, response, content)
        finally:
            if note.reservation is not None:
                # If nothing above came to it: others wait for its room.
                note.reservation.settle(None)

    async def _store_response(
        self, call: Call, note: CallNote, response: httpx.Response, content: bytes
    ) -> Answer:
        numbers, reservation = note.numbers, note.reservation
        status = response.status_code
        if status != 200:
            hint = self._wire.advise(call.body, status, content)
            detail = in_words(status, replies.short_error(content), hint)
            row = self._records.row(call, numbers, None, detail, http_status=status)
            call.note_row((await self._store.insert(row)).id)
            return Answer(status, content, False, numbers.latency_ms, call.key)
        media_type = response.headers.get("content-type", JSON_TYPE)
        reply = self._wire.read(call.body, content, media_type, numbers.oversize)
        if reply.provider_error is not None:
            detail = f"http {reply.provider_error} inside a 200: {reply.problem}"
            if reservation is not None:
                reservation.settle(Decimal(0))
            row = self._records.row(call, numbers, reply, detail, http_status=200)
            call.note_row((await self._store.insert(row)).id)
            return Answer(reply.provider_error, content, False, numbers.latency_ms, call.key)
        row = self._records.row(call, numbers, reply, reply.problem, status="ok", http_status=200)
        if reservation is not None:
            reservation.settle(row.cost_usd)
        self._records.learn(row.completion_tokens)
        return await self._store_reply(call, row, reply)

    async def _store_reply(self, call: Call, row: CallRow, reply: replies.ReadReply) -> Answer:
        usage = Usage(row.prompt_tokens, row.completion_tokens, row.cost_usd)
        inserted = await self._store.insert(row)
        if not inserted.stands:
            # Another process was first: its reply stands, or a rerun would see other numbers.
            stored = await self._store.lookup(row.key)
            if stored is not None:
                answer = replace(_from_store(call, stored), hit=False, usage=usage)
                call.note_row(inserted.id)  # it is the one that was paid for
                return answer
        call.note_row(inserted.id)
        if reply.body is None:
            status, content = 502, error_body(reply.problem or "")
        else:
            status, content = 200, reply.json.encode()
        return Answer(status, content, False, row.latency_ms, row.key, usage, reply.served)

    async def _store_failure(self, call: Call, error: Exception, sent: httpx.Request) -> None:
        timed_out = isinstance(error, httpx.TimeoutException)
        row = self._records.row(
            call,
            CallNote.of(sent).numbers,
            None,
            describe(error),
            error_code=ErrorCode.TIMEOUT if timed_out else ErrorCode.LLM_FAILED,
        )
        call.note_row((await self._store.insert(row)).id)


def _from_store(call: Call, stored: StoredReply) -> Answer:
    call.note_row(stored.id)
    # Only a reply with an error code can be an unreadable one, so the others are not parsed.
    if stored.error_code is not None and replies.is_unreadable(stored.response_json):
        content = error_body(stored.error_detail or "unreadable reply")
        return Answer(502, content, True, stored.latency_ms, stored.key)
    return Answer(
        200,
        stored.response_json.encode(),
        True,
        stored.latency_ms,
        stored.key,
        served=Served(stored.served_model, stored.system_fingerprint),
        at=stored.created_at,
    )


def error_body(message: str) -> bytes:
    """Return the body of an error that the ledger answers itself, of OpenAI's shape."""
    error = {"message": message, "type": "rag_bench", "code": str(ErrorCode.LLM_FAILED)}
    return json.dumps({"error": error}, ensure_ascii=False).encode()
