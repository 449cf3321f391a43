"""Callbacks as the API and the command show them, and the service that delivers them."""

from __future__ import annotations

import pytest
from api_access import a_key, bearer, open_client
from pydantic import SecretStr, TypeAdapter
from sqlalchemy import Engine, text
from standardwebhooks import Webhook
from starlette.responses import Response
from webhook_receiver import a_finished_run, receiving

from rag_bench.api.app import build
from rag_bench.api.callbacks import Callbacks
from rag_bench.errors import ConfigurationError
from rag_bench.settings import Settings

SECRET = "whsec_" + "A" * 32


def test_the_service_delivers_tells_and_replays(engine: Engine) -> None:
    settings = Settings(webhook_secret=SecretStr(SECRET), outgoing_allowed="127.0.0.1")
    with receiving() as receiver:
        receiver.answers["/gone"] = lambda: Response(status_code=410)
        told = [
            a_finished_run(engine, f"{receiver.url}/{name}?token=s3cret", name)
            for name in ("gone", "took", "more")
        ]
        with open_client(engine, settings, executes=True) as client:
            client.headers.update(bearer(a_key(engine, ["read", "run"])))
            receiver.wait_for(3)
            # Stopping waits for what is on its way, so all three are recorded behind the block.
        with open_client(engine, settings, executes=True) as client:
            client.headers.update(bearer(a_key(engine, ["read", "run"])))
            [gone] = client.get("/eval/callbacks?status=ended").json()["callbacks"]
            assert (gone["id"], gone["run_id"], gone["due_at"]) == (told[0], "gone", None)
            assert gone["url"] == f"{receiver.url}/gone?…"
            assert [(one["number"], one["http_status"]) for one in gone["log"]] == [(1, 410)]
            first = client.get("/eval/callbacks?limit=2").json()
            TypeAdapter(Callbacks).validate_python(first)
            rest = client.get(f"/eval/callbacks?limit=2&cursor={first['next_cursor']}").json()
            seen = [one["id"] for one in first["callbacks"] + rest["callbacks"]]
            assert (seen, rest["next_cursor"]) == (told[::-1], None)
            assert client.get("/eval/callbacks?run_id=no").json()["callbacks"] == []
            other = client.get(f"/eval/callbacks?status=failed&cursor={first['next_cursor']}")
            assert other.json()["code"] == "INVALID_INPUT"
            receiver.answers.clear()
            again = client.post(f"/eval/callbacks/{told[0]}/replay")
            assert (again.status_code, again.json()) == (202, {"id": told[0], "status": "waiting"})
            receiver.wait_for(4)
            missing = client.post("/eval/callbacks/cb_0/replay")
            assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")
        came = receiver.came[-1]
        assert Webhook(SECRET).verify(came.body, dict(came.headers))["data"]["run_id"] == "gone"
        assert came.headers["webhook-id"] == told[0]
    with engine.connect() as connection:
        rows = connection.execute(
            text("select user_id, outcome from rag_bench.audit where action like '%replay'")
        ).all()
    assert sorted(rows) == [("anna", "ok"), ("anna", "refused")]


def test_without_a_secret_nothing_is_sent_and_a_bad_one_is_said(engine: Engine) -> None:
    with open_client(engine, Settings(), executes=True):
        pass
    for name in ("webhook_secret", "hook_secret"):
        with pytest.raises(ConfigurationError, match=f"RAG_BENCH_{name.upper()}"):
            build(engine, Settings(**{name: SecretStr("x")}), executes=True)
