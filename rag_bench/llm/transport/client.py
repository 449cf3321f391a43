"""The one client for all chat models: the openai SDK over the ledger, the limits and the network.

One ``ChatModels`` serves one event loop. Each provider has one HTTP client, made when it is first
asked; the SDK retries nothing, follows no redirect and never sees the provider's key.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
from pydantic import BaseModel

from rag_bench.errors import Blame, CaseError, ConfigurationError, ErrorCode, RagBenchError
from rag_bench.llm.config.advice import advise, in_words
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.config.requests import chat_body
from rag_bench.llm.config.roles import Provider, Role
from rag_bench.llm.config.room import how_to_raise, limits_of_roles, longest_reply
from rag_bench.llm.reading import replies
from rag_bench.llm.reading.structured import (
    UnreadableReplyError,
    parse_structured,
    response_format_for,
)
from rag_bench.llm.tasks.asking import asks_again
from rag_bench.llm.transport.budget import Budget, current_budget
from rag_bench.llm.transport.context import (
    CallContext,
    call_context,
    current_context,
    current_watch,
    role_of_call,
)
from rag_bench.llm.transport.leases import Leases, account_of
from rag_bench.llm.transport.ledger import (
    HIT_HEADER,
    KEY_HEADER,
    LATENCY_HEADER,
    LedgerTransport,
    describe,
)
from rag_bench.llm.transport.limits import Limits, LimitTransport
from rag_bench.llm.transport.network import network_transport
from rag_bench.llm.transport.statuses import is_of_the_model
from rag_bench.settings import Settings
from rag_bench.store.calls import CallStore

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T", bound=BaseModel)
TransportFactory = Callable[[], httpx.AsyncBaseTransport]

# The SDK insists on a key; the real one is put in below it, by the ledger.
_NO_KEY = "set-below-the-sdk"
_UNREADABLE = "unreadable reply"  # how the ledger's message for such a reply begins


@dataclass(frozen=True)
class ChatReply:
    """A usable reply. Latency is that of the original call to the provider, in milliseconds,
    also where the reply came from the ledger; tokens are None where the provider named none.

    ``text`` is the answer alone: thinking and what servers put round it are cut off, and stay in
    the ledger. ``completion_tokens`` are all that were paid for, ``thinking_tokens`` those of them
    that the provider says were none of the answer. ``flags`` are remarks for the case.
    """

    text: str
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: float | None
    from_ledger: bool
    key: str
    thinking_tokens: int | None = None
    flags: tuple[str, ...] = ()


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
    """

    def __init__(
        self,
        providers: Providers,
        database_url: str,
        settings: Settings | None = None,
        transports: Mapping[str, TransportFactory] | None = None,
        limits: Limits | None = None,
        budget: Budget | None = None,
    ) -> None:
        settings = settings or Settings()
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
        self._clients: dict[str, AsyncOpenAI] = {}

    async def __aenter__(self) -> ChatModels:
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
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()
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
        client = self.openai_client(model_key)
        limit = longest_reply(provider, model, role, max_tokens, self._limits_of_roles)
        body = chat_body(provider, model, messages, response_format, temperature, limit)
        import openai

        try:
            with role_of_call(role):
                # Below the SDK's typed methods: walking through the body by its types took as long
                # as everything else that the SDK does.
                raw = await client.post(
                    f"{provider.require_base_url()}/chat/completions",
                    cast_to=httpx.Response,
                    body=body,
                )
        except openai.APITimeoutError as error:
            raise CaseError(
                ErrorCode.TIMEOUT,
                f"{model_key}: {_cause(error)}",
                retryable=True,
                blame=_blame_of_road(error),
            ) from error
        except openai.APIConnectionError as error:
            for cause in _chain(error):
                if isinstance(cause, RagBenchError):
                    raise cause from None
            raise CaseError(
                ErrorCode.LLM_FAILED,
                f"{model_key}: {_cause(error)}",
                retryable=True,
                blame=Blame.connection,
            ) from error
        except openai.APIStatusError as error:
            message = _status(error, provider, body)
            # A reply that came and cannot be read is kept; every other failure is asked again.
            raise CaseError(
                ErrorCode.LLM_FAILED,
                f"{model_key}: {message}",
                retryable=not message.startswith(_UNREADABLE),
                blame=Blame.model if is_of_the_model(error.status_code) else Blame.provider,
            ) from error
        latency = raw.headers.get(LATENCY_HEADER)
        from_ledger = raw.headers.get(HIT_HEADER) == "hit"
        watch = current_watch()
        if watch is not None:
            watch.answered |= not from_ledger
            watch.recalled |= from_ledger
        return read_chat_reply(
            model_key,
            raw.content,
            latency_ms=None if latency is None else float(latency),
            from_ledger=from_ledger,
            key=raw.headers[KEY_HEADER],
            if_cut=f"it is {limit}, {how_to_raise(provider, model, role)}",
        )

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
        client = self._clients.get(provider.name)
        if client is None:
            client = self._clients[provider.name] = self._make_client(provider)
        return client

    def _ca_files(self, provider: Provider) -> dict[str, str]:
        named = {
            "RAG_BENCH_CA_FILE": self._ca_file,
            f"PROVIDER_{provider.name.upper()}_CA_FILE": provider.ca_file,
        }
        return {variable: str(path) for variable, path in named.items() if path}

    def _share(self, provider: Provider, limited: LimitTransport, limits: Limits) -> None:
        """Divide the provider's limits with the other processes of this database."""
        if self._leases is None:
            self._leases = Leases(self._database_url)
        key = provider.api_key.get_secret_value() if provider.api_key else None
        account = account_of(provider.name, provider.require_base_url(), key)
        self._leases.share(
            account, provider.name, limited.queue, limits.concurrency, limits.rpm, limits.tpm
        )

    def _make_client(self, provider: Provider) -> AsyncOpenAI:
        import openai

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
        limited = LimitTransport(inner, limits, self._budget)
        if provider.kind != "simulator":  # each process has its own
            self._share(provider, limited, limits)
        ledger = LedgerTransport(
            limited,
            self._store,
            provider,
            self.providers.cost_usd,
        )
        return openai.AsyncOpenAI(
            api_key=_NO_KEY,
            base_url=base_url,
            max_retries=0,
            timeout=None,  # the limits' timeouts count, below the wait for a free slot
            http_client=httpx.AsyncClient(
                transport=ledger, follow_redirects=False, trust_env=False, timeout=None
            ),
        )


