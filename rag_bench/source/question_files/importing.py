"""Importing a client's tests: files become one stored dataset, with a report of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rag_bench.errors import RagBenchError
from rag_bench.source.question_files.dataset_export import makers
from rag_bench.source.question_files.dataset_files import (
    SHOW_HIDE,
    DatasetFile,
    UnresolvedRows,
    read_contents,
)
from rag_bench.source.question_files.locating import place_of
from rag_bench.store import datasets, snapshots
from rag_bench.store.eval_runs.chunk_names import hashes_of
from rag_bench.strict_json.places import Place

if TYPE_CHECKING:
    from sqlalchemy import Engine


@dataclass(frozen=True)
class Imported:
    """The dataset, and what was read. ``bound``: the snapshot that pairs are of."""

    dataset: datasets.DatasetInfo
    read: DatasetFile
    bound: str | None


def import_contents(
    engine: Engine,
    files: Sequence[tuple[Path, bytes]],
    name: str,
    *,
    fields: Mapping[str, str] | None = None,
    default: bool = False,
) -> Imported:
    """Store what files hold as one dataset, for the current snapshot.

    Args:
        engine: of the database.
        files: what errors call each, and its bytes.
        name: of the dataset.
        fields: what fields are to be read as, by the files' own names of them.
        default: it becomes the snapshot's default dataset.

    Raises:
        RagBenchError: a file that cannot be read, pairs as the default; no snapshot is loaded.
    """
    snapshot = snapshots.require_current(engine)

    def named(names: Collection[str]) -> Mapping[str, str]:
        with engine.connect() as connection:
            return hashes_of(connection, snapshot.sha256, names)

    chunks = snapshots.chunks_of(engine, snapshot.sha256)
    read = read_contents(files, chunks, names=named, fields=fields)
    is_pairs = read.kind == SHOW_HIDE
    if default and is_pairs:
        raise RagBenchError(
            "Labelled pairs are for the production judges and cannot be the default dataset of "
            "questions. Import them without --default; the newest pairs that were imported for the "
            "current snapshot are used."
        )
    file = ", ".join(path.name for path, _ in files)
    found = datasets.save_dataset(
        engine,
        name,
        read.kind,
        read.items,
        {"file": file, **makers(read.items)},
        renew=True,
        snapshot=snapshot.sha256 if is_pairs else None,
    )
    if default:
        snapshots.set_default_dataset(engine, snapshot.sha256, found.id)
    return Imported(found, read, snapshot.name if is_pairs else None)


def places_of(error: RagBenchError, files: Sequence[tuple[Path, bytes]]) -> list[Place]:
    """Return where in the files an error of reading them is: file, line, column and field."""
    said = error.problems if isinstance(error, UnresolvedRows) else [str(error)]
    return [place_of(one, files) for one in said]
