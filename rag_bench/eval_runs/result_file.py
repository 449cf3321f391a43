"""The file of a run's whole result: a copy of what the table holds, which can be written again."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_bench.eval_runs.reply import case_replies, summary
from rag_bench.store.eval_runs.results import reading, run_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings


def path_of(settings: Settings, run_id: str) -> Path:
    """Return where a run's file is."""
    return settings.eval_results / f"run_{run_id}.json"


def export(engine: Engine, settings: Settings, run_id: str) -> Path:
    """Write a run's file from the table and return where it is.

    Raises:
        RagBenchError: there is no such run.
        OSError: the folder cannot be written.
    """
    with reading(engine) as connection:
        row = run_of(connection, run_id)._mapping
        return write(settings, summary(row), case_replies(connection, run_id))


def write(settings: Settings, told: Mapping[str, Any], cases: Iterable[Mapping[str, Any]]) -> Path:
    """Write a run's file: under another name first, so that nobody reads half of one. Cases are
    written as they come.

    Raises:
        OSError: the folder cannot be written.
    """
    path = path_of(settings, told["run_id"])
    name = path.with_name(f".{path.stem}.{secrets.token_hex(8)}")
    try:
        handle = _new_file(name)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _new_file(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_json(told)[:-1])  # without its closing brace
            file.write(',\n"cases": [')
            for number, case in enumerate(cases):
                file.write(",\n" if number else "\n")
                file.write(_json(case))
            file.write("\n]}\n")
        name.replace(path)
    except BaseException:
        name.unlink(missing_ok=True)
        raise
    return path


def _new_file(path: Path) -> int:
    # What users wrote stands in it: nobody else of this machine reads it.
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
