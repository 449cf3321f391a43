"""Tell what a file is by its first bytes, never by its name."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rag_bench.errors import DumpError
from rag_bench.source.limits import READABLE_DUMP

HEAD_BYTES = 512  # a tar header's length, the longest that is looked at
GZIP_MAGIC = b"\x1f\x8b"
_CUSTOM_MAGIC = b"PGDMP"
# pg_dump's ArchiveFormat, byte 10 of an archive's header; 3 is the toc.dat inside a tar.
_CUSTOM_CODE, _DIRECTORY_CODE = 1, 5


class DumpFormat(StrEnum):
    """The dump formats that are read; each may also be gzipped."""

    PLAIN = "plain"
    CUSTOM = "custom"
    TAR = "tar"


@dataclass(frozen=True)
class Identified:
    """A readable format; of a custom archive also its version.

    ``1.14`` is PostgreSQL 12 to 15, ``1.15`` is 16, ``1.16`` is 17 and 18.
    """

    format: DumpFormat
    archive_version: str | None = None


# Compressions that the shipped tools cannot open, and what can.
_COMPRESSED = (
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -d"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -d"),
    (b"BZh", "bzip2", "bunzip2"),
    (b"\xfd7zXZ\x00", "xz", "unxz"),
    (b"PK\x03\x04", "zip", "unzip"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
)
_FOREIGN = (
    (b"<!doctype", "a web page, perhaps a login form saved in place of the file"),
    (b"<html", "a web page, perhaps a login form saved in place of the file"),
    (b"version https://git-lfs", "a Git LFS pointer: run `git lfs pull` to get the file itself"),
    (b"sqlite format 3", "an SQLite database"),
    (b"-- mysql dump", "a dump of MySQL"),
    (b"-- mariadb dump", "a dump of MariaDB"),
    (b"{", "JSON. SQuAD files are taken by `rag-bench import-squad FILE`"),
    (b"[", "JSON, which is no dump of a database"),
)
_PLEASE = f"Make a dump with {READABLE_DUMP}."


def identify(head: bytes) -> Identified:
    """Return the format of a file (unpacked, if it was gzipped) from its first bytes.

    Raises:
        DumpError: it is empty, compressed in a way that is not read, or no dump at all.

    """
    if not head:
        raise DumpError(f"the file is empty. {_PLEASE}")
    if head.startswith(_CUSTOM_MAGIC):
        return _archive(head)
    if head[257:262] == b"ustar":
        return Identified(DumpFormat.TAR)
    if head.startswith(GZIP_MAGIC):
        raise DumpError("the file is gzipped twice. Unpack it once with `gunzip`.")
    for magic, name, command in _COMPRESSED:
        if head.startswith(magic):
            raise DumpError(
                f"the file is compressed with {name}, which is not read here. Unpack it with "
                f"`{command} FILE`, or make a dump with {READABLE_DUMP}."
            )
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DumpError(
            "the file is UTF-16 text, as PowerShell's `>` writes it. "
            "Let pg_dump write the file itself: `pg_dump -f FILE.sql DATABASE`."
        )
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()[:64].lower()
    for magic, what in _FOREIGN:
        if start.startswith(magic):
            raise DumpError(f"the file is not a PostgreSQL dump but {what}.")
    if b"\0" in head:
        raise DumpError(f"the file is not a PostgreSQL dump (unknown binary data). {_PLEASE}")
    return Identified(DumpFormat.PLAIN)


def _archive(head: bytes) -> Identified:
    """Read a PGDMP header: magic, version (3 bytes), integer and offset sizes, format code."""
    if len(head) < 11:
        raise DumpError(
            "the archive ends inside its header: it was cut off. "
            "Copy it again, or make it again with pg_dump."
        )
    version = f"{head[5]}.{head[6]}"
    if head[10] == _DIRECTORY_CODE:
        raise DumpError(
            "the file is the table of contents (toc.dat) of a directory-format dump, without the "
            f"data. {_PLEASE}"
        )
    if head[10] != _CUSTOM_CODE:
        raise DumpError(
            f"the archive's header is damaged (unknown format code {head[10]}). "
            "Copy it again, or make it again with pg_dump."
        )
    return Identified(DumpFormat.CUSTOM, version)
