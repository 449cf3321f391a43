"""Bounds on what an untrusted file may make us read, unpack and hold."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes unless the name counts rows; a file beyond one is refused, never cut.

    The defaults are far above a help desk's database (10 MB, 200 chunks, 5,000 questions) and
    far below what would fill a disk or the memory.
    """

    unpacked_bytes: int = 16 * GIB  # a small gzip can unpack to a thousand times its size
    line_bytes: int = 64 * MIB  # of one SQL line or one row that is taken
    text_bytes: int = MIB  # of one text value
    url_bytes: int = 8192
    kept_bytes: int = 2 * GIB  # of all values taken together
    chunks: int = 1_000_000
    questions: int = 10_000_000
    left_out_share: float = 0.2  # of a table's rows that cannot be used; more is refused


DEFAULT_LIMITS = Limits()

# Works with every pg_dump; `--compress=gzip` only since version 16.
READABLE_DUMP = (
    "`pg_dump -Fc -Z6 -f FILE.dump DATABASE` or, as plain text, `pg_dump -f FILE.sql DATABASE`"
)

# `pg_dump -t` takes a partitioned table without its partitions, where all its rows are.
WITH_PARTITIONS = (
    "`pg_dump -Fc -Z6 --table-and-children=chunk --table-and-children=question_answer -f FILE.dump "
    "DATABASE` (pg_dump 16 or later), with an older one `pg_dump -Fc -Z6 -t 'chunk*' "
    "-t 'question_answer*' -f FILE.dump DATABASE`"
)


def quoted(text: str, width: int = 60) -> str:
    """Return a piece of an untrusted file as it may be shown in a terminal: printable and short."""
    shown = "".join(c if c.isprintable() else "?" for c in text[: width + 1])
    return f"'{shown[:width]}...'" if len(text) > width else f"'{shown}'"


def listed(values: list[str] | list[int], most: int = 5) -> str:
    """Join the first values for a message, and say how many more there are."""
    shown = ", ".join(str(v) for v in values[:most])
    return shown + (f" and {len(values) - most:,} more" if len(values) > most else "")
