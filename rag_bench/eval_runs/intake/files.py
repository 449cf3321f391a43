"""Cases from JSONL: a file below the folder that the settings name, or one that was uploaded."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from rag_bench.eval_runs.intake.cases import Sent
from rag_bench.settings import Settings
from rag_bench.strict_json.lines import Limits, read_lines
from rag_bench.strict_json.places import InvalidInput, Place, pointer

_WRONG = "The file of cases cannot be read."
#: A line holds a case: its texts are bounded, and an escape makes six bytes of a letter.
_LINE_BYTES = 4 << 20


def limits(settings: Settings) -> Limits:
    """Return what is refused of a file before it is parsed."""
    return Limits(
        line_bytes=_LINE_BYTES,
        bytes=settings.eval_max_file_bytes,
        depth=settings.api_max_depth,
        lines=settings.eval_max_cases,
    )


def open_file(settings: Settings, given: str) -> BinaryIO:
    """Open the file that a request names, below the folder of the settings.

    Raises:
        InvalidInput: no folder is set, or no file of that name is below it. What is elsewhere is
            not told apart from what is not there.
    """
    folder = settings.eval_files
    if folder is None:
        raise _refused(
            "No folder of files is set here: the operator sets RAG_BENCH_EVAL_FILES; or send the "
            "cases themselves."
        )
    there = f"There is no file {given!r} below the folder of RAG_BENCH_EVAL_FILES."
    try:
        root = Path(os.path.realpath(folder.expanduser(), strict=True))
        path = Path(os.path.realpath(root / given, strict=True))
    except (OSError, ValueError):  # not there, a loop of links, a NUL
        raise _refused(there) from None
    if not path.is_relative_to(root):
        raise _refused(there)
    try:
        # Links were resolved; a pipe must not hold the request up until somebody writes.
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        raise _refused(there) from None
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise _refused(there)
    return os.fdopen(number, "rb")


def cases_of(
    file: BinaryIO, settings: Settings, errors: list[Place], name: str | None = None
) -> Iterator[Sent]:
    """Yield the cases of JSONL, one a line; lines that are no JSON are told.

    Raises:
        TooLarge: more bytes or lines than the settings allow.
    """
    for line in read_lines(file, limits(settings), errors, name):
        yield Sent(line.value, line.place)


def _refused(detail: str) -> InvalidInput:
    return InvalidInput(_WRONG, [Place(detail, pointer=pointer(["path_to_file"]))])
