"""The network below the limits: proxies, TLS, and connections to one provider, one transport each.

httpcore's pool looks through all of its connections, several times per request, so that at 32 in
flight it takes more of the processor than everything else. A pool of one has nothing to look
through; which of them is free is known here without looking.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable
from functools import cache

import httpx


def network_transport(base_url: str) -> httpx.AsyncBaseTransport:
    """Return the transport to a provider, through the environment's proxy unless it is local.

    httpx reads proxy variables only for clients without a transport of their own, so they are
    read here; a proxy never gets in the way of this machine.
    """
    # httpcore's debug lines hold response headers, in which a provider may repeat the key.
    logging.getLogger("httpcore").setLevel(logging.INFO)
    proxy = proxy_for(base_url)
    return Lanes(
        lambda: httpx.AsyncHTTPTransport(
            verify=_tls(),
            proxy=httpx.Proxy(proxy) if proxy else None,
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=30
            ),
            retries=0,
        )
    )


@cache
def _tls() -> ssl.SSLContext:
    """Return httpx's own TLS settings; reading the certificates takes a while, so once."""
    return httpx.create_ssl_context()


def proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment names for an address; None for this machine."""
    url = httpx.URL(base_url)
    host = url.host
    if host == "localhost" or host.endswith(".localhost"):
        return None
    try:
        if ipaddress.ip_address(host).is_loopback:
            return None
    except ValueError:
        pass
    proxies = urllib.request.getproxies_environment()
    if urllib.request.proxy_bypass_environment(host, proxies):  # type: ignore[attr-defined]
        return None
    proxy = proxies.get(url.scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


class Lanes(httpx.AsyncBaseTransport):
    """As many transports as there are requests in flight at once, each with one connection.

    The one used last is used first, so that those which a quiet provider needs no more grow old
    and are closed. How many there may be is decided above (`rag_bench.llm.limits`).
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport]) -> None:
        self._make = make
        self._free: list[httpx.AsyncBaseTransport] = []
        self._all: list[httpx.AsyncBaseTransport] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._free:
            lane = self._free.pop()
        else:
            lane = self._make()
            self._all.append(lane)
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            self._free.append(lane)
            raise
        response.stream = _Stream(response.stream, lambda: self._free.append(lane))
        return response

    async def aclose(self) -> None:
        lanes, self._all, self._free = self._all, [], []
        await asyncio.gather(*(lane.aclose() for lane in lanes))


class _Stream(httpx.AsyncByteStream):
    """A reply's bytes; its lane is free again when it is closed."""

    def __init__(
        self, inner: httpx.SyncByteStream | httpx.AsyncByteStream, free: Callable[[], None]
    ) -> None:
        assert isinstance(inner, httpx.AsyncByteStream)
        self._inner = inner
        self._free: Callable[[], None] | None = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            free, self._free = self._free, None
            if free is not None:
                free()
