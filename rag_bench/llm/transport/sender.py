"""What leaves for a provider, and what is let in: address, headers, key; no secret comes back.

The provider's key is put in here, below everything that builds requests. It goes to the provider's
own address only, and is taken out of replies and exceptions that repeat it.
"""

from __future__ import annotations

from dataclasses import replace

import httpx

from rag_bench.llm.config.options import Options
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.network.network import road_to
from rag_bench.llm.transport.call import Call
from rag_bench.llm.transport.call_note import CallNote, CallSize
from rag_bench.llm.transport.hiding import Hider
from rag_bench.llm.wires.wire import JSON_TYPE, Outgoing, Wire
from rag_bench.observing import spans, trace

REPLICATE_HEADER = "x-rag-bench-replicate"  # sent to the simulator only


class Sender:
    """The requests of one provider. Closing it closes the inner transport."""

    def __init__(self, inner: httpx.AsyncBaseTransport, provider: Provider, wire: Wire) -> None:
        self._inner = inner
        self._provider = provider
        self._wire = wire
        self._base = httpx.URL(provider.require_base_url())
        key = provider.api_key
        secrets: list[str] = []
        if provider.kind != "simulator":
            road = road_to(provider.require_base_url())
            secrets = provider.secrets() + (road.secrets() if road else [])
        self._hider = Hider(secrets)
        self._said = {"rag_bench.provider": provider.name, "server.address": self._base.host}
        self._authorization = f"Bearer {key.get_secret_value()}" if key else None

    def __repr__(self) -> str:
        return f"Sender({self._provider.name!r})"

    def is_ours(self, url: httpx.URL) -> bool:
        """Whether an address is below the provider's; nothing is sent to any other."""
        base = self._base
        same_place = (url.scheme, url.host, url.port) == (base.scheme, base.host, base.port)
        return same_place and url.path.startswith(base.path.rstrip("/") + "/")

    def request_of(self, call: Call, size: CallSize) -> httpx.Request:
        """Return a call's request; it carries the call's note (`CallNote`)."""
        outgoing = self._wire.outgoing(call.body, call.content)
        if call.given is not None:
            outgoing = replace(outgoing, url=call.given.url)
        options = self._provider.options_for(call.model)
        request = self._outgoing(outgoing, options, call.replicate)
        CallNote(size).put_into(request)
        return request

    async def send(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """Send a request of ours; return the reply and its content without secrets.

        Raises:
            Exception: what the transport raises, without secrets.
        """
        try:
            said = {**self._said, "gen_ai.request.model": CallNote.of(request).size.model_key}
            with spans.span("provider call", said, to_others=True) as span:
                if span is not None and trace.HEADER in request.headers:
                    request.headers[trace.HEADER] = trace.traceparent() or ""
                response = await self._inner.handle_async_request(request)
                content = await response.aread()
                if span is not None:
                    span.set_attribute("http.response.status_code", response.status_code)
            return response, self._hider.content(content)
        except Exception as error:
            self._hider.error(error)
            raise

    async def pass_on(self, request: httpx.Request, content: bytes) -> httpx.Response:
        """Send what is no chat call, with our headers; nothing of it is recorded."""
        media = request.headers.get("content-type", JSON_TYPE)
        headers = {"accept": JSON_TYPE, "content-type": media}
        outgoing = Outgoing(request.method, request.url, content, headers)
        ours = self._outgoing(outgoing, self._provider.options)
        response, content = await self.send(ours)
        reservation = CallNote.of(ours).reservation
        if reservation is not None:
            reservation.settle(None)  # nothing here reads what it cost
        headers = {"content-type": response.headers.get("content-type", JSON_TYPE)}
        return httpx.Response(response.status_code, headers=headers, content=content)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _outgoing(self, outgoing: Outgoing, options: Options, replicate: int = 0) -> httpx.Request:
        headers = {
            "accept-encoding": "gzip, deflate",
            "user-agent": "rag-bench",
            **outgoing.headers,
        }
        if self._authorization:
            headers["authorization"] = self._authorization
        if self._provider.kind == "simulator":
            # A real model varies between repeats by itself; a deterministic one has to be told.
            headers[REPLICATE_HEADER] = str(replicate)
        if parent := trace.traceparent():
            headers[trace.HEADER] = parent
        for name, value in options.headers.items():
            if value is None:
                headers.pop(name, None)
            else:
                headers[name] = value
        url = outgoing.url
        if options.query:
            url = url.copy_merge_params(options.query)
        return httpx.Request(outgoing.method, url, headers=headers, content=outgoing.content)
