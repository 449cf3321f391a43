"""A run of the graph against providers that repeat the key wherever they can: it is nowhere."""

from __future__ import annotations

import base64
import dataclasses
import json
import logging
import traceback
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from fake_provider import FakeProvider, completion
from small_world import ANSWERS, PRODUCTION, SCORES, World, failure
from starlette.responses import JSONResponse, Response

from rag_bench.partitions import ModelLists

KEY = "sk-planted-d41d8cd98f00b204e980"
#: A name that is a path, as local servers have them; it has to be a partition like any other.
MODELS = ModelLists(["echo//models/gen 7b", "dead/gen"], ["echo/judge"], ["echo/gate", "dead/gate"])

#: How the key may come back, and what of it may be nowhere: base64 without its ends, which depend
#: on what stands beside it.
SENT = [
    KEY,
    "".join(f"\\u{ord(letter):04x}" for letter in KEY),
    "".join(f"%{ord(letter):02X}" for letter in KEY),
    KEY.replace("-", "%2D"),
    *(base64.b64encode(b"\0" * cut + KEY.encode()).decode() for cut in range(3)),
    KEY.encode().hex(),
]
FORMS = {*SENT[:4], *(form[4:-4] for form in SENT[4:7]), SENT[7]}


def echoing(provider: FakeProvider) -> Any:
    """Errors, replies, headers and reasons with the authorization header in them, in turns."""

    async def behaviour(body: dict[str, Any], number: int) -> Response:
        told = provider.headers[-1]["authorization"]
        all_told = repr(provider.headers[-1])
        kind = number % 9
        if kind == 0:
            return JSONResponse({"error": {"message": f"bad key {told}"}}, 401)
        if kind == 1:
            return JSONResponse({"error": all_told}, 500, headers={"x-echo": told})
        if kind == 2:
            return Response(f"<html>{all_told}</html>", 200, media_type="text/html")
        if kind == 3:
            return JSONResponse(completion(f"Вы прислали {told}. [1]"), headers={"x-echo": told})
        if kind == 6:
            return JSONResponse({"error": {"message": f"bad keys {SENT}"}}, 400)
        if kind == 7:
            raw = f'{{"error": {{"message": "{json.dumps(SENT)[1:-1]}"}}}}'
            return Response(raw.replace('", "', "; ").encode("utf-16"), 403)
        if kind == 8:
            return JSONResponse(completion(f"Вы прислали {' '.join(SENT)}. [1]"))
        if kind == 4:
            refused = {"role": "assistant", "content": None, "refusal": f"no, {told}"}
            return JSONResponse(completion(None, message=refused))
        return JSONResponse({**completion('{"score": 4}'), "id": told, "system_fingerprint": KEY})

    return behaviour


def test_no_key_in_ledger_logs_event_log_or_run_storage(
    free_world: World,
    provider: FakeProvider,
    refusing_port: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PROVIDER_ECHO_API_KEY", KEY)
    monkeypatch.setenv("PROVIDER_ECHO_BASE_URL", provider.base_url)
    monkeypatch.setenv("PROVIDER_DEAD_API_KEY", KEY)
    monkeypatch.setenv("PROVIDER_DEAD_BASE_URL", f"http://127.0.0.1:{refusing_port}/v1")
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "1")
    provider.behaviour = echoing(provider)
    caplog.set_level(logging.DEBUG)
    storage = tmp_path / "dagster"
    storage.mkdir()
    shown: list[str] = []
    with dg.DagsterInstance.local_temp(str(storage)) as instance:
        world = dataclasses.replace(free_world, instance=instance)
        for stage in (ANSWERS, SCORES, PRODUCTION):
            result = world.run(stage, MODELS)
            assert not result.success
            shown.append(failure(result))
            shown += [str(event) for event in result.all_events]
            shown += [str(log) for log in instance.all_logs(result.run_id)]
            shown.append(repr(instance.get_run_by_id(result.run_id)))
    assert provider.count > 30
    assert all(told["authorization"] == f"Bearer {KEY}" for told in provider.headers)

    tables = free_world.rows("select tablename from pg_tables where schemaname = 'rag_bench'")
    for table in tables:
        name = table["tablename"]
        shown += [row["t"] for row in free_world.rows(f"select t::text from rag_bench.{name} t")]
    assert any("[secret]" in text for text in shown)  # it had been there
    shown += [record.getMessage() for record in caplog.records]
    shown += [
        "".join(traceback.format_exception(*record.exc_info))
        for record in caplog.records
        if record.exc_info
    ]
    shown += capfd.readouterr()
    assert [t[:300] for t in shown if any(form.lower() in t.lower() for form in FORMS)] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    held = {path: path.read_bytes().lower() for path in files}
    forms = [form.lower().encode() for form in FORMS]
    assert [path for path, content in held.items() if any(f in content for f in forms)] == []
