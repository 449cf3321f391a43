"""Which way a call goes: past the proxy or through it, and to whose certificate."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_provider import FAST, KEY, FakeProvider, question
from sqlalchemy import Engine, text

from rag_bench.errors import CaseError, ConfigurationError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.network.network import is_excepted, proxy_for, road_to
from rag_bench.llm.transport.client import ChatModels


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


EXCEPTED = [
    ("https://192.0.2.7/v1", "192.0.2.0/24"),
    ("https://192.0.2.7/v1", "a.example, 192.0.2.0/24 ,b.example"),
    ("https://192.0.2.7:8443/v1", "192.0.2.7:8443"),
    ("https://192.0.2.7/v1", "192.0.2.7:443"),
    ("https://192.0.2.7/v1", "192.0.2.*"),
    ("http://[2001:db8::7]:8000/v1", "2001:db8::/32"),
    ("http://[2001:db8::7]:8000/v1", "[2001:db8::]/32"),
    ("http://[2001:db8::7]:8000/v1", "2001:db8:0::7"),
    ("http://[2001:db8::7]:8000/v1", "[2001:DB8::7]:8000"),
    ("http://[::ffff:192.0.2.7]/v1", "192.0.2.0/24"),
    ("https://api.example.com/v1", "example.com"),
    ("https://api.example.com/v1", ".example.com"),
    ("https://example.com/v1", ".example.com"),
    ("https://api.example.com/v1", "*.example.com"),
    ("https://API.Example.COM/v1", "api.EXAMPLE.com"),
    ("https://api.example.com./v1", "example.com"),
    ("https://api.example.com/v1", "example.com."),
    ("https://api.example.com:8443/v1", "example.com:8443"),
    ("http://api.example.com/v1", "example.com:80"),
    ("https://api.example.com/v1", "*"),
    ("https://api.example.com/v1", "x.example\tapi.example.com y.example"),
    ("https://модели.example/v1", "модели.example"),
    ("https://xn--d1acjlcm.example/v1", "модели.example"),
]
NOT_EXCEPTED = [
    ("https://192.0.3.7/v1", "192.0.2.0/24"),
    ("https://192.0.2.7:8443/v1", "192.0.2.7:443"),
    ("https://192.0.2.77/v1", "192.0.2.7"),
    ("https://192.0.2.7/v1", "2.7"),
    ("https://192.0.2.7/v1", "192.0.2.0/33"),
    ("http://[2001:db9::7]/v1", "2001:db8::/32"),
    ("http://[2001:db8::7]:8000/v1", "[2001:db8::7]:8001"),
    ("https://notexample.com/v1", "example.com"),
    ("https://example.com/v1", "api.example.com"),
    ("https://api.example.com/v1", "example.com:8443"),
    ("https://api.example.com/v1", ""),
    ("https://api.example.com/v1", ", ,."),
]


@pytest.mark.parametrize(("address", "no_proxy"), EXCEPTED)
def test_what_no_proxy_means(address: str, no_proxy: str) -> None:
    assert is_excepted(httpx.URL(address), no_proxy)


@pytest.mark.parametrize(("address", "no_proxy"), NOT_EXCEPTED)
def test_what_no_proxy_does_not_mean(address: str, no_proxy: str) -> None:
    assert not is_excepted(httpx.URL(address), no_proxy)


def test_which_variable_names_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "proxy.example:1080")
    assert proxy_for("https://api.example/v1") == "http://proxy.example:1080"
    monkeypatch.setenv("https_proxy", "http://me:se%40cret-word@secure.example:3128")
    road = road_to("https://api.example/v1")
    assert road is not None
    assert (str(road), road.variable) == ("http://secure.example:3128", "https_proxy")
    assert road.secrets() == ["se@cret-word"]
    assert "cret" not in repr(road)
    other = road_to("http://api.example/v1")
    assert other is not None
    assert other.variable == "ALL_PROXY"
    for local in ("http://localhost:1/v1", "http://127.0.0.2/v1", "http://[::1]/v1"):
        assert road_to(local) is None


@pytest.mark.parametrize("value", ["http://", "ftp://u:secret-word@h", "http://u:secret-word@h:x"])
def test_a_proxy_that_cannot_be_meant_is_named_without_its_password(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(ConfigurationError, match=r"^HTTPS_PROXY names no proxy") as failed:
        road_to("https://api.example/v1")
    assert "secret-word" not in str(failed.value)


class Recorder:
    """A proxy that keeps what it is told and hangs up."""

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.told.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    def stop(self) -> None:
        self._listener.close()


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.stop()


def ask(database_url: str, **variables: str) -> Any:
    named = {f"PROVIDER_X_{name}": value for name, value in variables.items()}
    providers = Providers({"PROVIDER_X_API_KEY": KEY, **named})
    limits = FAST.__class__(**{**FAST.__dict__, "connect_timeout": 0.3, "call_timeout": 3.0})

    async def run() -> Any:
        async with ChatModels(providers, database_url, limits=limits) as client:
            return await client.chat("x/m", Role.generation, question("?"))

    return asyncio.run(run())


@pytest.mark.parametrize(
    "no_proxy", ["192.0.2.0/24", "192.0.2.1:8001", "x.example,192.0.2.1", "192.0.0.0/16"]
)
def test_no_call_and_no_key_goes_to_a_proxy_that_is_excepted(
    no_proxy: str, recorder: Recorder, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{recorder.port}")
    with pytest.raises(CaseError):
        ask(database_url, BASE_URL="http://192.0.2.1:8001/v1")
    assert KEY.encode() in recorder.told[0]  # so it is where it is not excepted
    recorder.told.clear()
    monkeypatch.setenv("NO_PROXY", no_proxy)
    with pytest.raises(CaseError) as failed:
        ask(database_url, BASE_URL="http://192.0.2.1:8001/v1")
    assert recorder.told == []
    assert "proxy" not in failed.value.detail


def test_a_failed_connection_names_the_proxy_without_its_password(
    refusing_port: int,
    recorder: Recorder,
    database_url: str,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = []
    for port in (refusing_port, recorder.port):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hidden-word@127.0.0.1:{port}")
        with pytest.raises(CaseError) as failed:
            ask(database_url, BASE_URL="https://api.example/v1")
        told.append(failed.value.detail)
        assert f"through the proxy http://127.0.0.1:{port} of HTTPS_PROXY" in failed.value.detail
    assert "cannot connect" in told[0]
    assert "407" in told[1]
    with engine.connect() as connection:
        rows = connection.execute(text("select t::text from rag_bench.llm_call t")).scalars().all()
    assert len(rows) == 2
    assert not [words for words in (*rows, *told) if "hidden-word" in words]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA's certificate (ca.pem), and a server's of 127.0.0.1 and another host's."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command to make certificates with")
    folder = tmp_path_factory.mktemp("authority")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new_key = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
            "-subj", "/CN=A CA of our own", "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    for name, alternative in (("right", "IP:127.0.0.1"), ("other", "DNS:other.example")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
        openssl("req", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", "/CN=server")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
                "-CAcreateserial", "-out", f"{name}.pem", "-days", "3650",
                "-extfile", f"{name}.ext")  # fmt: skip
    return folder


@pytest.fixture
def own_server(authority: Path) -> Iterator[FakeProvider]:
    fake = FakeProvider((authority / "right.key", authority / "right.pem"))
    yield fake
    fake.stop()


@pytest.mark.parametrize("variable", ["PROVIDER_X_CA_FILE", "RAG_BENCH_CA_FILE", "SSL_CERT_FILE"])
def test_a_ca_of_ones_own_is_trusted_where_it_is_named(
    variable: str,
    own_server: FakeProvider,
    authority: Path,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = str(authority / "ca.pem")
    variables = {"BASE_URL": own_server.base_url}
    if variable == "PROVIDER_X_CA_FILE":
        variables["CA_FILE"] = file
    else:
        monkeypatch.setenv(variable, file)
    assert ask(database_url, **variables).text == "ответ 1"


def test_a_certificate_that_cannot_be_verified_is_tried_once_and_says_what_to_do(
    own_server: FakeProvider, database_url: str, engine: Engine
) -> None:
    with pytest.raises(CaseError) as failed:
        ask(database_url, BASE_URL=own_server.base_url)
    assert "the certificate of 127.0.0.1 cannot be verified" in failed.value.detail
    assert "PROVIDER_<NAME>_CA_FILE or RAG_BENCH_CA_FILE" in failed.value.detail
    assert failed.value.retryable  # by the next run, when the file is named
    assert own_server.count == 0
    with engine.connect() as connection:
        row = connection.execute(text("select retries, error_detail from rag_bench.llm_call")).one()
    assert row.retries == 0
    assert "RAG_BENCH_CA_FILE" in row.error_detail


def test_another_hosts_certificate_is_not_mended_by_a_file(
    authority: Path, database_url: str
) -> None:
    fake = FakeProvider((authority / "other.key", authority / "other.pem"))
    try:
        with pytest.raises(CaseError, match="another host's; use the name"):
            ask(database_url, BASE_URL=fake.base_url, CA_FILE=str(authority / "ca.pem"))
    finally:
        fake.stop()


def test_tls_to_a_server_without_it_is_tried_once(
    provider: FakeProvider, database_url: str, engine: Engine
) -> None:
    with pytest.raises(CaseError, match=r"does not speak TLS at this port.*http://"):
        ask(database_url, BASE_URL=provider.base_url.replace("http:", "https:"))
    with engine.connect() as connection:
        assert connection.execute(text("select retries from rag_bench.llm_call")).scalar_one() == 0


def test_a_file_without_certificates_is_named(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for path in (empty, tmp_path / "missing.pem"):
        with pytest.raises(ConfigurationError, match=r"^PROVIDER_X_CA_FILE names no readable"):
            ask(database_url, BASE_URL="https://127.0.0.1:1/v1", CA_FILE=str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigurationError, match=r"^SSL_CERT_FILE names no readable"):
        ask(database_url, BASE_URL="https://127.0.0.1:1/v1")
