"""What the tiers need of the models: an open client, and each provider's limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rag_bench.llm.providers import Providers

if TYPE_CHECKING:
    from rag_bench.llm.client import ChatModels


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
