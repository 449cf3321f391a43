"""What the tiers need of the models: an open client, and each provider's limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.config.requests import asked_otherwise

if TYPE_CHECKING:
    from rag_bench.llm.transport.client import ChatModels
    from rag_bench.settings import Settings


@dataclass(frozen=True)
class Models:
    """An open client with what is configured about its providers."""

    chat_models: ChatModels
    providers: Providers
    default_slots: int

    def provider_of(self, model: str) -> str:
        """Return the name of the provider that serves a model key."""
        return self.providers.split(model)[0].name

    def asked_otherwise(
        self, settings: Settings, model: str, role: Role
    ) -> tuple[dict[str, Any], ...]:
        """Return how a model is asked otherwise than by default, to be part of an input hash."""
        try:
            provider, name = self.providers.split(model)
        except ConfigurationError:
            return ()  # configured no more; what it was measured with by default stays valid
        return asked_otherwise(provider, name, role, settings)

    def waits_for(self, model: str) -> bool:
        """Whether a model answers elsewhere: an offline one is work of this process."""
        return self.providers.split(model)[0].kind != "simulator"

    def slots(self, provider: str) -> int:
        """Return how many calls the provider may have in flight."""
        return self.providers.provider(provider).concurrency or self.default_slots
