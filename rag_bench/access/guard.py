"""The one way in which the program fetches an address that somebody else named.

Against server-side request forgery: the name is resolved once, every address that it has is
checked, and the connection goes to the very address that was checked, so a name that answers
otherwise the second time (rebinding) changes nothing. Redirects are not followed; a proxy, which
would resolve the name anew, is not used. Addresses of this machine, of private networks, of links,
of carriers' NAT, and those that stand for IPv4 addresses inside IPv6 are refused, and so is any
port but 80 and 443, unless the operator's list (``RAG_BENCH_OUTGOING_ALLOWED``) names them.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext
from threading import Timer
from typing import Any, Self
from urllib.parse import urlsplit

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.settings import Settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Name and port to the addresses that it has.
Resolver = Callable[[str, int], Sequence[str]]

MOST_BYTES = 1 << 20
MOST_SECONDS = 10.0
_PORTS = frozenset({80, 443})

# Written out, as what Python's `is_global` covers has changed between its releases.
REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(one)
    for one in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, where clouds have their metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0/96",  # IPv4-mapped
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "100::/64",  # discard
        "2001::/23",  # Teredo, ORCHID and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",  # unique local
        "fe80::/10",  # link-local
        "fec0::/10",
        "ff00::/8",
    )
)


class GuardError(RagBenchError):
    """An address that may not be fetched, or that did not answer as it must.

    ``status``: of the answer, as far as one came.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Target:
    """Where a request goes: the address that was checked, and the name that it is asked for."""

    url: str
    scheme: str
    host: str
    port: int
    address: str


@dataclass(frozen=True)
class Fetched:
    """What came back; ``status`` is never a redirect."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Allowed:
    """One entry of the operator's list: a name, an address or a network; any port, or one."""

    name: str | None
    network: Network | None
    port: int | None

    def covers(self, host: str, address: Address, port: int) -> bool:
        """Whether the operator allows this address under this name and port."""
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            return address.version == self.network.version and address in self.network
        return self.name == host


def allowed(entries: str) -> tuple[Allowed, ...]:
    """Read the operator's list: names, addresses and networks, by commas, ``:port`` after each.

    An IPv6 address with a port stands in brackets, as in an address line.

    Raises:
        ConfigurationError: an entry is none of these.
    """
    return tuple(_entry(one.strip()) for one in entries.split(",") if one.strip())


def _entry(text: str) -> Allowed:
    bare, port = text, None
    if text.startswith("["):
        bare, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":") if bracket else "?"
    elif text.count(":") == 1:
        bare, _, port = text.partition(":")
    if port == "":
        port = None
    if port is not None and not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ConfigurationError(f"RAG_BENCH_OUTGOING_ALLOWED: {text!r} has no port such as 8443.")
    number = int(port) if port else None
    try:
        return Allowed(None, ipaddress.ip_network(bare, strict=False), number)
    except ValueError:
        pass
    if "/" in bare or not bare or any(sign.isspace() or sign in "*@?#[]" for sign in bare):
        raise ConfigurationError(
            f"RAG_BENCH_OUTGOING_ALLOWED: {text!r} is no name, address or network "
            "(hooks.example.com, 10.1.2.3:8443, 10.0.0.0/8, [fd00::1]:443)."
        )
    return Allowed(_in_ascii(_plain(bare)), None, number)


def _plain(host: str) -> str:
    return host.rstrip(".").lower()


