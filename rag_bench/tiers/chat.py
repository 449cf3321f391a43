"""What the tiers need of the models: to call them, their limits, and which reply was unusable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError
from rag_bench.llm.providers import Providers, Role

if TYPE_CHECKING:
    from rag_bench.llm.client import ChatModels, ChatReply


@dataclass(frozen=True)
class Models:
    """An open client with what is configured about its providers."""

    chat_models: ChatModels
    providers: Providers
    default_slots: int

    def provider_of(self, model: str) -> str:
        """Return the name of the provider that serves a model key."""
        return self.providers.split(model)[0].name

    def slots(self, provider: str) -> int:
        """Return how many calls the provider may have in flight."""
        return self.providers.provider(provider).concurrency or self.default_slots


class CaseChat:
    """The calls of one case. If the case fails on a reply that was got, the ledger is told.

    Such a reply stays in the ledger and is not paid for again, unless failed cases are asked
    to be tried anew.
    """

    def __init__(self, chat_models: ChatModels) -> None:
        self._chat_models = chat_models
        self._last_key: str | None = None

    async def chat(
        self,
        model_key: str,
        role: Role,
        messages: list[dict[str, str]],
        *,
        response_format: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int = 512,
    ) -> ChatReply:
        """Call a model; see ``ChatModels.chat``."""
        self._last_key = None
        reply = await self._chat_models.chat(
            model_key,
            role,
            messages,
            response_format=response_format,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        self._last_key = reply.key
        return reply

    async def __aenter__(self) -> CaseChat:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, CaseError) and not error.retryable and self._last_key:
            await self._chat_models.mark_unreadable(self._last_key, error.detail)