def read_chat_reply(
    model_key: str,
    content: bytes | str,
    *,
    latency_ms: float | None,
    from_ledger: bool,
    key: str,
    if_cut: str = "",
) -> ChatReply:
    """Return the usable reply in a chat completion that the ledger has found to be one.

    Raises:
        CaseError: LLM_FAILED, it is truncated, refused, filtered or empty.
    """
    # The ledger has checked the shape; the SDK's models would only cost time.
    completion = json.loads(content)
    answer = replies.read_answer(completion)
    context = current_context()
    if context is not None:
        context.add_flags(answer.flags)
    if answer.problem:
        hint = f": {if_cut}" if if_cut and answer.problem.endswith("raise the token limit") else ""
        raise CaseError(ErrorCode.LLM_FAILED, f"{model_key}: {answer.problem}{hint}")
    prompt_tokens, completion_tokens = replies.read_usage(completion)
    reason = completion["choices"][0].get("finish_reason")
    return ChatReply(
        text=answer.text,
        finish_reason=reason if isinstance(reason, str) else None,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        latency_ms=latency_ms,
        from_ledger=from_ledger,
        key=key,
        thinking_tokens=replies.read_thinking_tokens(completion),
        flags=answer.flags,
    )


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _cause(error: BaseException) -> str:
    """Return the words of what the SDK wrapped."""
    cause = error.__cause__
    return describe(cause) if cause is not None else replies.shorten(str(error))


def _blame_of_road(error: BaseException) -> Blame:
    """A server that never takes a connection is gone; one that takes long may be slow for one."""
    road = any(isinstance(cause, httpx.ConnectTimeout) for cause in _chain(error))
    return Blame.connection if road else Blame.provider


def _status(error: Any, provider: Provider, body: Mapping[str, Any]) -> str:
    """Return an HTTP error in words; the ledger's own 502 for an unreadable reply as its cause."""
    content = error.response.content
    message = replies.short_error(content)
    if message.startswith(_UNREADABLE):
        return message
    hint = advise(provider, body, error.status_code, content)
    return in_words(error.status_code, message, hint)
