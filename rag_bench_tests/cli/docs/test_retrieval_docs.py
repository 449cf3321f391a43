"""``docs/retrieval.md``: its files are read, its keys are those there are, its commands are run."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from command_line import RagBench
from pydantic import BaseModel
from sqlalchemy import Engine, text
from world_data import plain_dump, write_data

from rag_bench.retrievers import RERANKER_KINDS, Retriever, retrievers
from rag_bench.settings import PROJECT_ROOT, Settings

PAGE = (PROJECT_ROOT / "docs" / "retrieval.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def rows() -> list[list[str]]:
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in PAGE.splitlines()
        if line.startswith("| ")
    ]


def written(model: type[BaseModel], key: str) -> str:
    """A key's default as the page writes it: in TOML, or that there is none."""
    field = model.model_fields[key]
    if field.is_required():
        return "it must be there"
    default = field.get_default()
    if default is None:
        return "unset"
    if isinstance(default, BaseModel):
        values = default.model_dump().items()
        return "{" + ", ".join(f"{name} = {_toml(value)}" for name, value in values) + "}"
    return _toml(default)


def _toml(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value)


def test_every_key_stands_there_with_its_default() -> None:
    found = {row[0]: row[1] for row in rows() if len(row) == 3}
    for key in Retriever.model_fields:
        if key not in ("name", "reranks"):
            assert found.get(key) == written(Retriever, key), key


def test_every_key_of_a_reranker_stands_there_with_its_default() -> None:
    found: dict[str, dict[str, str]] = {}
    kind = ""
    for row in rows():
        kind = row[0] or kind
        if len(row) == 4 and kind in RERANKER_KINDS:
            found.setdefault(kind, {})[row[1]] = row[2]
    assert found.keys() == RERANKER_KINDS.keys()
    for kind, model in RERANKER_KINDS.items():
        for key in model.model_fields:
            if key != "kind":
                assert found[kind].get(key) == written(model, key), (kind, key)


def test_the_retrievers_that_come_with_it_are_listed() -> None:
    table = PAGE.partition("| name | what it does |")[2].partition("\n\n")[0]
    names = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert ["default", *names] == list(retrievers(Settings()))


@pytest.mark.parametrize("block", blocks("toml"))
def test_its_files_can_be_read(block: str, tmp_path: Path) -> None:
    path = tmp_path / "retrievers.toml"
    path.write_text(block, encoding="utf-8")
    assert list(retrievers(Settings(retrievers=path))) == [
        "default",
        *tomllib.loads(block)["retrievers"],
    ]


def test_its_commands_are_run(
    rag_bench: RagBench,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick_encoder: None,
) -> None:
    # Not a home of the test's own: converting the encoder's weights takes long.
    monkeypatch.setenv("RAG_BENCH_HOME", str(PROJECT_ROOT / ".rag_bench"))
    write_data(tmp_path / "data")
    dump = tmp_path / "work/help.sql"
    dump.write_text(plain_dump(), encoding="utf-8")
    assert rag_bench("load-dump", dump).code == 0
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    # No model has written questions here; the name of a dataset is the reader's.
    words = [shlex.split(line.replace("synthetic", "gold")) for line in lines]
    commands = [line[1:] for line in words if line[0] == "rag-bench"]
    choosing = commands[:3]
    assert [line[0] for line in choosing] == ["sweep", "sweep", "leaderboard"]
    for arguments in choosing:
        ended = rag_bench(*arguments)
        assert ended.code == 0, f"{arguments}\n{ended.err[-1500:]}"
    assert "retriever hybrid" in ended.out + ended.err
    with engine.connect() as connection:
        measured = connection.execute(
            text(
                "select settings ->> 'retriever_name', kind, tier from rag_bench.evaluation "
                "where tier in ('1', '3')"
            )
        )
        found = {tuple(row) for row in measured}
    assert found == {
        ("bm25", "metrics", "1"),
        ("hybrid", "metrics", "1"),
        ("hybrid", "answers", "3"),
        ("hybrid", "scores", "3"),
    }
    for arguments in commands[3:]:
        ended = rag_bench(*arguments)
        assert ended.code == 0, f"{arguments}\n{ended.err[-1500:]}"
    unknown = rag_bench("sweep", "--tier", "1", "--retriever", "нет")
    assert unknown.code != 0
    assert "There are: default, bm25, hybrid, hybrid_late, dense_hnsw" in unknown.out + unknown.err
