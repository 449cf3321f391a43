"""The request that the README begins with is run as it is written, offline, on a small world."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from local_provider import served
from small_world import World

from rag_bench.api.app import build
from rag_bench.cli.serve import say_how_to_ask
from rag_bench.settings import PROJECT_ROOT, Settings

#: What a case's reply must have, in the order of the first document of this service.
FIELDS = (
    *("case_id", "faithfulness", "answer_relevancy", "context_precision", "context_recall"),
    *("llm_answer", "citations_used", "flags", "errors"),
)


def block(page: str) -> str:
    found: list[str] = re.findall(r"```bash\n(curl [^`]*/eval/run)\n```", page)
    assert len(found) == 1
    return found[0]


def test_the_readmes_request_is_answered_with_the_agreed_fields(
    free_world: World, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    pytest.importorskip("ragas")
    written = block((PROJECT_ROOT / "README.md").read_text(encoding="utf-8"))
    assert written == block((PROJECT_ROOT / "README.ru.md").read_text(encoding="utf-8"))
    home = tmp_path / "home"
    settings = Settings(eval_wait_seconds=600, eval_results=tmp_path / "results")
    with served(build(free_world.engine, settings, executes=True), lifespan="on") as url:
        say_how_to_ask(free_world.engine, home, "127.0.0.1", 8000)
        command = written.replace("http://127.0.0.1:8000", url)
        command = command.replace(".rag_bench/", f"{home}/")
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, timeout=600, check=True
        )
    found = json.loads(done.stdout)
    assert found["status"] in ("succeeded", "partial"), found
    (case,) = found["cases"]
    assert tuple(case)[: len(FIELDS)] == FIELDS
    assert set(case) - set(FIELDS) == {"metrics", "lang", "details"}
    assert case["case_id"] == 1
    assert case["llm_answer"]
    measured = [case[name] for name in FIELDS[1:5]]
    assert any(isinstance(one, float) for one in measured), found
    assert all(one is None or 0 <= one <= 1 for one in measured)
    assert "unknown_chunk" in case["flags"], "the demo has no chunk_001"
    assert found["notes"]
    assert found["mode"] == "sync"
