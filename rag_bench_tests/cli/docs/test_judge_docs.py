"""The pages on judges and datasets: their commands run, in English and Russian alike."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from command_line import RagBench
from sqlalchemy import Engine
from world_data import plain_dump, write_data

from rag_bench.settings import PROJECT_ROOT
from rag_bench.store import datasets, snapshots

PAGES = ("judges.md", "judges.ru.md", "datasets.ru.md")
RUNNABLE = ("judge-canary", "dataset")


def commands(page: str, language: str = "bash") -> list[list[str]]:
    text = (PROJECT_ROOT / "docs" / page).read_text(encoding="utf-8")
    lines = [
        line
        for block in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
    ]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("rag-bench ")]


@pytest.fixture
def loaded(rag_bench: RagBench, tmp_path: Path, engine: Engine) -> RagBench:
    write_data(tmp_path / "data")
    dump = tmp_path / "world.sql"
    dump.write_text(plain_dump(), encoding="utf-8")
    assert rag_bench("load-dump", dump).code == 0
    snapshot = snapshots.require_current(engine)
    [first, second, *_] = snapshots.chunks_of(engine, snapshot.sha256)
    items = [
        datasets.Item("1", "Где это?", "Там.", (first.chunk_hash,), (first.page_url,)),
        datasets.Item("2", "Когда это?", "Тогда.", ("0" * 64,), (second.page_url,)),
    ]
    made = datasets.save_dataset(engine, "gold", "manual", items)
    snapshots.set_default_dataset(engine, snapshot.sha256, made.id)
    return rag_bench


def test_commands_of_the_pages_run(loaded: RagBench) -> None:
    run = {tuple(one) for page in PAGES for one in commands(page)}
    assert {one[1] for one in run} == set(RUNNABLE)
    for one in sorted(run):
        ended = loaded(*one[1:])
        assert ended.code == 0, (one, ended)


def test_both_languages_show_the_same_commands() -> None:
    assert commands("judges.md") == commands("judges.ru.md")
    assert commands("judges.md", "") == commands("judges.ru.md", "")
    english = {tuple(one) for one in commands("datasets.md", "")}
    assert {tuple(one) for one in commands("datasets.ru.md", "")} <= english


def test_what_the_commands_say(loaded: RagBench, engine: Engine, tmp_path: Path) -> None:
    said = loaded("judge-canary", "--dry-run")
    assert "nothing to ask again yet" in said.out
    waiting = loaded("dataset", "stale", "list").out
    assert "1 of 1 shown" in waiting
    assert "was in no dump" in waiting
    found = json.loads(loaded("dataset", "health", "--json").out)
    assert found["stale"]["waiting"] == 1
    refused = loaded("dataset", "stale", "confirm", "2")
    assert "nothing to confirm by" in refused.one_line()
    assert loaded("dataset", "stale", "retire", "2", "--why", "gone").code == 0
    assert "1 retired" in loaded("dataset", "stale", "apply", "--default").out
    assert loaded("dataset", "stale", "list").out.endswith("0 of 0 shown\n")
    newest, before = datasets.list_datasets(engine)[:2]
    told = json.loads(loaded("dataset", "diff", before.id, newest.id, "--json").out)
    assert [one["id"] for one in told["removed"]] == ["2"]
    same = loaded("judge-bridge", "simulator/sim-judge-sharp", "simulator/sim-judge-sharp")
    assert "name two judges" in same.one_line()
    nothing = loaded("export-verdicts", tmp_path / "out.jsonl")
    assert "rag-bench sweep" in nothing.one_line()
    lost = loaded("import-results", tmp_path / "lost.json")
    assert "cannot be read" in lost.one_line()
    assert "There is no evaluation 5" in loaded("dataset", "carried", "5").one_line()
