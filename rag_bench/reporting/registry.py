"""The registry of all reports: a JSON list in one file, appended to and never rewritten.

Each entry is one line before the closing bracket, so that adding one writes that line alone, and an
entry that a kill cut off can be told and dropped. A list that an earlier version wrote is continued
as it is.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from rag_bench.errors import RagBenchError

NAME = "benchmark_runs.json"
# Looked at, at the end of the file, to find where the last whole entry ends.
_BLOCK = 1 << 16


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the registry for this process alone."""
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def register(path: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry to the registry, under its lock.

    Raises:
        RagBenchError: the file is not a JSON list; it is left as it is.
    """
    with locked(path):
        append(path, entry)


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry; the caller holds the lock.

    Raises:
        RagBenchError: the file is not a JSON list; it is left as it is.
    """
    # Time, branch, commit and author stand at the top of an entry.
    line = json.dumps({**entry, **entry["run_metadata"]}, ensure_ascii=False)
    if not path.exists():
        path.write_text("[\n]\n", encoding="utf-8")
    with path.open("r+b") as file:
        end, is_empty = _end_of_entries(path, file)
        file.seek(end)
        separator = "\n" if is_empty else ",\n"
        file.write(f"{separator}{line}\n]\n".encode())
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def _end_of_entries(path: Path, file: BinaryIO) -> tuple[int, bool]:
    """Return where the last whole entry ends, and whether there is none."""
    damaged = RagBenchError(f"{path} is damaged (not a JSON list). Move it away and retry.")
    if file.read(_BLOCK).lstrip()[:1] != b"[":
        raise damaged
    end, last = _before_blanks(file, file.seek(0, os.SEEK_END))
    start = _line_start(file, end)
    file.seek(start)
    line = file.read(end - start).removeprefix(b"\n")
    if start and line.startswith(b"{"):
        # An entry of ours without the bracket after it: a kill cut it off, or only the bracket.
        if _is_json(line.removesuffix(b",")):
            return end - line.endswith(b","), False
        end, last = _before_blanks(file, start)
        line = b" }," if last == b"," else line
    if last == b"[" and end == _first(file):
        return end, True
    if last == b"]":
        end, last = _before_blanks(file, end - 1)
        if last in (b"}", b"["):
            return end, last == b"["
    # A list of an earlier version with our comma after it, and no more.
    elif line == b" }," or (line.startswith(b"[") and _is_json(line.removesuffix(b",") + b"]")):
        return _before_blanks(file, end - 1)[0], False
    raise damaged


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _first(file: BinaryIO) -> int:
    """Return the place after the list's opening bracket."""
    file.seek(0)
    block = file.read(_BLOCK)
    return len(block) - len(block.lstrip()) + 1


def _before_blanks(file: BinaryIO, end: int) -> tuple[int, bytes]:
    """Return where the text before ``end`` ends, blanks aside, and its last byte."""
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        block = file.read(end - start).rstrip()
        if block:
            return start + len(block), block[-1:]
        end = start
    return 0, b""


def _line_start(file: BinaryIO, end: int) -> int:
    """Return where the line that ends at ``end`` begins; 0 in the first line."""
    while end:
        start = max(0, end - _BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found
        end = start
    return 0
