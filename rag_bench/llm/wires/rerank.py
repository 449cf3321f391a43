"""The wire of a ``/rerank`` endpoint, in the shape that Jina, Cohere, TEI and vLLM share.

A request names model, query and passages, and wants all of them back, each with a score. Cohere,
Jina and vLLM call the passages ``documents``, TEI ``texts``; the two shapes of reply are read alike
(`rag_bench.llm.reading.rerank_reply`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx

from rag_bench.llm.config.roles import Provider
from rag_bench.llm.reading.replies import ReadReply
from rag_bench.llm.reading.rerank_reply import error_inside, read_rerank
from rag_bench.llm.wires.wire import JSON_TYPE, Most, Outgoing

PassagesField = Literal["documents", "texts"]
#: Cohere bills by it: a query with up to so many passages, each of up to so many tokens; a longer
#: passage counts as several.
UNIT_PASSAGES = 100
UNIT_TOKENS = 500


def rerank_body(
    provider: Provider,
    model: str,
    question: str,
    passages: Sequence[str],
    passages_field: PassagesField = "documents",
) -> dict[str, Any]:
    """Return the body of a request, as it enters the ledger's key: with the fields that the
    provider's variables change (``PROVIDER_<NAME>_EXTRA_BODY``, ``_MODEL_OPTIONS``).

    Args:
        provider: that is asked.
        model: empty: the service has one only, and is sent none.
        question: the query.
        passages: all of them, in the order that the reply's indices mean.
        passages_field: what the service calls them.
    """
    body: dict[str, Any] = {"model": model} if model else {}
    body |= {"query": question, passages_field: list(passages)}
    if passages_field == "documents":  # TEI always returns all of them
        body["top_n"] = len(passages)
    for name, value in provider.options_for(model).body.items():
        if value is None:
            body.pop(name, None)
        elif name not in ("query", passages_field, "top_n"):
            body[name] = value
    return body


class RerankWire:
    """One provider's rerank endpoint. The provider's base URL is the endpoint's whole address."""

    def __init__(self, provider: Provider, model: str) -> None:
        """``model``: as the service calls it; empty: it has one only."""
        self._provider = provider
        self._model = model

    def model(self, body: Mapping[str, Any]) -> str:
        """Return the model's name; that of a service with one only is its address's host."""
        return self._model or httpx.URL(self._provider.require_base_url()).host

    def model_key(self, body: Mapping[str, Any]) -> str:
        """Return ``<provider>/<model>``."""
        return f"{self._provider.name}/{self.model(body)}"

    def hashed(self, body: Mapping[str, Any]) -> tuple[list[Any], ...]:
        """Return provider, address, model, body and what of the query may change a reply."""
        query = self._provider.options_for(self._model).public_query
        parts = [self._provider.name, self._provider.require_base_url(), self._model, dict(body)]
        return ([*parts, *([dict(query)] if query else [])],)

    def outgoing(self, body: Mapping[str, Any], content: bytes) -> Outgoing:
        """Return a POST of the body."""
        url = httpx.URL(self._provider.require_base_url())
        return Outgoing("POST", url, content, {"accept": JSON_TYPE, "content-type": JSON_TYPE})

    def most(self, body: Mapping[str, Any], content: bytes) -> Most:
        """Return tokens and search units by the bytes: no text has more tokens than bytes. The
        question is read beside each passage.
        """
        question = len(str(body["query"]).encode())
        sizes = [len(passage.encode()) for passage in passages_of(body)]
        room = max(1, UNIT_TOKENS - question)
        pieces = sum(max(1, -(-size // room)) for size in sizes)
        return Most(
            prompt_tokens=sum(sizes) + question * (len(sizes) + 1) + len(sizes),
            search_units=-(-pieces // UNIT_PASSAGES),
        )

    def error_inside(self, content: bytes, media_type: str) -> int | None:
        """Return the status of an error that a router sends for an upstream that failed."""
        return error_inside(content)

    def read(
        self, body: Mapping[str, Any], content: bytes, media_type: str, oversize: bool
    ) -> ReadReply:
        """Read a ranking: each passage exactly once, with a finite score."""
        return read_rerank(content, len(passages_of(body)), oversize)

    def advise(self, body: Mapping[str, Any], status: int, content: bytes) -> str | None:
        """Return nothing: what chat models dislike is of other fields."""
        return None


def passages_of(body: Mapping[str, Any]) -> list[str]:
    """Return a request's passages, whatever the service calls them."""
    found: list[str] = body["documents"] if "documents" in body else body["texts"]
    return found
