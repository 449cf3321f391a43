"""What the tiers need of the models: an open client, and each provider's limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.providers import Provider, Providers, Role
from rag_bench.llm.config.requests import asked_otherwise

if TYPE_CHECKING:
    from rag_bench.llm.transport.client import ChatModels
    from rag_bench.settings import Settings


@dataclass(frozen=True)
class Models:
    """An open client with what is configured about its providers.

    ``services``: providers of what is no chat model, by name; see `add_service`. ``sends``: False
    of a plan, which reads the ledger alone. ``revisions``: of models that were changed behind
    their names.
    """

    chat_models: ChatModels
    providers: Providers
    default_slots: int
    services: dict[str, Provider] = field(default_factory=dict)
    sends: bool = True
    revisions: Mapping[str, int] = field(default_factory=dict)

    def add_service(self, provider: Provider) -> None:
        """Know a provider of what is no chat model: a reranker's, which need not be configured."""
        self.services.setdefault(provider.name, provider)

    def split(self, model: str) -> tuple[Provider, str]:
        """Return the provider that serves a model key, and the model's name there.

        Raises:
            ConfigurationError: there is no such provider.
        """
        name, _, rest = model.partition("/")
        if name in self.services:
            return self.services[name], rest
        return self.providers.split(model)

    def provider_of(self, model: str) -> str:
        """Return the name of the provider that serves a model key."""
        return self.split(model)[0].name

    def asked_otherwise(
        self, settings: Settings, model: str, role: Role
    ) -> tuple[dict[str, Any], ...]:
        """Return how a model is asked otherwise than by default, to be part of an input hash."""
        try:
            provider, name = self.providers.split(model)
        except ConfigurationError:
            return ()  # configured no more; what it was measured with by default stays valid
        return (*asked_otherwise(provider, name, role, settings), *self.revised(model))

    def revised(self, model: str) -> tuple[dict[str, Any], ...]:
        """Return which revision a model is of, to be part of an input hash; nothing of one that was
        never changed behind its name.
        """
        revision = self.revisions.get(model)
        return ({"revision": revision},) if revision else ()

    def revision_inputs(self, *models: str) -> dict[str, Any]:
        """Return the same of several, to be recorded with what is measured."""
        found = {one: self.revisions[one] for one in models if self.revisions.get(one)}
        return {"model_revisions": found} if found else {}

    def waits_for(self, model: str) -> bool:
        """Whether a model answers elsewhere: an offline one is work of this process."""
        return self.split(model)[0].kind != "simulator"

    def slots(self, provider: str) -> int:
        """Return how many calls the provider may have in flight."""
        known = self.services.get(provider) or self.providers.provider(provider)
        return known.concurrency or self.default_slots
