"""`rag-bench target`, and every command of docs/targets.md, against the example assistant."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator

import pytest
from command_line import RagBench
from dotenv import dotenv_values
from local_provider import LocalAssistant, serving
from sqlalchemy import Engine, text
from world_data import GOLD, plain_dump, write_data

from rag_bench.settings import PROJECT_ROOT
from rag_bench.store import snapshots

PAGE = (PROJECT_ROOT / "docs" / "targets.md").read_text(encoding="utf-8")
TOKEN = "tok-planted-0123456789"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def assistant(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAssistant]:
    """The example at the address of the docs' first block, over whatever dump is loaded."""

    def chunks() -> object:
        return snapshots.chunks_of(engine, snapshots.require_current(engine).sha256)

    with serving(chunks) as assistant:
        for block in blocks("ini"):
            for name, value in dotenv_values(stream=io.StringIO(block)).items():
                here = str(value).replace("http://127.0.0.1:8090/ask", assistant.url)
                monkeypatch.setenv(name, here)
        yield assistant


@pytest.fixture
def loaded(rag_bench: RagBench, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> RagBench:
    """The command line, with a dump and gold questions."""
    from pathlib import Path

    root = Path(str(tmp_path))
    monkeypatch.setenv("RAG_BENCH_HOME", str(PROJECT_ROOT / ".rag_bench"))
    write_data(root / "data")
    dump = root / "world.sql"
    dump.write_text(plain_dump(), encoding="utf-8")
    ended = rag_bench("load-dump", dump)
    assert ended.code == 0, ended.err
    return rag_bench


def test_every_command_of_the_page(
    loaded: RagBench, assistant: LocalAssistant, engine: Engine, quick_encoder: None
) -> None:
    lines = "\n".join(blocks("bash")).replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines if line.strip()]
    assert [words[1] for words in commands] == [
        "target",
        "target",
        "target",
        "sweep",
        "leaderboard",
    ]
    said = []
    for words in commands:
        ended = loaded(*words[1:])
        assert ended.code == 0, f"{words}\n{ended.err[-1500:]}"
        said.append(ended.out)
    listed, check, asked, _, board = said
    assert "target/desk" in listed
    assert "target/flow" in listed
    assert "/sources/*/id" in listed
    assert "status: 200, JSON" in check
    assert "by its id: " in check
    assert "Как получить справку об обучении?" in asked
    assert "correct" not in check + asked
    assert "target/desk is a live assistant, and its retrieval is its own" in " ".join(
        board.split()
    )
    # Two checks, and each question once.
    assert assistant.count == 2 + len(GOLD)
    with engine.connect() as connection:
        query = text(
            "select role, count(*) from rag_bench.llm_call where provider = 'target' group by 1"
        )
        assert dict(map(tuple, connection.execute(query))) == {  # type: ignore[arg-type]
            "generation": len(GOLD),
            "target_check": 2,
        }


def test_a_check_shows_what_was_not_found_and_what_to_correct(
    loaded: RagBench, assistant: LocalAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_DESK_CONTEXTS", "/documents/*/text")
    monkeypatch.setenv("TARGET_DESK_IDS", "/sources/*/text")
    ended = loaded("target", "check", "target/desk", "--question", GOLD[0][0])
    assert ended.code == 0
    assert "correct TARGET_DESK_CONTEXTS: nothing at /documents/*/text; the reply has" in ended.out
    assert "/sources/*/id (text)" in ended.out
    assert "not found" in ended.out
    monkeypatch.setenv("TARGET_DESK_ANSWER", "/reply")
    ended = loaded("target", "check", "desk", "--question", GOLD[0][0])
    assert "correct TARGET_DESK_ANSWER: no text at /reply" in ended.out
    assert "correct TARGET_DESK_ANSWER" in ended.one_line()


def test_a_stream_is_understood(loaded: RagBench, assistant: LocalAssistant) -> None:
    ended = loaded("target", "check", "FLOW", "--question", GOLD[0][0])
    assert ended.code == 0, ended.err
    assert re.search(r"status: 200, \d+ events, ", ended.out)
    assert "by its id: " in ended.out


def test_a_check_that_fails_says_why_and_what_to_do(
    rag_bench: RagBench, assistant: LocalAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
    assistant.faults["?"] = "404"
    said = rag_bench("target", "check", "desk", "--question", "?").one_line()
    assert "target/desk gave no answer: LLM_FAILED, http 404: fault 404" in said
    assert "TARGET_DESK_URL" in said
    monkeypatch.setenv("DESK_TOKEN", TOKEN)
    monkeypatch.setenv("TARGET_DESK_HEADERS", "Authorization=Bearer $DESK_TOKEN")
    assistant.faults["?"] = "echo"
    ended = rag_bench("target", "check", "desk", "--question", "?")
    assert "[secret]" in ended.err
    assert TOKEN not in ended.err + ended.out
    said = rag_bench("target", "check", "other").one_line()
    assert "Set TARGET_OTHER_URL, for example" in said


def test_without_any_target_the_list_says_how_to_name_one(rag_bench: RagBench) -> None:
    ended = rag_bench("target", "list")
    assert ended.code == 0
    assert "TARGET_DESK_URL=https://" in ended.out
