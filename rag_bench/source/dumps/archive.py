"""The text of a pg_dump archive (custom or tar), by way of ``pg_restore --file=-``.

pg_restore only unpacks here: it is given no database, and its output is read as text. The whole
is unpacked, not the two tables alone, as that is what proves the archive whole; the schema tells
which tables are partitions of which.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TypeVar

from rag_bench.errors import DumpError
from rag_bench.source.dumps.formats import DumpFormat
from rag_bench.source.limits import DEFAULT_LIMITS, READABLE_DUMP, Limits, quoted
from rag_bench.source.source_file import SourceFile
from rag_bench.store.embedded import pg_bin

T = TypeVar("T")

_STALL_SECONDS = 300.0  # without a byte of output: pg_restore hangs on a damaged file
_TAR_BLOCK = 512
_AGAIN = "Copy the file again, or make it again with pg_dump."

# What pg_restore writes to stderr (in the C locale), and what to tell the user.
_COMPLAINTS = (
    (
        "unsupported version",
        "the archive was made by a newer pg_dump than the shipped pg_restore can read ({line}). "
        "Make the dump as plain text: `pg_dump -f FILE.sql DATABASE`.",
    ),
    (
        "does not support compression",
        "the archive is compressed in a way that the shipped pg_restore cannot read ({line}). "
        f"Make a dump with {READABLE_DUMP}.",
    ),
    ("end of file", f"the archive ends too early: it was cut off ({{line}}). {_AGAIN}"),
    ("too short", f"the archive ends too early: it was cut off ({{line}}). {_AGAIN}"),
)


def read_archive(
    source: SourceFile, consume: Callable[[Iterator[bytes]], T], limits: Limits = DEFAULT_LIMITS
) -> tuple[T, list[str]]:
    """Unpack an opened archive and hand its text, line by line, to ``consume``.

    Returns:
        what ``consume`` returned, and pg_restore's warnings.

    Raises:
        DumpError: pg_restore cannot read the archive, or ``consume`` refused the text.

    """
    with tempfile.TemporaryDirectory(prefix="rag_bench-dump-") as folder:
        # A copy of our own: what is hashed is what is unpacked, whatever happens to the original.
        copy = Path(folder) / "archive"
        try:
            with copy.open("xb") as file:
                shutil.copyfileobj(source.stream, file, 1 << 20)
        except OSError as error:
            raise DumpError(f"cannot be unpacked into {folder}: {error.strerror}.") from None
        if source.identified.format is DumpFormat.TAR:
            _check_tar(copy)
        return _restore(copy, consume, limits)


def _restore(
    archive: Path, consume: Callable[[Iterator[bytes]], T], limits: Limits
) -> tuple[T, list[str]]:
    program = pg_bin() / "pg_restore"
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                [str(program), "--file=-", str(archive)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=complaints,
                # No connection settings, preload or other influence from our environment.
                env={"PATH": os.defpath, "LC_ALL": "C"},
                cwd=archive.parent,
                start_new_session=True,
            )
        except OSError as error:
            raise DumpError(f"pg_restore ({program}) cannot be run: {error.strerror}.") from None
        output = _Output(process, limits)
        refused: DumpError | None = None
        try:
            result = consume(output.lines())
        except DumpError as error:
            refused = error
        finally:
            code = output.close()
        warnings = _complaints(complaints)
        if output.overflowed:
            raise DumpError(
                f"the archive unpacks to more than {limits.unpacked_bytes:,} bytes, which is no "
                "dump of a help desk."
            )
        if output.stalled:
            raise DumpError(f"pg_restore hangs on the archive; it is damaged. {_AGAIN}")
        # A text that breaks off because pg_restore failed: its own reason is the better one.
        if code != 0 and (refused is None or output.ended):
            raise DumpError(_explain(warnings, code))
        if refused is not None:
            raise refused
        return result, warnings


class _Output:
    """pg_restore's stdout: counted, watched for a stall, and closed with the process."""

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._progress = threading.Event()
        self._over = threading.Event()
        self.ended = False  # the output came to its own end
        self.overflowed = False
        self.stalled = False
        self._watch = threading.Thread(target=self._watch_progress, daemon=True)
        self._watch.start()

    def _watch_progress(self) -> None:
        while self._progress.wait(_STALL_SECONDS):
            if self._over.is_set():
                return
            self._progress.clear()
        self.stalled = True
        self._process.kill()

    def lines(self) -> Iterator[bytes]:
        assert self._process.stdout is not None
        read = 0
        while line := self._process.stdout.readline(self._limits.line_bytes):
            self._progress.set()
            read += len(line)
            if read > self._limits.unpacked_bytes:
                self.overflowed = True
                return
            yield line
        self.ended = True

    def close(self) -> int:
        """End the process, at once if its output was not read to the end; return its code."""
        if not self.ended:
            self._process.kill()
        assert self._process.stdout is not None
        self._process.stdout.close()
        code = self._process.wait()
        self._over.set()
        self._progress.set()
        self._watch.join()
        return code


def _complaints(file: IO[bytes]) -> list[str]:
    file.seek(0)
    lines = file.read(65_536).decode("utf-8", "replace").splitlines()
    return [line.removeprefix("pg_restore: ").strip() for line in lines if line.strip()][:20]


def _explain(complaints: list[str], code: int) -> str:
    errors = [text.removeprefix("error: ") for text in complaints if text.startswith("error: ")]
    silent = f"(nothing; it crashed with signal {-code})" if code < 0 else f"exit code {code}"
    line = quoted((errors or complaints or [silent])[0], 200).strip("'")
    for mark, message in _COMPLAINTS:
        if mark in line:
            return message.format(line=line)
    return f"the archive is damaged: pg_restore says: {line}. {_AGAIN}"


def _check_tar(path: Path) -> None:
    """Refuse a tar that is cut off or that pg_dump did not make.

    pg_restore stops reading at the last member that it needs, so it would not notice.
    """
    size = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            members = tar.getmembers()
            end = tar.offset
    except (tarfile.TarError, EOFError, ValueError, OSError) as error:
        raise DumpError(f"the tar file is cut off or damaged ({error}). {_AGAIN}") from None
    names = [member.name for member in members]
    if "toc.dat" not in names:
        if any(name.endswith("/toc.dat") for name in names):
            raise DumpError(
                "this is a directory-format dump packed into a tar file, which is not read. "
                f"Make a dump with {READABLE_DUMP}."
            )
        first = f" It holds {quoted(names[0])}." if names else ""
        raise DumpError(
            f"the tar file was not made by pg_dump.{first} If a dump is packed inside, unpack it "
            "first with `tar -xf FILE`."
        )
    last = max(member.offset_data + member.size for member in members)
    with path.open("rb") as file:
        file.seek(last + -last % _TAR_BLOCK)
        closing = file.read(2 * _TAR_BLOCK)
    if last > size or end > size or closing != bytes(2 * _TAR_BLOCK):
        raise DumpError(f"the tar file has no end: it was cut off. {_AGAIN}")
