"""The one client for all models that are asked: the ledger, over the limits and the network.

One ``ChatModels`` serves one event loop. Each provider has one ledger and one transport, made when
it is first asked. Our own prompts go to the ledger as they are; libraries that bring theirs get an
openai SDK client whose transport is the same ledger: it retries nothing, follows no redirect and
never sees the provider's key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import BaseModel

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode, RagBenchError
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.config.requests import chat_body
from rag_bench.llm.config.roles import Provider, Role
from rag_bench.llm.config.room import how_to_raise, limits_of_roles, longest_reply
from rag_bench.llm.network.network import network_transport
from rag_bench.llm.reading import replies
from rag_bench.llm.reading.chat_reply import ChatReply, read_chat_reply
from rag_bench.llm.reading.structured import (
    UnreadableReplyError,
    parse_structured,
    response_format_for,
)
from rag_bench.llm.sharing.claims import Claims
from rag_bench.llm.sharing.leases import Leases, account_of
from rag_bench.llm.tasks.asking import asks_again
from rag_bench.llm.transport import failures
from rag_bench.llm.transport.budget import Budget, current_budget
from rag_bench.llm.transport.call import Answer
from rag_bench.llm.transport.context import (
    CallContext,
    call_context,
    current_watch,
    role_of_call,
)
from rag_bench.llm.transport.ledger import Ledger
from rag_bench.llm.transport.ledger_transport import LedgerTransport
from rag_bench.llm.transport.limits import Limits, LimitTransport
from rag_bench.llm.transport.sender import Sender
from rag_bench.llm.wires.wire import ChatWire, Wire
from rag_bench.observing import spans
from rag_bench.settings import Settings
from rag_bench.store.calls import CallStore

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T", bound=BaseModel)
TransportFactory = Callable[[], httpx.AsyncBaseTransport]

# The SDK insists on a key; the real one is put in below it, by the sender.
_NO_KEY = "set-below-the-sdk"


@dataclass
class _Line:
    """What is open of one provider."""

    sender: Sender
    ledger: Ledger
    sdk: AsyncOpenAI | None = None


class ChatModels:
    """All configured chat models behind one ledger; an async context manager.

    Args:
        providers: what the environment configures.
        database_url: of the database with the ledger, password included.
        settings: concurrency, timeouts and retries; a provider's own settings win.
        transports: per provider name, what makes the transport to use in place of the network;
            the simulator's is injected here.
        limits: in place of those that follow from the settings.
        budget: the caps of the run, if it has any; by default those of the block that runs.
        revisions: of models that were changed behind their names, by their keys.
    """

    def __init__(
        self,
        providers: Providers,
        database_url: str,
        settings: Settings | None = None,
        transports: Mapping[str, TransportFactory] | None = None,
        limits: Limits | None = None,
        budget: Budget | None = None,
        revisions: Mapping[str, int] | None = None,
    ) -> None:
        settings = settings or Settings()
        self._revisions = dict(revisions or {})
        self.providers = providers
        self._store = CallStore(database_url)
        self._database_url = database_url
        self._leases: Leases | None = None
        self._limits = limits or Limits(
            concurrency=settings.concurrency,
            call_timeout=settings.call_timeout_seconds,
            connect_timeout=settings.connect_timeout_seconds,
            max_retries=settings.max_retries,
        )
        self._ca_file = settings.ca_file
        self._limits_of_roles = limits_of_roles(settings)
        self._budget = current_budget() if budget is None else budget
        self._reask = settings.reask_unreadable
        self._transports = dict(transports or {})
        self._lines: dict[Any, _Line] = {}

    async def __aenter__(self) -> ChatModels:
        spans.provider()  # loads what it takes now: nothing is imported beside running calls
        await self._store.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End calls that nobody waits for, commit what has been received, close connections."""
        lines, self._lines = list(self._lines.values()), {}
        for line in lines:
            await line.ledger.aclose()
            if line.sdk is not None:
                await line.sdk.close()
        leases, self._leases = self._leases, None
        if leases is not None:
            await leases.close()
        await self._store.close()

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
        """Ask a model, through the ledger.

        Args:
            model_key: ``<provider>/<model>``.
            role: written into the ledger.
            messages: of the OpenAI protocol.
            response_format: of the OpenAI protocol; a JSON schema is put into the prompt for
                providers that are set up as knowing none (``PROVIDER_<NAME>_RESPONSE_FORMAT``).
            temperature: left out for models that refuse it.
            max_tokens: what this kind of reply needs at least; None: what the role needs. The
                limit that is sent is the settings', if they name one, with room for thinking where
                the model thinks (`rag_bench.llm.config.room`); a reply cut there is an error.

        Raises:
            CaseError: TIMEOUT, or LLM_FAILED with the cause (HTTP status, connection, truncated,
                refused, filtered, empty, unreadable). Never holds a key.
            ConfigurationError: no such provider, or one without an address.
            LedgerError: the ledger cannot be used.
        """
        provider, model = self.providers.split(model_key)
        limit = longest_reply(provider, model, role, max_tokens, self._limits_of_roles)
        body = chat_body(provider, model, messages, response_format, temperature, limit)
        answer = await self.ask(provider, ChatWire(provider), role, body)
        return read_chat_reply(
            model_key,
            answer.content,
            latency_ms=None if answer.latency_ms is None else round(answer.latency_ms, 3),
            from_ledger=answer.hit,
            key=answer.key,
            if_cut=lambda: f"it is {limit}, {how_to_raise(provider, model, role)}",
        )

    async def ask(
        self, provider: Provider, wire: Wire, role: Role | str, body: dict[str, Any]
    ) -> Answer:
        """Ask any endpoint, through the ledger, the limits and the budget.

        Args:
            provider: whose address, key, headers and limits are used; it need not be one of
                those that the environment configures.
            wire: of the endpoint.
            role: written into the ledger.
            body: of the request, and of the ledger's key.

        Returns:
            An answer of status 200, whose content the wire could read.

        Raises:
            CaseError: TIMEOUT, or LLM_FAILED with the cause. Never holds a key.
            ConfigurationError: the provider has no address.
            LedgerError: the ledger cannot be used.
        """
        model_key = wire.model_key(body)
        try:
            with role_of_call(role):
                answer = await self._line(provider, wire).ledger.ask(body)
        except RagBenchError:
            raise
        except Exception as error:
            raise failures.of_road(model_key, error) from error
        if answer.status != 200:
            raise failures.of_status(model_key, wire, body, answer)
        watch = current_watch()
        if watch is not None:
            watch.answered |= not answer.hit
            watch.recalled |= answer.hit
        return answer

    async def chat_structured(
        self,
        model_key: str,
        role: Role | str,
        messages: Sequence[Mapping[str, Any]],
        shape: type[T],
        *,
        name: str | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> tuple[T, ChatReply]:
        """Ask for JSON of a shape and read it strictly; what cannot be read is marked so.

        Raises:
            UnreadableReplyError: a reply came and is not the JSON asked for.
            CaseError: as of `chat`.
        """
        reply = await self.chat(
            model_key,
            role,
            messages,
            response_format=response_format_for(name or shape.__name__, shape),
            temperature=temperature,
            max_tokens=max_tokens,
        )
        try:
            return parse_structured(reply.text, shape), reply
        except UnreadableReplyError as error:
            await self.mark_unreadable(reply.key, error.detail)
            raise

    async def mark_unreadable(self, key: str, detail: str) -> None:
        """Note on a kept reply that it could not be used, so that ``retry_failed`` asks again."""
        await self._store.mark_unusable(key, ErrorCode.METRIC_ERROR, replies.shorten(detail))

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
        """Work on one case: a call context, in which a case error marks the reply it came from.

        A ``CaseError`` raised in the block after a reply had come (its text could not be read)
        marks that reply in the ledger and goes on up. Calls of one block are made one after
        another, or the marked one may be a neighbour's.
        """
        again = asks_again(self._reask, role)
        with call_context(
            str(role), case_id, metric, repeat, retry_failed, run_id, again
        ) as context:
            try:
                yield context
            except CaseError as error:
                error.flags = context.flags
                if context.last_reply_key:
                    for key in context.unusable:
                        await self.mark_unreadable(key, error.detail)
                raise

    def openai_client(self, model_key: str) -> AsyncOpenAI:
        """Return the SDK client of a model's provider; its calls pass the ledger and the limits.

        For libraries that bring their own prompts. The model's name there is the key without its
        first segment. The client belongs to this object: do not close it.

        Raises:
            ConfigurationError: no such provider, or one without an address.
        """
        provider, _ = self.providers.split(model_key)
        line = self._line(provider, ChatWire(provider))
        if line.sdk is None:
            line.sdk = _sdk_client(line, provider)
        return line.sdk

    def _line(self, provider: Provider, wire: Wire) -> _Line:
        # One name may have several addresses: that of chat models, and a reranker's.
        key = (provider.name, provider.base_url, provider.api_key, type(wire))
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = self._open_line(provider, wire)
        return line

    def _ca_files(self, provider: Provider) -> dict[str, str]:
        named = {
            "RAG_BENCH_CA_FILE": self._ca_file,
            provider.variable("CA_FILE"): provider.ca_file,
        }
        return {variable: str(path) for variable, path in named.items() if path}

    def _share(self, provider: Provider, limited: LimitTransport, limits: Limits) -> Leases:
        """Divide the provider's limits with the other processes of this database."""
        if self._leases is None:
            self._leases = Leases(self._database_url)
        key = provider.api_key.get_secret_value() if provider.api_key else None
        account = account_of(provider.name, provider.require_base_url(), key)
        self._leases.share(
            account, provider.name, limited.queue, limits.concurrency, limits.rpm, limits.tpm
        )
        return self._leases

    def _open_line(self, provider: Provider, wire: Wire) -> _Line:
        limits = replace(
            self._limits,
            concurrency=provider.concurrency or self._limits.concurrency,
            call_timeout=provider.timeout_seconds or self._limits.call_timeout,
            rpm=provider.rpm or self._limits.rpm,
            tpm=provider.tpm or self._limits.tpm,
        )
        base_url = provider.require_base_url()
        factory = self._transports.get(provider.name)
        if factory is not None:
            inner = factory()
        elif provider.kind == "simulator":
            raise ConfigurationError("The simulator's transport was not given to ChatModels.")
        else:
            inner = network_transport(base_url, self._ca_files(provider))
        limited = LimitTransport(inner, limits, self._budget, wire.error_inside)
        claims = None
        if provider.kind != "simulator":  # each process has its own
            claims = Claims(self._share(provider, limited, limits))
        sender = Sender(limited, provider, wire)
        return _Line(sender, self._ledger(sender, provider, wire, claims))

    def _ledger(
        self, sender: Sender, provider: Provider, wire: Wire, claims: Claims | None
    ) -> Ledger:
        cost_of = self.providers.cost_usd
        return Ledger(sender, self._store, provider, wire, cost_of, claims, self._revisions)


def _sdk_client(line: _Line, provider: Provider) -> AsyncOpenAI:
    import openai

    transport = LedgerTransport(line.ledger, line.sender, provider.name)
    return openai.AsyncOpenAI(
        api_key=_NO_KEY,
        base_url=provider.require_base_url(),
        max_retries=0,
        timeout=None,  # the limits' timeouts count, below the wait for a free slot
        http_client=httpx.AsyncClient(
            transport=transport, follow_redirects=False, trust_env=False, timeout=None
        ),
    )
