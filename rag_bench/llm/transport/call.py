"""One call as the ledger works on it: what is asked, and what every waiting caller is told."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from rag_bench.llm.transport.tally import NOTHING, Usage


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
