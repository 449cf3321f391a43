"""Planting faults, end to end: controls are quiet, a planted fault is found, nothing is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, text

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.planted.scratch import PREFIX
from rag_bench.reporting.self_test.planted import newest_planted, planted_table, read_planted
from rag_bench.settings import PROJECT_ROOT
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.tiers.self_test.planted import environment, faults_meant, try_faults

pytestmark = pytest.mark.long

N_PAGES = 8


@pytest.fixture(scope="module")
def few_pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some pages of the project's own data, with the questions about them."""
    data, folder = PROJECT_ROOT / "data", tmp_path_factory.mktemp("few") / "data"
    pages = sorted(path.stem for path in (data / "corpus").glob("*.md"))[:N_PAGES]
    for name in ("corpus", "phrasings", "gold", "show_hide"):
        (folder / name).mkdir(parents=True)
    for page in pages:
        (folder / "corpus" / f"{page}.md").write_bytes(
            (data / "corpus" / f"{page}.md").read_bytes()
        )
    for name, of in (("phrasings", "page"), ("gold", "relevant")):
        for path in sorted((data / name).glob("*.jsonl")):
            lines = path.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if _is_about(json.loads(line)[of], pages)]
            (folder / name / path.name).write_text("\n".join(kept) + "\n", encoding="utf-8")
    return folder


def _is_about(named: object, pages: list[str]) -> bool:
    if isinstance(named, list):
        return bool(named) and all(one["page"] in pages for one in named)
    return named in pages


def databases(server: EmbeddedServer) -> set[str]:
    with psycopg.connect(server.url("postgres")) as connection:
        rows = connection.execute("select datname from pg_database").fetchall()
    return {str(name) for (name,) in rows if str(name).startswith(PREFIX)}


def counts(engine: Engine) -> dict[str, int]:
    """How many rows each table of ours has."""
    with engine.connect() as connection:
        tables = connection.execute(
            text("select tablename from pg_tables where schemaname = 'rag_bench'")
        ).scalars()
        return {
            name: connection.execute(text(f'select count(*) from rag_bench."{name}"')).scalar_one()
            for name in list(tables)
        }


@pytest.fixture
def no_new_database(server: EmbeddedServer) -> Iterator[None]:
    before = databases(server)
    yield
    assert databases(server) <= before


def test_a_fault_is_found_the_controls_are_quiet_and_nothing_is_left(
    engine: Engine, few_pages: Path, no_new_database: None
) -> None:
    before, heard = counts(engine), list[tuple[str, int, int]]()

    def report(label: str, done: int, total: int) -> None:
        heard.append((label, done, total))

    found = try_faults(engine, ["prompt"], data=few_pages, report=report)
    tried = read_planted(engine, found)
    assert [row["control"] for row in tried.rows] == [True, True, False, False, False]
    assert tried.false_alarms == []
    by_size = {row["size"]: row for row in tried.planted}
    lost = by_size["the instruction to cite is lost"]
    [figure] = [
        one["figure"] for one in lost["found"] if one["check"] == "comparison: tier 2 answers"
    ]
    # Nobody cites any more: of those that did, all are lost.
    assert figure["metric"] == "citation_recall"
    assert figure["b"] == 0
    assert figure["ci_high"] < 0
    misspelt = by_size["a placeholder misspelt"]
    assert [one["check"] for one in misspelt["found"]] == ["a step fails"]
    assert "placeholders" in misspelt["found"][0]["said"]
    assert heard[0][1:] == (0, 6)
    assert heard[-1][1:] == (6, 6)
    # The user's own tables: one evaluation more, with its cases.
    changed = {name: n - before[name] for name, n in counts(engine).items() if n != before[name]}
    assert changed == {"evaluation": 1, "evaluation_case": len(tried.rows)}
    again = try_faults(engine, ["prompt"], data=few_pages, report=report)
    assert (again.id, again.reused) == (found.id, True)
    newest = newest_planted(engine)
    assert newest is not None
    assert planted_table(newest) == planted_table(tried)


def test_a_killed_self_test_leaves_nothing_behind(
    engine: Engine, server: EmbeddedServer, few_pages: Path, no_new_database: None
) -> None:
    before = counts(engine)
    program = (
        "import sys; from pathlib import Path; from rag_bench.store.database import make_engine; "
        "from rag_bench.tiers.self_test.planted import try_faults; "
        "say = lambda *words: print(words, flush=True); "
        "try_faults(make_engine(sys.argv[1]), data=Path(sys.argv[2]), report=say)"
    )
    url = engine.url.render_as_string(hide_password=False)
    there = databases(server)
    child = subprocess.Popen(
        [sys.executable, "-c", program, url, str(few_pages)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    child.stdout.readline()
    _until(lambda: bool(databases(server) - there))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    # What it started hears that it is gone.
    _until(lambda: not databases(server) - there)
    assert counts(engine) == before


def _until(holds: object, seconds: float = 120.0) -> None:
    assert callable(holds)
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.2)


def test_leftovers_of_a_killed_process_are_dropped_by_the_next(
    engine: Engine, server: EmbeddedServer
) -> None:
    from rag_bench.planted.scratch import scratch

    with scratch(engine) as databases_of_a_run:
        name = databases_of_a_run.new().rpartition("/")[2].partition("?")[0]
        assert databases_of_a_run.left() == [name]
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
    with scratch(engine) as next_one:
        assert next_one.left() == []
    assert name not in databases(server)


def test_an_unknown_fault_is_told(engine: Engine, few_pages: Path, no_new_database: None) -> None:
    with pytest.raises(RagBenchError, match=r"no fault 'earthquake' to plant; there are: page-"):
        try_faults(engine, ["earthquake"], data=few_pages)


def test_the_process_gets_no_key_and_no_model() -> None:
    given = {
        "PATH": "/bin",
        "PROVIDER_X_API_KEY": "secret",
        "X_GEN_MODELS": "x/one",
        "JUDGE_MODEL": "x/two",
        "RAG_BENCH_EXTENSIONS": "mine",
        "RAG_BENCH_DATABASE_URL": "postgresql://mine",
        "RAG_BENCH_HOME": "/home",
        "RAG_BENCH_ENCODER": "mine",
    }
    assert environment(given) == {
        "PATH": "/bin",
        "RAG_BENCH_HOME": "/home",
        "RAG_BENCH_ENCODER": "mine",
        "RAG_BENCH_ENV_FILES": "0",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }


def test_the_words_of_the_setting() -> None:
    assert faults_meant("all") == []
    assert faults_meant("none") is None
    assert faults_meant("prompt, errors") == ["prompt", "errors"]


def test_plants_are_chosen_by_name_and_controls_stay() -> None:
    from rag_bench.planted.plants import PLANTS, chosen

    assert chosen([]) == list(PLANTS)
    some = chosen(["errors"])
    assert {one.fault for one in some} == {"nothing", "errors"}
    assert sum(one.is_control for one in some) == 2
    with pytest.raises(ConfigurationError):
        chosen(["nothing at all"])
    names = [(one.fault, one.words, one.size) for one in PLANTS]
    assert len(set(names)) == len(names)
