"""``rag-bench callbacks``: a secret, what was told, and once more."""

from __future__ import annotations

import json
from typing import Any

from command_line import RagBench
from pydantic import SecretStr
from sqlalchemy import Engine
from webhook_receiver import a_finished_run

from rag_bench.access.guard import Guard, allowed
from rag_bench.access.webhooks import signer
from rag_bench.eval_runs.callbacks import Deliverer


def test_the_command(rag_bench: RagBench, engine: Engine) -> None:
    told = a_finished_run(engine, "http://127.0.0.1:9/x?y")
    sign = signer(SecretStr(rag_bench("callbacks", "secret").out.strip()), "X")
    assert sign is not None
    Deliverer(engine, sign, Guard(allowed("127.0.0.1"))).deliver_one()
    shown = rag_bench("callbacks", "list").out
    assert str(told) in shown
    assert "waiting" in shown
    found: list[dict[str, Any]] = [
        json.loads(line)
        for line in rag_bench("callbacks", "list", "--json", "--run", "r1").out.splitlines()
    ]
    assert [(one["id"], one["attempts"], one["url"]) for one in found] == [
        (told, 1, "http://127.0.0.1:9/x?…")
    ]
    assert "cannot be asked" in found[0]["log"][0]["error"]
    assert rag_bench("callbacks", "list", "--status", "ended", "--json").out == ""
    assert "due now" in rag_bench("callbacks", "replay", str(told)).out
    refused = rag_bench("callbacks", "replay", "cb_no")
    assert (refused.code, "no callback" in refused.err) == (1, True)
