"""The network below the limits: proxies, TLS, and connections to one provider, one transport each.

httpcore's pool looks through all of its connections, several times per request, so that at 32 in
flight it takes more of the processor than everything else. A pool of one has nothing to look
through; which of them is free is known here without looking.
"""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import logging
import os
import ssl
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache, partial

import httpx

from rag_bench.errors import ConfigurationError
from rag_bench.llm.network.connection import Connection


class HopelessError(httpx.ConnectError):
    """A connection that no second attempt can make: the words say what to do."""


@dataclass(frozen=True)
class Road:
    """The proxy to an address. Its text shows no password.

    Attributes:
        url: with its password.
        variable: of the environment, that names it.
    """

    url: httpx.URL = field(repr=False)
    variable: str

    def __str__(self) -> str:
        port = "" if self.url.port is None else f":{self.url.port}"
        host = f"[{self.url.host}]" if ":" in self.url.host else self.url.host
        return f"{self.url.scheme}://{host}{port}"

    def secrets(self) -> list[str]:
        """Return what may not be repeated in a text."""
        password = self.url.password
        return [password] if password else []


def network_transport(
    base_url: str, ca_files: Mapping[str, str] | None = None
) -> httpx.AsyncBaseTransport:
    """Return the transport to a provider, through the environment's proxy unless it is local.

    httpx reads proxy variables only for clients without a transport of their own, so they are
    read here; a proxy never gets in the way of this machine.

    Args:
        base_url: the provider's.
        ca_files: certificates to trust beside the usual ones, by the variable that names them.

    Raises:
        ConfigurationError: a proxy or a certificate file that cannot be used; names the variable.
    """
    # httpcore's debug lines hold response headers, in which a provider may repeat the key.
    logging.getLogger("httpcore").setLevel(logging.INFO)
    tls = tls_with(ca_files or {})
    road = road_to(base_url)
    proxy = httpx.Proxy(road.url) if road else None
    if proxy is not None and proxy.url.scheme == "https":
        proxy.ssl_context = tls
    if proxy is None:
        return _InWords(Lanes(lambda: Connection(tls)), road)
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=30)
    by_proxy = partial(httpx.AsyncHTTPTransport, verify=tls, proxy=proxy, limits=limits, retries=0)
    return _InWords(Lanes(by_proxy), road)


_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def tls_with(ca_files: Mapping[str, str]) -> ssl.SSLContext:
    """Return how this process trusts servers; certificates are read once, which takes a while.

    Raises:
        ConfigurationError: as of `network_transport`.
    """
    return _tls(tuple(sorted(ca_files.items())), *map(os.environ.get, _CA_VARIABLES))


@cache
def _tls(ca_files: tuple[tuple[str, str], ...], *of_environment: str | None) -> ssl.SSLContext:
    """Return httpx's own TLS settings with more certificates."""
    try:
        context = httpx.create_ssl_context()
    except (OSError, ssl.SSLError):
        named = [n for n, value in zip(_CA_VARIABLES, of_environment, strict=True) if value]
        raise ConfigurationError(
            f"{' or '.join(named)} names no readable certificates; it takes a file in PEM form."
        ) from None
    for variable, path in ca_files:
        try:
            context.load_verify_locations(cafile=path)
        except (OSError, ssl.SSLError):
            raise ConfigurationError(
                f"{variable} names no readable certificates: {path}. It takes a file in PEM form "
                "(-----BEGIN CERTIFICATE-----)."
            ) from None
    return context


def proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment names for an address; None for this machine."""
    road = road_to(base_url)
    return str(road.url) if road else None


def road_to(base_url: str) -> Road | None:
    """Return the proxy to an address as the environment names it, None where there is none.

    Raises:
        ConfigurationError: a variable names a proxy that cannot be meant.
    """
    url = httpx.URL(base_url)
    host = url.host
    if host == "localhost" or host.endswith(".localhost"):
        return None
    address = _address(host)
    if address is not None and address.is_loopback:
        return None
    proxies = urllib.request.getproxies_environment()
    if is_excepted(url, proxies.get("no", "")):
        return None
    scheme = url.scheme if proxies.get(url.scheme) else "all"
    proxy = proxies.get(scheme)
    if not proxy:
        return None
    names = (f"{scheme}_proxy", f"{scheme}_proxy".upper())
    variable = next((name for name in names if os.environ.get(name) == proxy), names[1])
    try:
        parsed = httpx.URL(proxy if "://" in proxy else f"http://{proxy}")
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https", "socks5", "socks5h") or not parsed.host:
        raise ConfigurationError(
            f"{variable} names no proxy: expected http://host:port, with user:password@ before "
            "the host if it wants them (signs in them as %40 and the like)."
        )
    if parsed.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise ConfigurationError(
            f"{variable} names a SOCKS proxy, which needs one more package: "
            "pip install 'httpx[socks]'. Or name an http:// proxy, or except the host by NO_PROXY."
        )
    return Road(parsed, variable)


def is_excepted(url: httpx.URL, no_proxy: str) -> bool:
    """Whether ``NO_PROXY`` takes an address off the proxy, as curl and requests read it.

    Entries are parted by commas or blanks, in any case: ``*``; a name, which means its subdomains
    too, with or without a dot or ``*.`` before it; an address; a network (``10.0.0.0/8``,
    ``fd00::/8``); each with or without a port (``host:8080``, ``[::1]:8080``).
    """
    host = url.raw_host.decode("ascii").rstrip(".").lower()
    address = _address(host)
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    return any(
        _is_meant(entry, host, address, port)
        for entry in no_proxy.lower().replace(",", " ").split()
    )


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _is_meant(entry: str, host: str, address: _Address | None, port: int | None) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            return False
        return address is not None and address in network
    name, colon, only = entry, "", ""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        colon, only = rest[:1], rest[1:]
    elif entry.count(":") == 1:
        name, colon, only = entry.partition(":")
    if colon and only != str(port):
        return False
    named = _address(name)
    if named is not None or address is not None:
        return named == address or ("*" in name and fnmatchcase(host, name))
    name = name.removeprefix("*").strip(".")
    with suppress(UnicodeError, httpx.InvalidURL):
        name = httpx.URL(f"http://{name}").raw_host.decode("ascii")
    return bool(name) and (host == name or host.endswith(f".{name}") or fnmatchcase(host, name))


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


class _InWords(httpx.AsyncBaseTransport):
    """Says of a failed connection which proxy it went through, and what mends a certificate."""

    def __init__(self, inner: httpx.AsyncBaseTransport, road: Road | None) -> None:
        self._inner = inner
        self._road = road

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._inner.handle_async_request(request)
        except httpx.TransportError as error:
            words = _tls_words(error, request.url.host)
            if words:
                raise HopelessError(words, request=request) from error
            if self._road is None or not isinstance(
                error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError
            ):
                raise
            road = f"through the proxy {self._road} of {self._road.variable}"
            raise type(error)(f"{error} ({road})".strip(), request=request) from error

    async def aclose(self) -> None:
        await self._inner.aclose()


# OpenSSL's codes of what no CA file mends.
_MENDED_ELSEWHERE = {
    9: "it is not valid yet; is this machine's clock right?",
    10: "it has expired; the server needs a new one",
    62: "it is another host's; use the name that the certificate has",
    64: "it is another host's; use the name that the certificate has",
}


def _tls_words(error: BaseException, host: str) -> str | None:
    """Return what is wrong with a server's TLS and what mends it; None if something else is."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        if isinstance(current, ssl.SSLCertVerificationError):
            what = current.verify_message or "unknown issuer"
            mend = _MENDED_ELSEWHERE.get(
                current.verify_code,
                "if its CA is one of your own, name the CA's file (PEM) in "
                "PROVIDER_<NAME>_CA_FILE or RAG_BENCH_CA_FILE",
            )
            return f"the certificate of {host} cannot be verified ({what}): {mend}"
        if isinstance(current, ssl.SSLError) and current.reason == "WRONG_VERSION_NUMBER":
            return f"{host} does not speak TLS at this port: should the address begin with http://?"
        current = current.__cause__ or current.__context__
    return None


class Lanes(httpx.AsyncBaseTransport):
    """As many transports as there are requests in flight at once, each with one connection.

    The one used last is used first, so that those which a quiet provider needs no more grow old
    and are closed. How many there may be is decided above (`rag_bench.llm.transport.limits`).
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
