"""``rag-bench retrievers``: the list, and a comparison from an empty database to the terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import RagBench
from sqlalchemy import Engine, text
from world_data import write_data

from rag_bench.cli.retrievers import _ranges
from rag_bench.settings import PROJECT_ROOT

MINE = """
[retrievers.words]
search = "bm25"
top_k = 5

[retrievers.both]
search = "hybrid"
fuse = ["dense_exact", "bm25"]
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "мои.toml"
    path.write_text(MINE, encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    return path


def test_the_list_says_what_each_is_and_where_it_is_from(
    rag_bench: RagBench, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = rag_bench("retrievers", "list")
    assert (done.code, done.err) == (0, "")
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")]
        for line in done.out.splitlines()
        if line.startswith("│")
    ]
    by_name = {row[0]: row[1:] for row in rows if row[0]}
    assert list(by_name) == ["default", "words", "both"]
    assert by_name["default"][0] == "dense_exact"
    assert by_name["default"][3:] == ["10", "the settings"]
    assert by_name["words"][:4] == ["bm25", "–", "–", "5"], "no encoder is read"
    assert by_name["both"][0] == "hybrid (dense_exact + bm25)"
    assert "мои.toml" in "".join(row[-1] for row in rows)
    told = json.loads(rag_bench("retrievers", "list", "--json").out)
    assert [one["name"] for one in told] == ["default", "words", "both"]
    monkeypatch.delenv("RAG_BENCH_RETRIEVERS")
    assert "hybrid_late" in rag_bench("retrievers", "list").out


def test_a_file_that_cannot_be_meant_is_one_line(rag_bench: RagBench, mine: Path) -> None:
    mine.write_text('[retrievers.x]\nsearch = "bm52"\n', encoding="utf-8")
    line = rag_bench("retrievers", "list").one_line()
    assert "[retrievers.x]" in line
    assert "bm25" in line


def test_an_unknown_retriever_names_those_there_are(rag_bench: RagBench, engine: Engine) -> None:
    line = rag_bench("retrievers", "compare", "--retriever", "bm52").one_line()
    assert "'bm52'" in line
    assert "hybrid_late" in line
    assert "load-dump" in rag_bench("retrievers", "compare").one_line()


def test_a_comparison_from_the_command_line(
    rag_bench: RagBench,
    engine: Engine,
    mine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    quick_encoder: None,
) -> None:
    # Not a home of the test's own: converting the encoder's weights takes long.
    monkeypatch.setenv("RAG_BENCH_HOME", str(PROJECT_ROOT / ".rag_bench"))
    write_data(tmp_path / "data")
    assert rag_bench("load-dump").code == 0
    done = rag_bench("retrievers", "compare", "--retriever", "both")
    assert done.code == 0, done.err
    assert "words" not in done.out, "only what was named, and default"
    lines = [line for line in done.out.splitlines() if line.startswith("│")]
    assert sum(line.startswith("│ both") for line in lines) == 2, "its row, and its differences"
    assert "Against default" in done.out
    assert "Holm's over all 5 comparisons" in done.out
    whole = rag_bench("retrievers", "compare", "--json")
    assert whole.code == 0, whole.err
    told = json.loads(whole.out)
    assert [one["name"] for one in told["retrievers"]] == ["default", "words", "both"]
    assert told["top_k"] == 5, "lists are compared down to the shortest"
    for one in told["retrievers"]:
        assert one["costs"]["p50_query_latency_ms"]["value"] > 0
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from rag_bench.llm_call")).scalar() == 0
        query = "select count(*) from rag_bench.evaluation where tier = '1'"
        assert connection.execute(text(query)).scalar() == 3, "nothing is measured twice"


def test_runs_are_over_neighbours() -> None:
    every = ["default", "a", "b", "c"]
    assert _ranges(every, ()) == [every]
    assert _ranges(every, ["c", "default"]) == [["default"], ["c"]]
    assert _ranges(every, ["a", "b"]) == [["a", "b"]]
