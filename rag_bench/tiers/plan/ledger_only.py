"""A client that reads the ledger and sends nothing; it counts what it is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Provider, Providers, Role
from rag_bench.llm.config.requests import chat_body, limit_in
from rag_bench.llm.config.room import longest_reply
from rag_bench.llm.reading.chat_reply import ChatReply, read_chat_reply
from rag_bench.llm.reading.replies import is_unreadable
from rag_bench.llm.tasks.asking import asks_again
from rag_bench.llm.transport.call import Answer, find_stored, keys_of
from rag_bench.llm.transport.context import CallContext, call_context, current_context
from rag_bench.llm.wires.wire import ChatWire, Wire
from rag_bench.store import calls


class NotSentError(CaseError):
    """The ledger has no reply, and a plan sends nothing."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.LLM_FAILED, "not in the ledger yet", retryable=True)


@dataclass(frozen=True)
class Request:
    """What a job asked for: of which model, in which role, a reply of so many tokens at most."""

    model_key: str
    role: str
    longest: int


_asked: ContextVar[list[Request]] = ContextVar("rag_bench_planned_requests")


@contextmanager
def requests() -> Iterator[list[Request]]:
    """Collect what is asked for in the block, by tasks started there, too."""
    asked: list[Request] = []
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


@dataclass
class Tally:
    """The requests of one asset to one model; keys make them distinct."""

    n_requests: int = 0
    n_unknown: int = 0
    in_ledger: set[str] = field(default_factory=set)
    to_send: set[str] = field(default_factory=set)
    prompt_chars: int = 0
    longest: int = 0  # tokens of completion, at most, summed
    search_units: int = 0  # of a reranker, at most, summed


class LedgerOnly:
    """What the jobs take for `ChatModels`: replies come from the ledger, or not at all."""

    def __init__(
        self,
        providers: Providers,
        store: calls.CallStore,
        of_roles: Mapping[str, int],
        reask: str,
        revisions: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._revisions = revisions
        self._reask = reask
        self._providers = providers
        self._of_roles = of_roles
        self._store = store
        self._seen: set[str] = set()
        self.tallies: dict[tuple[str, str, str], Tally] = {}
        self.asset = ""
        #: Cases whose requests are made from a stand-in for what is not there yet.
        self.stand_ins: frozenset[str] = frozenset()

    async def chat(
        self,
        model_key: str,
        role: Role | str,
        messages: Sequence[Mapping[str, Any]],
        *,
        response_format: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> ChatReply:
        provider, model = self._providers.split(model_key)
        limit = longest_reply(provider, model, role, max_tokens, self._of_roles)
        body = chat_body(provider, model, messages, response_format, temperature, limit)
        longest = limit_in(body) or limit
        stored = await self._stored(ChatWire(provider), role, body, longest)
        return read_chat_reply(
            model_key,
            stored.response_json,
            latency_ms=stored.latency_ms,
            from_ledger=True,
            key=stored.key,
        )

    async def ask(
        self, provider: Provider, wire: Wire, role: Role | str, body: dict[str, Any]
    ) -> Answer:
        """Return what the ledger has for any endpoint, as the client's `ask` does."""
        longest = wire.most(body, b"").completion_tokens
        stored = await self._stored(wire, role, body, longest)
        content = stored.response_json.encode()
        return Answer(200, content, True, stored.latency_ms, stored.key)

    async def _stored(
        self, wire: Wire, role: Role | str, body: dict[str, Any], longest: int
    ) -> calls.StoredReply:
        """Return the reply that is kept; count what is asked and what would be sent."""
        context, model_key = current_context(), wire.model_key(body)
        _asked.get().append(Request(model_key, str(role), longest))
        tally = self._tally(role, model_key)
        tally.n_requests += 1
        if context is not None and context.case_id in self.stand_ins:
            tally.n_unknown += 1
            _count(tally, wire, body, longest)
            raise NotSentError
        keys, _ = keys_of(wire, body, context, self._revisions)
        stored = await find_stored(self._store, keys)
        key = keys[0]
        retry = context is not None and context.retry_failed
        if stored is None or (retry and stored.error_code is not None):
            if key not in self._seen:
                self._seen.add(key)
                tally.to_send.add(key)
                _count(tally, wire, body, longest)
            raise NotSentError
        if key not in self._seen:
            self._seen.add(key)
            tally.in_ledger.add(key)
        if stored.error_code is not None and is_unreadable(stored.response_json):
            raise CaseError(ErrorCode(stored.error_code), stored.error_detail or "unusable")
        return stored

    def foresee(self, asked: Sequence[Request], prompts: Sequence[int]) -> None:
        """Count the requests that will follow those that a job asked for, made of their replies.

        ``prompts``: the characters of each.
        """
        if asked:
            last = asked[-1]
            tally = self._tally(last.role, last.model_key)
            tally.n_requests += len(prompts)
            tally.n_unknown += len(prompts)
            tally.prompt_chars += sum(prompts)
            tally.longest += last.longest * len(prompts)

    def _tally(self, role: Role | str, model_key: str) -> Tally:
        return self.tallies.setdefault((self.asset, str(role), model_key), Tally())

    @asynccontextmanager
    async def case(
        self,
        role: Role | str,
        case_id: str,
        metric: str = "",
        repeat: int = 0,
        retry_failed: bool = False,
        run_id: str | None = None,
    ) -> AsyncIterator[CallContext]:
        """Number the case's requests as the client does, and mark nothing."""
        again = asks_again(self._reask, role)
        with call_context(
            str(role), case_id, metric, repeat, retry_failed, run_id, again
        ) as context:
            yield context


def _count(tally: Tally, wire: Wire, body: Mapping[str, Any], longest: int) -> None:
    tally.prompt_chars += sum(len(str(m.get("content", ""))) for m in body.get("messages", ()))
    # A reranker reads the question beside each passage.
    for passage in [*body.get("documents", ()), *body.get("texts", ())]:
        tally.prompt_chars += len(str(body.get("query", ""))) + len(str(passage))
    tally.prompt_chars += len(str(body.get("response_format", "")))
    tally.longest += longest
    tally.search_units += wire.most(body, b"").search_units
