"""Which call is which: the ledger's keys.

A call is its provider, base URL, model, whole body and replicate number. Replies that earlier
versions stored under another form of the same body are found under the key of that form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rag_bench.hashing import canonical_json, text_hash
from rag_bench.llm.config.requests import earlier_body
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.transport.context import CallContext
from rag_bench.store.calls import CallStore, StoredReply


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
