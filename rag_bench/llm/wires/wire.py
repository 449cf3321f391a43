"""What the ledger and the layers below it must know of an endpoint; chat completions are one kind.

Look-up, claims, limits, retries, budget and secrets are the same for every kind. What differs is
here: the address and bytes of a request, which parts of it are the call's key, and what a reply is
worth. A new kind is one class with these methods.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from rag_bench.llm.config.advice import advise
from rag_bench.llm.config.requests import earlier_body, limit_in
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.reading import replies
from rag_bench.llm.reading.replies import ReadReply

CHAT_PATH = "/chat/completions"
JSON_TYPE = "application/json"
_LONGEST_UNASKED = 16_384  # tokens of a reply to a request that sets no limit
_PROMPT_EXTRA = 64  # tokens that a provider puts around the messages
_ERROR_WITHIN = 4_096  # bytes of a 200, in which an error in place of a completion shows


@dataclass(frozen=True)
class Outgoing:
    """What leaves for an endpoint, without the headers that every call has.

    Attributes:
        headers: of this kind of endpoint; the provider's own are put over them.
    """

    method: str
    url: httpx.URL
    content: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Most:
    """What a call can take at most: tokens of prompt and reply, a reranker's search units."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    search_units: int = 0


class Wire(Protocol):
    """One provider's endpoint of a kind."""

    def model(self, body: Mapping[str, Any]) -> str:
        """Return the model's name, as it is recorded."""

    def model_key(self, body: Mapping[str, Any]) -> str:
        """Return the key by which prices know the model."""

    def hashed(self, body: Mapping[str, Any]) -> tuple[list[Any], ...]:
        """Return what a call's key is made of, replicate aside: today's parts, then those by which
        earlier versions stored the same request.
        """

    def outgoing(self, body: Mapping[str, Any], content: bytes) -> Outgoing:
        """Return a request; ``content`` is the body as JSON."""

    def most(self, body: Mapping[str, Any], content: bytes) -> Most:
        """Return what a call can take at most; ``content`` is the body as JSON."""

    def error_inside(self, content: bytes, media_type: str) -> int | None:
        """Return the HTTP status of an error that came in a 200; None: it is none."""

    def read(
        self, body: Mapping[str, Any], content: bytes, media_type: str, oversize: bool
    ) -> ReadReply:
        """Read a 200; never raises. ``body``: what was asked. ``oversize``: the reply was cut,
        being too long.
        """

    def advise(self, body: Mapping[str, Any], status: int, content: bytes) -> str | None:
        """Return what to do about a refusal; None: unknown."""


class ChatWire:
    """Chat completions of OpenAI's protocol."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def model(self, body: Mapping[str, Any]) -> str:
        """Return the model that the body names."""
        return str(body["model"])

    def model_key(self, body: Mapping[str, Any]) -> str:
        """Return ``<provider>/<model>``."""
        return f"{self._provider.name}/{body['model']}"

    def hashed(self, body: Mapping[str, Any]) -> tuple[list[Any], ...]:
        """Return provider, base URL, model, body and what of the query may change a reply."""
        query = self._provider.options_for(str(body.get("model"))).public_query
        earlier = earlier_body(body)
        bodies = [body] if earlier is None else [body, earlier]
        base_url = self._provider.require_base_url()
        return tuple(chat_parts(self._provider.name, base_url, one, query) for one in bodies)

    def outgoing(self, body: Mapping[str, Any], content: bytes) -> Outgoing:
        """Return a POST of the body, told not to stream: some servers do unless they are told.

        The field is not in the body that the ledger knows: it changes no reply, and the replies of
        earlier versions, which did not send it, answer the same request.
        """
        options = self._provider.options_for(body["model"])
        if "stream" in options.body and options.body["stream"] is None:
            pass  # a server that refuses the field
        elif "stream" in body:
            content = json.dumps({**body, "stream": False}).encode()
        else:
            content = content.rstrip()[:-1] + b',"stream":false}'
        url = httpx.URL(f"{self._provider.require_base_url()}{CHAT_PATH}")
        headers = {"accept": JSON_TYPE, "content-type": JSON_TYPE}
        return Outgoing("POST", url, content, headers)

    def most(self, body: Mapping[str, Any], content: bytes) -> Most:
        """Return the tokens by the bytes of the prompt and the limit in the body, else what a long
        reply has.
        """
        # Tokens are pieces of UTF-8: no text has more of them than bytes.
        return Most(len(content) + _PROMPT_EXTRA, limit_in(body) or _LONGEST_UNASKED)

    def error_inside(self, content: bytes, media_type: str) -> int | None:
        """Return the status of an error that routers send for an upstream that failed."""
        if b'"error"' not in content[:_ERROR_WITHIN]:
            return None
        return replies.read_reply(content).provider_error

    def read(
        self, body: Mapping[str, Any], content: bytes, media_type: str, oversize: bool
    ) -> ReadReply:
        """Read a chat completion."""
        return replies.read_reply(content, oversize)

    def advise(self, body: Mapping[str, Any], status: int, content: bytes) -> str | None:
        """Return the line for the environment file that mends a refusal."""
        return advise(self._provider, body, status, content)


def chat_parts(
    provider: str, base_url: str, body: Mapping[str, Any], query: Mapping[str, str] | None = None
) -> list[Any]:
    """Return the parts of a chat request's key.

    ``query``: what of the address's query may change the reply (`Options.public_query`).
    """
    return [provider, base_url, body.get("model"), dict(body), *([dict(query)] if query else [])]
