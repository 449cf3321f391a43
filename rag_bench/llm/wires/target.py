"""A live assistant's endpoint: any method and body, JSON or a stream of events in reply."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx

from rag_bench.llm.config.targets import PREFIX, Target
from rag_bench.llm.reading.replies import ReadReply
from rag_bench.llm.reading.target_reply import EVENTS_TYPE, read_target_reply
from rag_bench.llm.wires.wire import JSON_TYPE, Most, Outgoing


class TargetWire:
    """One assistant. The body that the ledger knows is `Target.request`."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def model(self, body: Mapping[str, Any]) -> str:
        """Return the assistant's name."""
        return self._target.name

    def model_key(self, body: Mapping[str, Any]) -> str:
        """Return ``target/<name>``."""
        return self._target.key

    def hashed(self, body: Mapping[str, Any]) -> tuple[list[Any], ...]:
        """Return address, method and body, and what else the reply may depend on and is no secret;
        another name for the same assistant asks nothing anew.
        """
        return ([PREFIX, self._target.url, dict(body)],)

    def outgoing(self, body: Mapping[str, Any], content: bytes) -> Outgoing:
        """Return the request; of a GET the fields stand in the query."""
        headers = {"accept": f"{JSON_TYPE}, {EVENTS_TYPE}", **self._target.headers}
        url = httpx.URL(self._target.url)
        if body["method"] == "GET":
            return Outgoing("GET", url.copy_merge_params(body["body"]), b"", headers)
        text = json.dumps(body["body"], ensure_ascii=False, separators=(",", ":"))
        return Outgoing("POST", url, text.encode(), {"content-type": JSON_TYPE, **headers})

    def most(self, body: Mapping[str, Any], content: bytes) -> Most:
        """Return nothing: its tokens are not ours to count."""
        return Most()

    def error_inside(self, content: bytes, media_type: str) -> int | None:
        """Return the status of an error in place of an answer, or in a stream."""
        if b"error" not in content:
            return None
        return self.read({}, content, media_type, False).provider_error

    def read(
        self, body: Mapping[str, Any], content: bytes, media_type: str, oversize: bool
    ) -> ReadReply:
        """Read JSON or events."""
        return read_target_reply(self._target, content, media_type, oversize)

    def advise(self, body: Mapping[str, Any], status: int, content: bytes) -> str | None:
        """Return which variable may mend a refusal."""
        name = self._target.variable
        words = {
            401: f"see {name('HEADERS')}",
            403: f"see {name('HEADERS')}",
            404: f"is {name('URL')} its address?",
            405: f"see {name('METHOD')}, now {self._target.method}",
            400: f"see {name('BODY')}",
            415: f"see {name('BODY')} and {name('METHOD')}",
            422: f"see {name('BODY')}",
        }
        return words.get(status)
