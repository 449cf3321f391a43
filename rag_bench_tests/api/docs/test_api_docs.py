"""Every command of ``docs/api.md`` is run, in its order, against the served API."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from api_access import a_key, bearer
from api_served import Served, serving
from fastapi.testclient import TestClient
from measured import store_sweep
from pydantic import TypeAdapter
from sqlalchemy import Engine

from rag_bench.access.scopes import ABOUT, ROLES
from rag_bench.api import problems
from rag_bench.api.app import build
from rag_bench.api.eval_runs import models
from rag_bench.eval_runs.reply import CASE_FIELDS
from rag_bench.settings import PROJECT_ROOT, Settings
from rag_bench.store.access.audit import actions
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, save_snapshot

DOCS = PROJECT_ROOT / "docs"
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")
IN_RUSSIAN = (DOCS / "api.ru.md").read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    return found


BLOCKS = [block for block in blocks(PAGE) if block[0] != "json"]


def run(kind: str, block: str, served: Served, folder: Path) -> str:
    """Run one block as a reader does, with the port of the test's own server."""
    if kind == "bash":
        # The shell ends at the first command that fails; curl fails where it is refused.
        quiet = block.replace("curl ", "curl -sS --fail-with-body -w '\\n' ")
        block = f"set -euo pipefail\n{quiet}"
    block = block.replace("http://127.0.0.1:8000", served.url)
    program = ["bash", "-c"] if kind == "bash" else [sys.executable, "-c"]
    done = subprocess.run(
        [*program, block],
        cwd=folder,
        env=dict(served.environment),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, (block, done.stdout, done.stderr)
    return done.stdout


def test_every_block_of_the_page_works(
    engine: Engine, database_url: str, dagster_storage: str, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    store_sweep(engine, settings="9f2c4e7a1b3d")
    own = tmp_path / "bin"
    own.mkdir()
    (own / "rag-bench").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -c "from rag_bench.cli import main; main()" "$@"\n'
    )
    (own / "rag-bench").chmod(0o755)
    path = f"{own}{os.pathsep}{os.environ['PATH']}"
    with serving(database_url, dagster_storage, tmp_path, PATH=path) as served:
        said = [run(kind, block, served, tmp_path) for kind, block in BLOCKS]
    assert len(said) == 10
    asked = [json.loads(line) for line in said[1].splitlines()]
    assert asked[0]["status"] == "ok"
    assert asked[1]["datasets"][0]["n_items"] == 20
    assert len(asked[2]["model_runs"]) == 8
    assert asked[3]["rows"][0]["rank"] == 1
    assert said[2].strip() == asked[3]["rows"][0]["generation_model"]
    old, new = ((tmp_path / name).read_text().strip() for name in ("ci.key", "ci-new.key"))
    assert old != new
    assert old.split("_")[1] in said[3]
    first = json.loads(said[4])
    assert (first["mode"], first["status"], first["counts"]["scored"]) == ("sync", "succeeded", 1)
    told = said[5].splitlines()
    assert [told[0], *told[-3:-2]] == ["queued", "finished"]
    assert "chrf" in told[-1]
    read = [json.loads(line) for line in said[6].splitlines() if line]
    assert read[0]["labels"] == {"branch": "main"}
    assert read[1]["cases"][0]["llm_answer"].startswith("Политика")
    assert json.loads((tmp_path / "cases.ndjson").read_text(encoding="utf-8"))["case_id"] == 1
    assert "rougeL_f" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "GET /health" in said[7]
    assert json.loads(said[8].splitlines()[0])["status"] == "ok"
    assert "4bf92f3577b34da6a3ce929d0e0e4736" in said[8]
    assert json.loads(said[9].splitlines()[1])["database"] == "ok"
    done = [(one.action, one.address) for one in actions(engine) if "keys" in one.action]
    assert done == [
        (f"rag-bench keys {name}", "command line")
        for name in ("revoke", "rotate", "create", "create")
    ]


def test_every_json_of_the_page_is_what_is_sent_and_answered(
    engine: Engine, tmp_path: Path
) -> None:
    of_error, of_case, of_aliases = (
        json.loads(block) for kind, block in blocks(PAGE) if kind == "json"
    )
    named = of_aliases["aliases"]
    chunks = [
        ChunkRecord("a" * 64, 0, int(named[0]["chunk"]), "kb/1", "Доступ."),
        ChunkRecord(named[1]["chunk"], 1, 2, "kb/2", "Контроль."),
    ]
    save_snapshot(engine, NewSnapshot("5" * 64, "kb.sql", "dump", 1, chunks, []))
    headers = bearer(a_key(engine, ("read", "run", "label")))
    settings = Settings(eval_results=tmp_path)
    with TestClient(build(engine, settings, executes=True), headers=headers) as client:
        wrong = client.get("/model_runs", params={of_error["errors"][0]["parameter"]: "x" * 201})
        assert wrong.status_code == of_error["status"]
        assert {**wrong.json(), "trace_id": of_error["trace_id"]} == of_error

        added = client.post("/eval/chunk-aliases", json=of_aliases)
        assert (added.status_code, added.json()["added"]) == (200, len(named))

        sent = {
            "question": "Что входит в политику безопасности?",
            "ground_truth_answer": "Политика включает доступ, логирование и контроль.",
            "ground_truth_chunks": ["chunk_001", "chunk_007"],
            "answer": "Политика включает доступ [1].",
            "contexts": [{"id": "chunk_001", "text": "Доступ."}],
        }
        body = {"cases": [sent], "eval_type": "retrieval", "metrics": ["ROUGE"]}
        reply = client.post("/eval/run", json=body)
        assert reply.status_code == 200, reply.text
        [case] = reply.json()["cases"]
    # The shown case has other numbers; its fields are these, of these kinds, in this order.
    assert list(case) == list(of_case) == list(CASE_FIELDS)
    assert case["case_id"] == of_case["case_id"]
    assert case["citations_used"] == ["chunk_001"]
    assert case["flags"] == of_case["flags"] == ["missing_chunk"]
    assert case["lang"] == of_case["lang"]
    assert type(case["metrics"]["rougeL_f"]) is type(of_case["metrics"]["rougeL_f"])
    known = TypeAdapter(models.Case)
    for one in (case, of_case):
        known.validate_python(one)


def test_the_russian_page_says_the_same() -> None:
    assert blocks(IN_RUSSIAN) == blocks(PAGE)
    words = r"`[^`\n]+`|^#+|\]\([^)#]+\)"

    def said(page: str) -> dict[str, int]:
        text = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
        for other in ("webhooks", "labels"):
            text = text.replace(f"{other}.ru.md", f"{other}.md")
        return Counter(re.findall(words, text, re.MULTILINE))

    other = {"](api.md)": 1, "](api.ru.md)": -1, "`rb_<id>_<секрет и контрольная сумма>`": 1}
    other["`rb_<id>_<secret and checksum>`"] = -1
    differ = {
        word: n
        for word in {*said(PAGE), *said(IN_RUSSIAN)}
        if (n := said(IN_RUSSIAN)[word] - said(PAGE)[word])
    }
    assert differ == other


def test_the_page_names_every_code_scope_role_and_setting() -> None:
    for code, about in problems.ABOUT.items():
        assert re.search(rf"\| {about.status} \| [^|]*`{code}`", PAGE), code
    for scope, about in ABOUT.items():
        assert f"| `{scope}` | {about} |" in PAGE
    for role, scopes in ROLES.items():
        assert f"| `{role}` | {', '.join(f'`{one}`' for one in scopes)} |" in PAGE
    named = [name for name in Settings.model_fields if name.startswith(("api_", "jwt_"))]
    for name in (*named, "outgoing_allowed", "log_format"):
        assert f"RAG_BENCH_{name.upper()}" in PAGE, name
    for name, default in re.findall(r"\| `RAG_BENCH_(API_\w+)` \| (\d+) \|", PAGE):
        assert Settings.model_fields[name.lower()].default == int(default)
