"""The asset ``dump`` without a path: which file of the folder it takes, and what it sets aside."""

from __future__ import annotations

import os
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine
from world_data import plain_dump

from rag_bench.assets.inputs.source import dump
from rag_bench.resources import DatabaseResource
from rag_bench.source.load import load_dump
from rag_bench.store.snapshots import require_current

DAMAGED = plain_dump()[: len(plain_dump()) // 2]
GOOD = plain_dump()


@pytest.fixture
def folder(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "dumps"
    found.mkdir()
    monkeypatch.setenv("RAG_BENCH_DUMPS_DIR", str(found))
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    return found


def put(folder: Path, name: str, content: str, hour: int) -> Path:
    path = folder / name
    path.write_text(content, encoding="utf-8")
    os.utime(path, (1_700_000_000 + 3600 * hour,) * 2)
    return path


def materialize(path: Path | None = None) -> dg.ExecuteInProcessResult:
    config = {"path": str(path)} if path else {}
    return dg.materialize(
        [dump],
        resources={"database": DatabaseResource()},
        run_config={"ops": {"dump": {"config": config}}},
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    assert result.success
    [event] = result.asset_materializations_for_node("dump")
    return {name: value.value for name, value in event.metadata.items()}


def test_a_damaged_newest_file_is_set_aside_and_the_last_good_one_goes_on(
    folder: Path, engine: Engine
) -> None:
    load_dump(engine, put(folder, "monday.sql", GOOD, 1))
    put(folder, "tuesday.sql", DAMAGED, 2)
    (folder / "wednesday.dump").write_bytes(b"")
    for _ in range(2):  # this week and the next
        found = metadata(materialize())
        assert found["name"] == "monday.sql"
        assert "tuesday.sql" in str(found["set_aside"])
        assert "wednesday.dump" in str(found["set_aside"])
        assert "is empty" in str(found["set_aside"])
    assert require_current(engine).name == "monday.sql"


def test_a_good_file_between_is_taken(folder: Path, engine: Engine) -> None:
    load_dump(engine, put(folder, "monday.sql", GOOD, 1))
    put(folder, "tuesday.sql", GOOD + "-- new\n", 2)
    put(folder, "wednesday.sql", DAMAGED, 3)
    found = metadata(materialize())
    assert found["name"] == "tuesday.sql"
    assert "wednesday.sql" in str(found["set_aside"])


def test_a_damaged_file_brings_back_nothing_older(folder: Path, engine: Engine) -> None:
    put(folder, "never_loaded.sql", GOOD + "-- older\n", 1)
    load_dump(engine, put(folder, "monday.sql", GOOD, 2))
    put(folder, "tuesday.sql", DAMAGED, 3)
    assert metadata(materialize())["name"] == "monday.sql"


def test_with_nothing_good_the_reason_is_the_error(folder: Path, engine: Engine) -> None:
    put(folder, "monday.sql", DAMAGED, 1)
    result = materialize()
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "is damaged" in str(failure.step_failure_data)


def test_rows_that_were_left_out_are_listed(folder: Path, engine: Engine) -> None:
    odd = GOOD.replace("\\.\n", "77\thttps://kb/blank\t \t\\N\t\\N\t\\N\n\\.\n", 1)
    assert odd != GOOD
    found = metadata(materialize(put(folder, "monday.sql", odd, 1)))
    assert "its text is blank" in str(found["left_out"])
    assert "id 77" in str(found["notes"])


def test_a_damaged_file_named_by_its_path_fails_and_leaves_the_last_good_one(
    folder: Path, engine: Engine
) -> None:
    load_dump(engine, put(folder, "monday.sql", GOOD, 1))
    assert not materialize(put(folder, "tuesday.sql", DAMAGED, 2)).success
    assert require_current(engine).name == "monday.sql"