def resolve_by_system(host: str, port: int) -> list[str]:
    """Return the addresses that this machine finds for a name, in the order to be tried."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


@dataclass(frozen=True)
class Guard:
    """Checks an address and fetches it.

    ``resolve`` looks a name up, once per request; ``ca_file`` has certificates to trust beside the
    usual ones.
    """

    allowed: Sequence[Allowed] = ()
    resolve: Resolver = field(default=resolve_by_system)
    ca_file: Path | None = None

    def check(self, url: str, *, encrypted: bool = False) -> Target:
        """Look the address up and return where a request may go.

        Args:
            url: an http or https address.
            encrypted: refuse http, unless the operator's list names the host.

        Raises:
            GuardError: the address is malformed, is unknown, or may not be asked. The message
                names the host, never an address inside of the network that it leads to.
        """
        scheme, host, port = _parts(url)
        try:
            found = [
                ipaddress.ip_address(one.partition("%")[0]) for one in self.resolve(host, port)
            ]
        except (OSError, UnicodeError, ValueError):
            found = []
        if not found:
            raise GuardError(f"The host {host} is not known.")
        for address in found:
            if any(one.covers(host, address, port) for one in self.allowed):
                continue
            if encrypted and scheme != "https":
                raise GuardError(
                    f"{host} must be asked by https; RAG_BENCH_OUTGOING_ALLOWED can name hosts "
                    "that need not."
                )
            if port not in _PORTS:
                raise GuardError(
                    f"Port {port} of {host} may not be asked: only 80 and 443, and what "
                    "RAG_BENCH_OUTGOING_ALLOWED names."
                )
            # One forbidden address among several is enough: which one is used is not ours to say.
            if is_refused(address):
                raise GuardError(
                    f"The host {host} leads into a private or special network; the operator can "
                    "allow it in RAG_BENCH_OUTGOING_ALLOWED."
                )
        return Target(url, scheme, host, port, str(found[0]))

    def fetch(
        self,
        url: str,
        *,
        method: str = "GET",
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        encrypted: bool = False,
        most_bytes: int = MOST_BYTES,
        most_seconds: float = MOST_SECONDS,
    ) -> Fetched:
        """Send one request to the address that was checked and return its reply.

        Args:
            url: an http or https address.
            method: of the request.
            content: its body.
            headers: its headers; ``Host`` is set here.
            encrypted: as for `check`.
            most_bytes: of the reply's body.
            most_seconds: of everything after the name was looked up.

        Raises:
            GuardError: it may not be asked, does not answer in time, answers with a redirect or
                with too much.
        """
        import httpx

        target = self.check(url, encrypted=encrypted)
        end = time.monotonic() + most_seconds
        status: int | None = None
        sent = {**(headers or {}), "Host": _host_header(target), "Accept-Encoding": "identity"}
        try:
            with (
                # No proxy of the environment's; the certificate is checked for the name.
                httpx.Client(
                    verify=self._trusted(),
                    trust_env=False,
                    follow_redirects=False,
                    timeout=httpx.Timeout(most_seconds, connect=min(most_seconds, 10.0)),
                ) as client,
                _Deadline(most_seconds) as deadline,
                client.stream(
                    method,
                    httpx.URL(url).copy_with(host=target.address, port=target.port),
                    content=content,
                    headers=sent,
                    extensions={"sni_hostname": target.host, "trace": deadline.watch},
                ) as reply,
            ):
                status = reply.status_code
                if 300 <= status < 400:
                    raise GuardError(
                        f"{target.host} answered with a redirect ({status}), which is "
                        "not followed; name the address that it leads to.",
                        status,
                    )
                # As it came: a packed body could grow without bounds.
                body = _read(reply.iter_raw(), target.host, most_bytes, end)
                return Fetched(status, dict(reply.headers), body)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            why = f"{target.host} cannot be asked ({type(error).__name__})."
            raise GuardError(why, status) from None
        except GuardError as error:
            raise GuardError(str(error), status) from None

    def _trusted(self) -> SSLContext:
        import httpx

        trusted = httpx.create_ssl_context()
        if self.ca_file is not None:
            try:
                trusted.load_verify_locations(cafile=self.ca_file)
            except OSError:
                raise GuardError(f"RAG_BENCH_CA_FILE: {self.ca_file} cannot be read.") from None
        return trusted


class _Deadline:
    """Cuts a connection off when the time is up, or one that gives a byte now and then goes on."""

    def __init__(self, seconds: float) -> None:
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True
        self._sockets: list[socket.socket] = []

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a connection that was made; httpcore's `trace`."""
        if event == "connection.connect_tcp.complete":
            self._sockets.append(info["return_value"].get_extra_info("socket"))

    def _cut(self) -> None:
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def is_refused(address: Address) -> bool:
    """Whether an address is of this machine, a private network or one with a meaning of its own."""
    if any(address.version == one.version and address in one for one in REFUSED):
        return True
    return not address.is_global or address.is_multicast


def check_form(url: str) -> None:
    """Look at an address as it is written, without resolving anything. Raises GuardError."""
    _parts(url)


def _parts(url: str) -> tuple[str, str, int]:
    if any(ord(sign) <= 32 or ord(sign) == 127 or sign == "\\" for sign in url):
        raise GuardError("The address holds a blank, a backslash or a control character.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise GuardError("The address is malformed.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise GuardError("The address must begin with https:// or http:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise GuardError("The address may hold no user name and no password.")
    if "%" in parts.netloc:
        raise GuardError("The address's host may hold no percent sign.")
    try:
        host = parts.hostname if ":" in parts.hostname else _in_ascii(_plain(parts.hostname))
    except UnicodeError:
        raise GuardError("The address's host is no name.") from None
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80)


def _in_ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _host_header(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    usual = 443 if target.scheme == "https" else 80
    return host if target.port == usual else f"{host}:{target.port}"


def _read(blocks: Iterable[bytes], host: str, most_bytes: int, end: float) -> bytes:
    body = bytearray()
    for block in blocks:
        body += block
        if len(body) > most_bytes:
            raise GuardError(f"{host} answered with more than {most_bytes} bytes.")
        if time.monotonic() > end:
            raise GuardError(f"{host} did not end its answer in time.")
    return bytes(body)


def guard_of(settings: Settings) -> Guard:
    """Return the guard with the operator's list and certificates of the settings."""
    return Guard(allowed(settings.outgoing_allowed), ca_file=settings.ca_file)
