"""One call as the ledger works on it: its keys, what is asked, what every waiting caller is told.

A call is its provider, base URL, model, whole body and replicate number. Replies that earlier
versions stored under another form of the same body are found under the key of that form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from rag_bench.hashing import canonical_json, text_hash
from rag_bench.llm.config.requests import earlier_body
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.transport.context import CallContext
from rag_bench.llm.transport.tally import NOTHING, Usage
from rag_bench.store.calls import CallStore, StoredReply


@dataclass(frozen=True)
class Call:
    """What is to be asked.

    Attributes:
        keys: under which it may be stored: today's, then those of earlier versions.
        replicate: its number among identical requests.
        body: of the request, as it enters the key.
        role: that it is recorded under.
        retry_failed: whether a kept reply that cannot be used is asked again.
        run_id: the Dagster run.
        given: the request, where a library made it.
    """

    keys: tuple[str, ...]
    replicate: int
    body: dict[str, Any]
    role: str
    retry_failed: bool = False
    run_id: str | None = None
    given: httpx.Request | None = None

    @property
    def key(self) -> str:
        """Today's key."""
        return self.keys[0]

    @cached_property
    def content(self) -> bytes:
        """The body's bytes, as they are sent; made only where they are."""
        if self.given is not None:
            return self.given.content
        text = json.dumps(self.body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()


@dataclass(frozen=True)
class Answer:
    """What every waiting caller of one key is told.

    Attributes:
        status: of HTTP; 502 for a reply that is no chat completion.
        content: the reply as it is stored, or an error's body.
        hit: no call was made for it.
        latency_ms: of the provider's own call.
        key: under which the reply is stored.
        usage: what the call took.
    """

    status: int
    content: bytes
    hit: bool
    latency_ms: float | None
    key: str
    usage: Usage = NOTHING


def request_hash(
    provider: str, base_url: str, body: dict[str, Any], query: Mapping[str, str] | None = None
) -> str:
    """Return the hash of a request whatever its replicate; the body names the model.

    ``query``: what of the address's query may change the reply (`Options.public_query`).
    """
    parts = [provider, base_url, body.get("model"), body, *([dict(query)] if query else [])]
    return text_hash(canonical_json(parts))


def keys_of(
    provider: Provider, body: dict[str, Any], context: CallContext | None
) -> tuple[tuple[str, ...], int]:
    """Return the keys under which a call may be stored, today's first, and its replicate number.

    Makes the context count the request.
    """
    base_url = provider.require_base_url()
    query = provider.options_for(str(body.get("model"))).public_query
    hashed = request_hash(provider.name, base_url, body, query)
    replicate = context.next_replicate(hashed) if context else 0
    earlier = earlier_body(body)
    hashes = [hashed]
    if earlier is not None:
        hashes.append(request_hash(provider.name, base_url, earlier, query))
    return tuple(_key(h, replicate) for h in hashes), replicate


async def find_stored(store: CallStore, keys: Sequence[str]) -> StoredReply | None:
    """Return the reply that is kept under the first of a call's keys that has one."""
    for key in keys:
        stored = await store.lookup(key)
        if stored is not None:
            return stored
    return None


def call_key(provider: str, base_url: str, body: dict[str, Any], replicate: int) -> str:
    """Return the ledger's key of a call: provider, base URL, model, whole body, replicate."""
    return _key(request_hash(provider, base_url, body), replicate)


def _key(hashed_request: str, replicate: int) -> str:
    return text_hash(f"{hashed_request}:{replicate}")
