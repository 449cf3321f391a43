"""An untrusted file opened once: hashed as it is read, unpacked if gzipped, bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from rag_bench.errors import DumpError
from rag_bench.source.dumps.formats import GZIP_MAGIC, HEAD_BYTES, Identified, identify
from rag_bench.source.limits import DEFAULT_LIMITS, READABLE_DUMP, Limits

_BUFFER = 1 << 20


class _Hashing(io.RawIOBase):
    """Passes a file through and hashes what was read, so that hash and content cannot differ."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self.digest = hashlib.sha256()
        self.n_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.digest.update(data)
        self.n_read += len(data)
        return len(data)


class _Bounded(io.RawIOBase):
    """Unpacked bytes, up to a limit; a broken gzip is a DumpError."""

    def __init__(self, inner: BinaryIO, limit: int) -> None:
        self._inner = inner
        self._limit = limit
        self._n_read = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            data = self._inner.read(len(buffer))
        except EOFError:
            raise DumpError(
                "the gzipped file ends too early: it was cut off. Copy it again, or make it again."
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DumpError(
                f"the gzipped file is damaged ({error}). Copy it again, or make it again."
            ) from None
        self._n_read += len(data)
        if self._n_read > self._limit:
            raise DumpError(
                f"the file unpacks to more than {self._limit:,} bytes, which is no dump of a help "
                "desk. Dump only the two tables that are read: `pg_dump -Fc -Z6 -t chunk "
                "-t question_answer -f FILE.dump DATABASE`."
            )
        buffer[: len(data)] = data
        return len(data)


class SourceFile:
    """A context manager around one regular file.

    Attributes:
        identified: format, by content.
        gzipped: whether ``stream`` is unpacked on the way.
        stream: the content, unpacked.

    """

    identified: Identified
    gzipped: bool
    stream: io.BufferedReader

    def __init__(self, path: Path, limits: Limits = DEFAULT_LIMITS) -> None:
        self.path = path
        self._limits = limits

    def __enter__(self) -> Self:
        self._check_kind()
        try:
            self._file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise DumpError(f"cannot be read: {error.strerror}.") from None
        try:
            self._before = os.fstat(self._file.fileno())
            self._hashing = _Hashing(cast(BinaryIO, self._file))
            packed = io.BufferedReader(self._hashing, _BUFFER)
            self.gzipped = packed.peek(2)[:2] == GZIP_MAGIC
            inner = gzip.GzipFile(fileobj=packed) if self.gzipped else packed
            bounded = _Bounded(cast(BinaryIO, inner), self._limits.unpacked_bytes)
            self.stream = io.BufferedReader(bounded, _BUFFER)
            self.identified = identify(self.stream.peek(HEAD_BYTES)[:HEAD_BYTES])
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A file that is still growing looks cut off: say what is the matter in truth.
        changed = self._changed()
        self._file.close()
        if changed and isinstance(error, DumpError):
            raise _changing() from error

    def _check_kind(self) -> None:
        try:
            mode = self.path.stat().st_mode
        except FileNotFoundError:
            raise DumpError("there is no such file.") from None
        except OSError as error:
            raise DumpError(f"cannot be read: {error.strerror}.") from None
        if stat.S_ISDIR(mode):
            if (self.path / "toc.dat").exists():
                raise DumpError(
                    "this is a directory-format dump, which is not read. "
                    f"Make a dump with {READABLE_DUMP}."
                )
            raise DumpError("this is a directory; give the dump file itself.")
        if not stat.S_ISREG(mode):
            raise DumpError("this is not a regular file (a pipe or a device).")

    def _changed(self) -> bool:
        """Whether the path no longer holds what was opened."""
        try:
            after = self.path.stat()
        except OSError:
            return True
        before = self._before
        return (after.st_ino, after.st_size, after.st_mtime_ns) != (
            before.st_ino,
            before.st_size,
            before.st_mtime_ns,
        )

    def finish(self) -> tuple[str, int]:
        """Read what is left and return (sha256 hex, size in bytes) of the file as it was read.

        Raises:
            DumpError: the file changed meanwhile.

        """
        while self.stream.read(_BUFFER):
            pass
        if self._changed() or self._hashing.n_read != self._before.st_size:
            raise _changing()
        return self._hashing.digest.hexdigest(), self._hashing.n_read


def _changing() -> DumpError:
    return DumpError("the file changed while it was read: it is still being written. Try later.")
