"""Asking a ``/rerank`` service for the scores of passages, as a chat model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic import SecretStr

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.options import Options
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.config.roles import Provider, Role, check_key, parse_base_url
from rag_bench.llm.reading.rerank_reply import rerank_scores
from rag_bench.llm.transport.call import Answer
from rag_bench.llm.wires.rerank import PassagesField, RerankWire, rerank_body
from rag_bench.llm.wires.wire import Wire

#: As which calls are recorded and counted.
ROLE = "reranker"


class Asks(Protocol):
    """The client, or what a plan has in its place."""

    async def ask(
        self, provider: Provider, wire: Wire, role: Role | str, body: dict[str, Any]
    ) -> Answer: ...


@dataclass(frozen=True)
class RerankService:
    """One model of a service. Printing it shows no key.

    Attributes:
        provider: its base URL is the whole address of the endpoint.
        model: as the service calls it; empty: it has one only.
        passages_field: what it calls the passages.
    """

    provider: Provider
    model: str = ""
    passages_field: PassagesField = "documents"

    @property
    def wire(self) -> RerankWire:
        """Its endpoint."""
        return RerankWire(self.provider, self.model)

    @property
    def model_key(self) -> str:
        """``<provider>/<model>``: by it prices, limits and failures are known."""
        return self.wire.model_key({})

    def content(self) -> dict[str, Any]:
        """Return all that its scores depend on; no secret."""
        options = self.provider.options_for(self.model)
        found: dict[str, Any] = {
            "url": self.provider.base_url,
            "model": self.model,
            "passages_field": self.passages_field,
        }
        if options.body:
            found["body"] = dict(options.body)
        if options.public_query:
            found["query"] = options.public_query
        return found


def service_key(provider: str, url: str, model: str = "") -> str:
    """Return the `RerankService.model_key` of a service that is only declared, whose key and
    address are not looked at.
    """
    return RerankService(Provider(provider, base_url=url), model).model_key


def rerank_service(
    providers: Providers,
    environment: Mapping[str, str],
    *,
    name: str,
    url: str,
    model: str = "",
    api_key_variable: str = "",
    passages_field: PassagesField = "documents",
) -> RerankService:
    """Return a service, with an address and a key of its own.

    Of its provider's variables the limits count in any case; key, headers and fields of requests
    only where the provider has the same host, or none: nothing secret goes elsewhere.

    Args:
        providers: what the environment configures.
        environment: where the key is read.
        name: the provider's; it need not be configured.
        url: the whole address, as ``https://host/v1/rerank``.
        model: as the service calls it; empty: it has one only.
        api_key_variable: which variable holds the key; empty: that of the provider, or none.
        passages_field: what the service calls the passages.

    Raises:
        ConfigurationError: the address or the key cannot be meant, or the key is not set.
    """
    base_url = parse_base_url(url, f"The url of reranker {name}/{model}")
    known = providers.said_of(name) or Provider(name)
    if known.kind != "http":
        raise ConfigurationError(f"{name!r} is another provider's name; give the reranker its own.")
    provider = replace(known, base_url=base_url, models={})
    if known.base_url is not None and _host(known.base_url) != _host(base_url):
        provider = replace(provider, api_key=None, options=Options(), model_options=())
    if api_key_variable:
        value = environment.get(api_key_variable, "").strip()
        if not value:
            raise ConfigurationError(
                f"The key of reranker {name}/{model} should be in {api_key_variable}, which is not "
                "set. Set it in .env.benchmark-models, or leave api_key_variable out."
            )
        provider = replace(provider, api_key=SecretStr(check_key(value, api_key_variable)))
    return RerankService(provider, model, passages_field)


async def ask_scores(
    client: Asks, service: RerankService, question: str, passages: Sequence[str]
) -> list[float]:
    """Return a score of each passage, in their order: that of the ledger, or of one call.

    Raises:
        CaseError: TIMEOUT, or LLM_FAILED with the cause; what came is no score then.
    """
    body = rerank_body(service.provider, service.model, question, passages, service.passages_field)
    answer = await client.ask(service.provider, service.wire, ROLE, body)
    return rerank_scores(answer.content, len(passages))


def _host(url: str) -> str:
    return url.partition("://")[2].partition("/")[0]
