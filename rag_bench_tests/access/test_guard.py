"""The guard: what may be fetched, by name, by address, by redirect, by rebinding."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rag_bench.access.guard import Guard, GuardError, allowed
from rag_bench.errors import ConfigurationError


class Site:
    """A real server on an address of this machine, which notes what it was asked."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.asked: list[tuple[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                site.asked.append((self.path, self.headers["Host"]))
                if self.path == "/away":
                    self.send_response(302)
                    self.send_header("Location", "/inside")
                    self.end_headers()
                    return
                body = b"x" * (5000 if self.path == "/long" else 2)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                site.asked.append((self.path, self.rfile.read(length).decode()))
                self.send_response(204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        self.server = Server((address, 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


class Names:
    """A name server whose answers are given one after the other; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.127.255.254", "192.0.0.170"),
        *("198.18.0.1", "192.0.2.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1"),
        # IPv4 addresses inside IPv6: mapped, translated, compatible, NAT64, 6to4, Teredo
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "::7f00:1"),
        *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1"),
        *("2001:db8::1", "100::1", "3fff::1", "5f00::1"),
    ],
)
def test_a_name_that_leads_inside_is_refused(address: str) -> None:
    with pytest.raises(GuardError, match="private or special network") as refused:
        Guard(resolve=Names([address])).check("https://hooks.example.com/x")
    assert address.split("%")[0] not in str(refused.value).replace("hooks.example.com", "")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "93.184.216.34", "100.63.255.255", "172.32.0.1", "2606:4700::1111"]
)
def test_what_is_public_may_be_asked(address: str) -> None:
    target = Guard(resolve=Names([address])).check("https://Hooks.Example.com./x?y")
    assert (target.address, target.host, target.port) == (address, "hooks.example.com", 443)


@pytest.mark.parametrize(
    "host",
    [
        # as the system itself reads them: decimal, octal, hexadecimal, short, and a name
        *("127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "localhost", "[::1]"),
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0"),
    ],
)
def test_loopback_in_every_spelling_is_refused(host: str) -> None:
    with pytest.raises(GuardError):
        Guard().check(f"http://{host}/")


def test_one_inner_address_among_several_is_enough() -> None:
    with pytest.raises(GuardError, match="private"):
        Guard(resolve=Names(["8.8.8.8", "10.0.0.1"])).check("https://a.example/")


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://a.example/", "file:///etc/passwd", "gopher://a.example/", "//a.example/", "a"),
        *("https:///x", "https://user:secret@a.example/", "https://a.example@10.0.0.1/"),
        *("https://a.example/\r\nHost: b", "https://a.example\\@b.example/", "https://a b/"),
        *("https://a.example:99999/", "https://[::1/", "https://%31%32%37.0.0.1/"),
        "https://" + "a" * 64 + "é.example/",
    ],
)
def test_malformed_addresses_are_refused_without_a_look_up(url: str) -> None:
    names = Names(["8.8.8.8"])
    with pytest.raises(GuardError):
        Guard(resolve=names).check(url)
    assert names.asked == 0


def test_ports_and_plain_http() -> None:
    guard = Guard(allowed("inner.example:8443, 10.1.0.0/16"), Names(["8.8.8.8"]))
    assert guard.check("http://a.example/").port == 80
    with pytest.raises(GuardError, match="Port 8443"):
        guard.check("https://a.example:8443/")
    with pytest.raises(GuardError, match="by https"):
        guard.check("http://a.example/", encrypted=True)
    assert guard.check("https://inner.example:8443/").port == 8443
    with pytest.raises(GuardError, match="Port 22"):
        guard.check("https://inner.example:22/")
    inside = Guard(allowed("10.1.0.0/16"), Names(["10.1.2.3"]))
    assert inside.check("http://a.example:5000/", encrypted=True).address == "10.1.2.3"


def test_a_name_that_is_not_known() -> None:
    def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(8, "no such name")

    for resolver in (unknown, Names([])):
        with pytest.raises(GuardError, match=r"host nowhere\.example is not known"):
            Guard(resolve=resolver).check("https://nowhere.example/")


def test_the_operators_list_is_read_strictly() -> None:
    entries = allowed("A.example., b.example:443 ,10.0.0.1:81,10.0.0.0/8,fd00::1,[fd00::2]:9,")
    assert [(one.name, one.network and str(one.network), one.port) for one in entries] == [
        ("a.example", None, None),
        ("b.example", None, 443),
        (None, "10.0.0.1/32", 81),
        (None, "10.0.0.0/8", None),
        (None, "fd00::1/128", None),
        (None, "fd00::2/128", 9),
    ]
    for wrong in ("*", "*.example", "a b", "10.0.0.0/99", "a:0", "a:x", "[fd00::1", "https://a"):
        with pytest.raises(ConfigurationError, match="RAG_BENCH_OUTGOING_ALLOWED"):
            allowed(wrong)


def test_what_is_allowed_is_fetched_under_its_own_name(site: Site) -> None:
    guard = Guard(allowed(f"hooks.example:{site.port}"), Names(["127.0.0.1"]))
    reply = guard.fetch(f"http://hooks.example:{site.port}/a?b=c")
    assert (reply.status, reply.body) == (200, b"xx")
    posted = guard.fetch(
        f"http://hooks.example:{site.port}/p", method="POST", content="тело".encode()
    )
    assert posted.status == 204
    assert site.asked == [("/a?b=c", f"hooks.example:{site.port}"), ("/p", "тело")]


def test_the_certificate_is_checked_for_the_name_and_not_for_the_address(
    site: Site, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "ca.pem"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, tmp_path / "key.pem")
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)

    def guard(ca_file: Path | None) -> Guard:
        return Guard(allowed("127.0.0.1"), Names(["127.0.0.1"]), ca_file)

    assert guard(pem).fetch(f"https://hooks.example:{site.port}/").status == 200
    for host, ca_file in (("other.example", pem), ("hooks.example", None)):
        with pytest.raises(GuardError, match="cannot be asked"):
            guard(ca_file).fetch(f"https://{host}:{site.port}/")
    assert len(site.asked) == 1


def test_a_redirect_is_not_followed(site: Site) -> None:
    guard = Guard(allowed("127.0.0.1"))
    with pytest.raises(GuardError, match=r"redirect \(302\)"):
        guard.fetch(f"http://127.0.0.1:{site.port}/away")
    assert [path for path, _ in site.asked] == ["/away"]


def test_a_name_that_answers_otherwise_the_second_time_changes_nothing(site: Site) -> None:
    inner = Site("127.0.0.2")
    try:
        # The first answer is checked and used; a second look-up would lead to 127.0.0.2.
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        guard = Guard(allowed(f"127.0.0.1:{site.port}"), names)
        assert guard.fetch(f"http://rebind.example:{site.port}/").status == 200
        assert names.asked == 1
        assert [path for path, _ in site.asked] == ["/"]
        with pytest.raises(GuardError, match="may not be asked"):
            guard.fetch(f"http://rebind.example:{site.port}/")
        assert inner.asked == []
    finally:
        inner.close()


def test_a_proxy_of_the_environment_is_not_used(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    guard = Guard(allowed("127.0.0.1"))
    assert guard.fetch(f"http://127.0.0.1:{site.port}/").status == 200


def test_an_answer_without_end_is_cut_off(site: Site) -> None:
    guard = Guard(allowed("127.0.0.1"))
    with pytest.raises(GuardError, match="more than 1000 bytes"):
        guard.fetch(f"http://127.0.0.1:{site.port}/long", most_bytes=1000)


def test_who_gives_a_byte_now_and_then_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        over = threading.Event()

        def drip() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not over.wait(0.05):
                    connection.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(GuardError, match="cannot be asked"):
                Guard(allowed("127.0.0.1")).fetch(f"http://127.0.0.1:{port}/", most_seconds=0.5)
        finally:
            over.set()
            thread.join()


def test_an_address_of_ipv6_is_pinned_as_well() -> None:
    try:
        site = Site("::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    try:
        guard = Guard(allowed("::1"), Names(["::1"]))
        assert guard.fetch(f"http://six.example:{site.port}/").status == 200
        assert guard.fetch(f"http://[::1]:{site.port}/").status == 200
        assert [host for _, host in site.asked] == [
            f"six.example:{site.port}",
            f"[::1]:{site.port}",
        ]
    finally:
        site.close()


def test_nobody_there_is_said_without_the_cause() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(GuardError, match=r"127\.0\.0\.1 cannot be asked \(ConnectError\)"):
        Guard(allowed("127.0.0.1")).fetch(f"http://127.0.0.1:{port}/")
