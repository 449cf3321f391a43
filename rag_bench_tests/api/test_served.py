"""The API as a process: its log, the addresses that it believes, Dagster's daemon, failures."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_access import a_key, bearer
from api_served import Served, serving
from measured import store_sweep
from sqlalchemy import Engine, text

from rag_bench.cli.serve import say_how_to_ask
from rag_bench.store.access.audit import actions

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def lines(served: Served) -> list[dict[str, Any]]:
    """The log, of which every line after the first must be an object."""
    said = served.log.read_text(encoding="utf-8").splitlines()
    assert said[0].endswith("/docs")
    return [json.loads(line) for line in said[1:]]


def test_the_log_as_json_lines_has_who_asked_and_the_trace(
    engine: Engine, database_url: str, dagster_storage: str, tmp_path: Path
) -> None:
    key = a_key(engine, user="anna\n{}")
    with serving(database_url, dagster_storage, tmp_path, RAG_BENCH_LOG_FORMAT="json") as served:
        with httpx.Client(base_url=served.url, headers=bearer(key), timeout=60) as client:
            trace = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
            reply = client.get("/datasets", headers={**trace, "X-Forwarded-For": "203.0.113.9"})
            assert reply.status_code == 200
            assert "server" not in reply.headers
            ready = client.get("/readyz").json()
            assert (ready["status"], ready["dagster_daemon"]) == ("degraded", "missing")
            # A failure inside is told by its trace alone; the log has the cause.
            with engine.begin() as connection:
                connection.execute(text("alter table rag_bench.dataset rename to gone"))
            failed = client.get("/datasets")
        found = [one for one in lines(served) if "action" in one]
        assert found[0]["action"] == "GET /datasets"
        assert (found[0]["user_id"], found[0]["trace_id"]) == ("anna\n{}", TRACE)
        assert (found[0]["status"], found[0]["outcome"]) == (200, "ok")
        assert found[0]["address"] == "127.0.0.1", "nobody's X-Forwarded-For is believed"
        assert found[0]["ms"] > 0
        assert (failed.status_code, failed.json()["code"]) == (500, "INTERNAL_ERROR")
        assert "dataset" not in failed.text
        causes = [one for one in lines(served) if "exception" in one]
        assert [one["trace_id"] for one in causes] == [failed.json()["trace_id"]]
        assert "UndefinedTable" in causes[0]["exception"]
        assert key not in served.log.read_text(encoding="utf-8")
    assert [one.outcome for one in actions(engine)] == ["failed", "ok"]
    assert {one.address for one in actions(engine)} == {"127.0.0.1"}


def test_a_proxy_that_is_named_is_believed(
    engine: Engine, database_url: str, dagster_storage: str, tmp_path: Path
) -> None:
    key = a_key(engine)
    with serving(
        database_url, dagster_storage, tmp_path, RAG_BENCH_API_PROXIES="127.0.0.1"
    ) as served:
        headers = {**bearer(key), "X-Forwarded-For": "203.0.113.9"}
        assert httpx.get(f"{served.url}/datasets", headers=headers).status_code == 200
        # What no client library sends: bytes over the socket.
        for raw, status in (
            (b"GET /datasets HTTP/1.1\r\nHost: a\r\n\r\n", b"401"),
            (b"POST /datasets HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", b"400"),
            (b"\x00\x01\r\n\r\n", b"400"),
        ):
            assert status in _reply(served.url, raw).split(b"\r\n")[0]
    assert [one.address for one in actions(engine)][-1] == "203.0.113.9"


def test_a_connection_outlives_head(
    engine: Engine, database_url: str, dagster_storage: str, tmp_path: Path
) -> None:
    """The reply to HEAD has the length of GET's and no body; nothing waits for one."""
    key = a_key(engine)
    with serving(database_url, dagster_storage, tmp_path) as served:
        port = int(served.url.rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        opened = connection.sock
        for path in ("/datasets", "/eval/run", "/nothing", "/metrics"):
            found = {}
            for method in ("HEAD", "GET"):
                connection.request(method, path, headers=bearer(key))
                reply = connection.getresponse()
                found[method] = (reply.status, reply.getheader("Content-Type"))
                assert bool(reply.read()) is (method == "GET")
                assert connection.sock is opened, f"{method} {path} closed the connection"
            assert found["HEAD"] == found["GET"]
        connection.close()
        assert "Traceback" not in served.log.read_text(encoding="utf-8")


def _reply(url: str, raw: bytes) -> bytes:
    import socket

    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(raw)
        return connection.recv(65536)


def test_what_dev_prints_works_as_it_is(
    engine: Engine,
    database_url: str,
    dagster_storage: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    store_sweep(engine)
    with serving(database_url, dagster_storage, tmp_path) as served:
        port = int(served.url.rpartition(":")[2])
        say_how_to_ask(engine, tmp_path / "a home", "127.0.0.1", port)
        said = capsys.readouterr().out.splitlines()
        assert f"{served.url}/docs" in said[0]
        done = subprocess.run(["bash", "-c", said[1]], capture_output=True, text=True)
    assert len(json.loads(done.stdout)["rows"]) == 8


def test_settings_that_would_be_unsafe_end_the_start(
    database_url: str, dagster_storage: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(AssertionError, match="RAG_BENCH_JWT_ISSUER"),
        serving(database_url, dagster_storage, tmp_path, RAG_BENCH_JWT_JWKS="keys.json"),
    ):
        pass
