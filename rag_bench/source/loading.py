"""From a file to the current snapshot, in one call: what the CLI and the asset share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rag_bench.source.reader import read_dump
from rag_bench.store.snapshots import LoadReport, save_snapshot

if TYPE_CHECKING:
    from sqlalchemy import Engine


def load_dump(engine: Engine, path: Path) -> LoadReport:
    """Read a dump, store it as a snapshot and make that the current one.

    Raises:
        DumpError: the dump cannot be taken; nothing was stored, and the snapshot that was
            current still is.
    """
    return save_snapshot(engine, read_dump(path).to_snapshot())
