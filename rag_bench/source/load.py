"""From files to the store: load a dump, import SQuAD, and choose what to load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag_bench.errors import DumpError
from rag_bench.hashing import file_sha256
from rag_bench.settings import get_settings
from rag_bench.source.dumps.reader import read_dump
from rag_bench.source.folder import candidates
from rag_bench.source.foreign.beir import read_beir
from rag_bench.source.limits import DEFAULT_LIMITS
from rag_bench.source.question_files.squad import read_squad
from rag_bench.store import datasets, snapshots
from rag_bench.store.datasets import DatasetInfo
from rag_bench.store.snapshots import LoadReport

if TYPE_CHECKING:
    from sqlalchemy import Engine


def load_dump(engine: Engine, path: Path) -> LoadReport:
    """Read a dump, store it as a snapshot, make it the current one.

    A file whose content was loaded before is not read again: the pointer moves to its snapshot.

    Raises:
        DumpError: the file cannot be taken; nothing was written.
    """
    if path.is_file():
        try:
            sha256 = file_sha256(path)
        except OSError as error:
            raise DumpError(f"{path}: cannot be read ({error.strerror}).") from None
        if snapshots.snapshot_exists(engine, sha256):
            return reuse_snapshot(engine, sha256)
    limits = replace(DEFAULT_LIMITS, left_out_share=get_settings().dump_left_out)
    report = snapshots.save_snapshot(engine, read_dump(path, limits=limits).to_snapshot())
    return _with_default_dataset(engine, report)


def _with_default_dataset(engine: Engine, report: LoadReport) -> LoadReport:
    """Let a new snapshot take over the default dataset of the one before, if it is about it."""
    info, previous = report.snapshot, report.previous_sha256
    before = snapshots.get_snapshot(engine, previous) if previous else None
    if info.default_dataset_id or before is None or before.default_dataset_id is None:
        return report
    if not datasets.is_about(engine, before.default_dataset_id, info.sha256):
        return report
    snapshots.set_default_dataset(engine, info.sha256, before.default_dataset_id)
    return replace(report, snapshot=snapshots.require_current(engine))


def reuse_snapshot(engine: Engine, sha256: str) -> LoadReport:
    """Point at a snapshot that is stored already."""
    before = snapshots.current_snapshot(engine)
    info = snapshots.set_current(engine, sha256)
    diff = None
    if before and before.sha256 != sha256:
        diff = snapshots.diff_chunks(
            snapshots.chunks_of(engine, before.sha256), snapshots.chunks_of(engine, sha256)
        )
    return LoadReport(info, True, before.sha256 if before else None, diff)


@dataclass(frozen=True)
class SetAside:
    """A file of the dumps folder that could not be taken, and why."""

    path: Path
    reason: str


def load_newest(engine: Engine, folder: Path) -> tuple[LoadReport | None, list[SetAside]]:
    """Load the newest file of the folder whose content was never loaded, and make it current.

    A file that cannot be taken is set aside and the next newer one is tried, down to the first
    that was loaded before: what is older than that is no news. None: there was nothing to load.
    """
    aside: list[SetAside] = []
    for path in candidates(folder):
        try:
            if snapshots.snapshot_exists(engine, file_sha256(path)):
                if aside:
                    break
                continue
            return load_dump(engine, path), aside
        except DumpError as error:
            aside.append(SetAside(path, str(error)))
        except OSError as error:
            aside.append(SetAside(path, f"{path}: cannot be read ({error.strerror})."))
    return None, aside


def newest_unloaded(engine: Engine, folder: Path) -> Path | None:
    """Return the newest file of the folder whose content was never loaded; None: there is none."""
    for path in candidates(folder):
        try:
            sha256 = file_sha256(path)
        except OSError as error:
            raise DumpError(f"{path}: cannot be read ({error.strerror}).") from None
        if not snapshots.snapshot_exists(engine, sha256):
            return path
    return None


def import_squad(engine: Engine, paths: Sequence[Path]) -> tuple[LoadReport, DatasetInfo]:
    """Turn SQuAD-format files into the current snapshot and its default dataset.

    Raises:
        DumpError: a file is not of that format; nothing was written.
    """
    parsed = read_squad(paths)
    items = [item.to_item() for item in parsed.items]
    dataset = datasets.save_dataset(
        engine, parsed.name, "squad", items, {"files": [path.name for path in paths]}
    )
    return snapshots.save_snapshot(engine, parsed.to_snapshot(dataset.id)), dataset


def import_beir(engine: Engine, folder: Path, split: str) -> tuple[LoadReport, DatasetInfo]:
    """Turn a BEIR collection into the current snapshot and its default dataset.

    Raises:
        DumpError: a file is not of that format; nothing was written.
    """
    parsed = read_beir(folder, split)
    source = {"beir": folder.name, "split": split}
    dataset = datasets.save_dataset(engine, parsed.name, "questions", parsed.items, source)
    return snapshots.save_snapshot(engine, parsed.to_snapshot(dataset.id)), dataset
