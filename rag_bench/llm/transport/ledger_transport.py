"""The ledger as an httpx transport, for libraries that bring their own prompts (RAGAS).

It is the lowest layer that knows what a chat call is, so the calls of any library on the SDK's
client are recorded and reused as our own are.
"""

from __future__ import annotations

import json

import httpx

from rag_bench.llm.transport.ledger import Ledger, error_body
from rag_bench.llm.transport.sender import Sender
from rag_bench.llm.wires.wire import CHAT_PATH

HIT_HEADER = "x-rag-bench-ledger"  # "hit": no call was made for this request; else "miss"
KEY_HEADER = "x-rag-bench-key"
LATENCY_HEADER = "x-rag-bench-latency-ms"  # of the original call


class LedgerTransport(httpx.AsyncBaseTransport):
    """The transport of one provider's SDK client; the ledger is closed by whoever opened it.

    Nothing is sent to any other address than the provider's.
    """

    def __init__(self, ledger: Ledger, sender: Sender, provider: str) -> None:
        self._ledger = ledger
        self._sender = sender
        self._provider = provider

    def __repr__(self) -> str:
        return f"LedgerTransport({self._provider!r})"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        if not self._sender.is_ours(request.url):
            return _error(400, f"provider {self._provider!r} is not asked at this address")
        if request.method != "POST" or not request.url.path.endswith(CHAT_PATH):
            return await self._sender.pass_on(request, content)
        try:
            body = json.loads(content)
        except ValueError:
            body = None
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            return _error(400, "not a chat request: a JSON object with a model is expected")
        if body.get("stream"):
            return _error(400, "streamed calls are not recorded: call without stream=True")
        answer = await self._ledger.ask(body, request)
        headers = {
            "content-type": "application/json",
            HIT_HEADER: "hit" if answer.hit else "miss",
            KEY_HEADER: answer.key,
        }
        if answer.latency_ms is not None:
            headers[LATENCY_HEADER] = f"{answer.latency_ms:.3f}"
        return httpx.Response(answer.status, headers=headers, content=answer.content)


def _error(status: int, message: str) -> httpx.Response:
    return httpx.Response(
        status, headers={"content-type": "application/json"}, content=error_body(message)
    )
