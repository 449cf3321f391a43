"""``docs/webhooks.md``: what it says is so, and its programs work against the real service."""

from __future__ import annotations

import re
from typing import Any

import pytest
from api_access import open_client
from local_provider import served
from pydantic import SecretStr
from sqlalchemy import Engine
from starlette.responses import Response
from test_api_docs import blocks
from webhook_receiver import a_finished_run, receiving

from rag_bench.api import hooks
from rag_bench.api.app import build
from rag_bench.eval_runs import callbacks
from rag_bench.settings import PROJECT_ROOT, Settings
from rag_bench.store.eval_runs.callback_payload import MOST_BYTES

DOCS = PROJECT_ROOT / "docs"
PAGE = (DOCS / "webhooks.md").read_text(encoding="utf-8")
IN_RUSSIAN = (DOCS / "webhooks.ru.md").read_text(encoding="utf-8")
SECRET = "whsec_" + "A" * 32
UNITS = {"second": 1, "minute": 60, "hour": 3600}


def test_the_schedule_and_the_limits_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (\d+) (\w+?)s? \|$", PAGE, re.MULTILINE)
    assert [int(one) for one, _, _ in rows] == list(range(1, len(callbacks.SCHEDULE) + 1))
    waits = tuple(int(count) * UNITS[unit] for _, count, unit in rows)
    assert waits == callbacks.SCHEDULE
    assert f"within {callbacks.TIME_LIMIT:.0f} seconds" in PAGE
    assert callbacks.JITTER == 1 / 5
    assert f"less than {MOST_BYTES:,} bytes" in PAGE
    assert hooks.MOST_BYTES == 64 << 10


def test_the_russian_page_says_the_same() -> None:
    assert blocks(IN_RUSSIAN) == blocks(PAGE)

    def said(page: str) -> list[str]:
        return sorted(re.findall(r"`[^`\n]+`|^#+|^\| \d+ \|", page, re.MULTILINE))

    assert said(IN_RUSSIAN) == said(PAGE)


def test_its_programs_receive_a_callback_and_send_a_hook(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    receives, sends = (block for kind, block in blocks(PAGE) if kind == "python")
    monkeypatch.setenv("EVAL_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    program: dict[str, Any] = {}
    exec(receives, program)
    receive = program["receive"]
    settings = Settings(
        webhook_secret=SecretStr(SECRET),
        hook_secret=SecretStr(SECRET),
        outgoing_allowed="127.0.0.1",
    )
    with receiving() as receiver:
        receiver.answers["/x"] = lambda: Response(status_code=204)
        a_finished_run(engine, f"{receiver.url}/x")
        with open_client(engine, settings, executes=True):
            receiver.wait_for(1)
    [came] = receiver.came
    assert receive(dict(came.headers), came.body) == 204
    assert receive(dict(came.headers), came.body) == 204
    assert receive(dict(came.headers), came.body + b" ") == 401
    assert capsys.readouterr().out == "r1 succeeded\n", "told once"
    with served(build(engine, settings)) as url:
        exec(sends.replace("http://127.0.0.1:8000", url), {})
    assert capsys.readouterr().out.startswith("202 {'id': 'msg_")
