"""One call as the ledger works on it: its keys, what is asked, what every waiting caller is told.

A call is what its wire says (of chat: provider, base URL, model, whole body) and its replicate
number. Replies that earlier versions stored under another form of the same body are found under the
key of that form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any

import httpx

from rag_bench.evaluation.instrument.served import UNSAID, Served
from rag_bench.hashing import canonical_json, text_hash
from rag_bench.llm.transport.context import CallContext
from rag_bench.llm.transport.tally import NOTHING, Usage
from rag_bench.llm.wires.wire import Wire, chat_parts
from rag_bench.store.calls import CallStore, StoredReply


@dataclass(frozen=True)
class Call:
    """What is to be asked.

    Attributes:
        keys: under which it may be stored: today's, then those of earlier versions.
        replicate: its number among identical requests.
        body: of the request, as it enters the key.
        model: as it is recorded.
        role: that it is recorded under.
        retry_failed: whether a kept reply that cannot be used is asked again.
        run_id: the Dagster run.
        given: the request, where a library made it.
        row_id: the ledger's row that it came to; None: there is none yet.
    """

    keys: tuple[str, ...]
    replicate: int
    body: dict[str, Any]
    model: str
    role: str
    retry_failed: bool = False
    run_id: str | None = None
    given: httpx.Request | None = None
    _rows: list[int] = field(default_factory=list, repr=False, compare=False)

    @property
    def row_id(self) -> int | None:
        return self._rows[-1] if self._rows else None

    def note_row(self, row_id: int) -> None:
        """Remember the ledger's row of the call, for all who wait for it."""
        self._rows.append(row_id)

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
        status: of HTTP; 502 for a reply that cannot be read (of chat: no chat completion).
        content: the reply as it is stored, or an error's body.
        hit: no call was made for it.
        latency_ms: of the provider's own call.
        key: under which the reply is stored.
        usage: what the call took.
        served: what the reply says of who made it.
        at: when the reply was made; None: by this call, now.
    """

    status: int
    content: bytes
    hit: bool
    latency_ms: float | None
    key: str
    usage: Usage = NOTHING
    served: Served = UNSAID
    at: datetime | None = None


def keys_of(
    wire: Wire,
    body: dict[str, Any],
    context: CallContext | None,
    revisions: Mapping[str, int] = MappingProxyType({}),
) -> tuple[tuple[str, ...], int]:
    """Return the keys under which a call may be stored, today's first, and its replicate number.

    Makes the context count the request. ``revisions``: of models that were changed behind their
    names; the keys of all others are as they always were.
    """
    revision = revisions.get(wire.model_key(body))
    revised = [{"revision": revision}] if revision else []
    hashes = [text_hash(canonical_json([*parts, *revised])) for parts in wire.hashed(body)]
    replicate = context.next_replicate(hashes[0]) if context else 0
    return tuple(_key(h, replicate) for h in hashes), replicate


async def find_stored(store: CallStore, keys: Sequence[str]) -> StoredReply | None:
    """Return the reply that is kept under the first of a call's keys that has one."""
    for key in keys:
        stored = await store.lookup(key)
        if stored is not None:
            return stored
    return None


def call_key(provider: str, base_url: str, body: dict[str, Any], replicate: int) -> str:
    """Return the ledger's key of a chat call: provider, base URL, model, whole body, replicate."""
    return _key(text_hash(canonical_json(chat_parts(provider, base_url, body))), replicate)


def _key(hashed_request: str, replicate: int) -> str:
    return text_hash(f"{hashed_request}:{replicate}")
