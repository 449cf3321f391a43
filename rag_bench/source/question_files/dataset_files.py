"""Read datasets that people made: gold questions and labelled show/hide pairs.

JSON arrays, JSONL and CSV, told apart by content, with the usual names of fields
(`dataset_fields`). What a question is about is said by our own ``relevant`` (in a table ``page``
with ``chunk`` or ``text_contains``), a list of chunk hashes (``ground_truth_chunks``), the
forerunner's ``confluence_url`` and the beginning of ``chunk_text``, or, as other tools do, by the
texts themselves, which are then looked for in the snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.chunk_references import (
    Chunk,
)
from rag_bench.source.question_files.dataset_fields import KNOWN, Layout
from rag_bench.source.question_files.dataset_items import (
    Known,
    is_rejected,
    named_chunks,
    pair_of,
    question_of,
)
from rag_bench.source.question_files.json_rows import Row, plain_name
from rag_bench.source.question_files.row_files import content_of, read_rows
from rag_bench.store.datasets import Item

QUESTIONS = "questions"
SHOW_HIDE = "show_hide"

_LISTED = 5  # problems shown in one message


#: Gives the hashes of chunks by what clients call them; names that no chunk has are left out.
Names = Callable[[Collection[str]], Mapping[str, str]]


class UnresolvedRows(RagBenchError):  # noqa: N818  # the rows, rather than a fault
    """Rows that refer to what the snapshot does not have; ``problems``: a line of each."""

    def __init__(self, problems: Sequence[str], n_items: int) -> None:
        self.problems = list(problems)
        shown = "\n".join(f"  {problem}" for problem in problems[:_LISTED])
        more = f"\n  and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        super().__init__(
            f"{len(problems)} of {n_items} items refer to what the snapshot does not have:\n"
            f"{shown}{more}\nLoad the dump that the dataset was made on, or correct the items."
        )


@dataclass(frozen=True)
class DatasetFile:
    """What dataset files held.

    ``n_dropped`` items were rejected by their annotator. ``warnings`` name the items whose
    judgement was left out, as the snapshot has no such chunk (only where that was allowed), or
    that are judged by page only, as their file does not say which chunks it means; and they say
    what was not read, and how many contexts were not found.
    """

    kind: str  # QUESTIONS or SHOW_HIDE
    items: list[Item]
    n_dropped: int
    warnings: list[str]
    understood: list[dict[str, Any]] = field(default_factory=list)  # of each file, see `_report`

    @property
    def summary(self) -> str:
        """What the items can be measured by, in words."""
        n = len(self.items)
        if self.kind == SHOW_HIDE:
            shown = sum(item.details["ground_truth_show"] for item in self.items)
            return f"{n} pairs: {shown} to be shown, {n - shown} to be hidden"
        apart = sum(item.out_of_scope for item in self.items)
        asked = [item for item in self.items if not item.out_of_scope]
        by_page = sum(bool(item.page_urls) and not item.chunk_hashes for item in asked)
        parts = [
            f"{sum(bool(item.reference_answer) for item in asked)} with a reference answer",
            f"{sum(bool(item.chunk_hashes) for item in asked)} with a relevant chunk",
        ]
        parts += [f"{by_page} with a relevant page only"] if by_page else []
        parts += [f"{apart} out of scope (to refuse is right)"] if apart else []
        return f"{n} questions: {', '.join(parts)}"

    @property
    def notes(self) -> list[str]:
        """What is to be said about the reading, beside the summary."""
        dropped = f"{self.n_dropped} items were rejected by annotators and left out"
        return [dropped, *self.warnings] if self.n_dropped else self.warnings


def read_gold(
    paths: Iterable[Path | str], chunks: Iterable[Chunk], *, strict: bool = True
) -> list[Item]:
    """Read questions with reference answers and what is relevant to them in a snapshot.

    Args:
        paths: JSON, JSONL or CSV files, read as one dataset.
        chunks: the snapshot's chunks in position order.
        strict: False keeps an item whose chunk or page is not in the snapshot, without judgement.

    Raises:
        RagBenchError: a file that cannot be read or is not of this kind; two items of one id;
            with ``strict``, references that the snapshot cannot resolve (up to five are listed).

    """
    return read_of_kind(QUESTIONS, paths, chunks, strict=strict).items


def read_pairs(paths: Iterable[Path | str]) -> list[Item]:
    """Read answers labelled by people as to be shown or hidden.

    Each item's ``details`` hold ``answer``, ``context`` (may be empty), ``ground_truth_show`` and
    ``rationale`` (text or None).

    Raises:
        RagBenchError: a file that cannot be read or is not of this kind; a label that is not
            ``true`` or ``false``; two items of one id.

    """
    return read_of_kind(SHOW_HIDE, paths).items


def read_of_kind(
    kind: str, paths: Iterable[Path | str], chunks: Iterable[Chunk] = (), *, strict: bool = True
) -> DatasetFile:
    """Read files that must be of this kind; see `read_gold` and `read_pairs`."""
    return _of_kind(kind, read_dataset(paths, chunks, strict=strict))


def read_dataset_file(
    path: Path | str, chunks: Iterable[Chunk] = (), *, strict: bool = True
) -> DatasetFile:
    """Read one file of either kind; its fields tell which. Errors as in ``read_dataset``."""
    return read_dataset([path], chunks, strict=strict)


def read_dataset(
    paths: Iterable[Path | str], chunks: Iterable[Chunk] = (), *, strict: bool = True
) -> DatasetFile:
    """Read files of one kind as one dataset; see ``read_gold`` for arguments and errors."""
    files = [Path(path) for path in paths]
    if not files:
        raise RagBenchError("No dataset files were named, and the data folder has none.")
    return read_contents([(path, content_of(path)) for path in files], chunks, strict=strict)


def read_contents(
    files: Sequence[tuple[Path, bytes]],
    chunks: Iterable[Chunk] = (),
    *,
    strict: bool = True,
    names: Names | None = None,
    fields: Mapping[str, str] | None = None,
) -> DatasetFile:
    """Read what files of one kind hold as one dataset.

    Args:
        files: what errors call each, and its bytes.
        chunks: the snapshot's chunks in position order.
        strict: as of ``read_gold``.
        names: gives the hashes of chunks by what clients call them; None: only hashes name them.
        fields: what fields are to be read as, by the files' own names of them.

    Raises:
        UnresolvedRows: with ``strict``, references that the snapshot cannot resolve.
        RagBenchError: as ``read_gold``.
    """
    rows: list[Row] = []
    layouts: list[Layout] = []  # of each row's file
    warnings: list[str] = []
    understood: list[dict[str, Any]] = []
    for path, content in files:
        of_file, notes = read_rows(path, content)
        if fields:
            of_file = _renamed(path, of_file, fields)
        layout = Layout.of(of_file)
        rows += of_file
        layouts += [layout] * len(of_file)
        is_pairs = "ground_truth_show" in layout.names
        notes += layout.notes(of_file, pairs=is_pairs)
        understood.append(_report(path, of_file, layout, notes))
        warnings += notes
    kinds = {SHOW_HIDE if "ground_truth_show" in row.fields else QUESTIONS for row in rows}
    if len(kinds) > 1:
        pair = next(row for row in rows if "ground_truth_show" in row.fields)
        raise RagBenchError(
            f"{pair.where}: show/hide pairs and questions are mixed; read them as two datasets."
        )
    kind = kinds.pop()
    asked = {name for row in rows for name in named_chunks(row)} if names else set()
    known = Known(chunks, names(asked) if names and asked else None)
    items: list[Item] = []
    n_dropped = 0
    for position, (row, layout) in enumerate(zip(rows, layouts, strict=True)):
        if is_rejected(row):
            n_dropped += 1
        elif kind == SHOW_HIDE:
            items.append(pair_of(row, layout, position))
        else:
            items.append(question_of(row, layout, position, known))
    problems = known.problems
    if problems and strict:
        raise UnresolvedRows(problems, len(items))
    if not items:
        raise RagBenchError(
            f"{', '.join(str(path) for path, _ in files)}: annotators rejected all "
            f"{n_dropped} items."
        )
    _refuse_equal_ids(items, [row for row in rows if not is_rejected(row)])
    said = problems + known.warnings + warnings + known.said()
    return DatasetFile(kind, items, n_dropped, said, understood)


def _renamed(path: Path, rows: Sequence[Row], fields: Mapping[str, str]) -> list[Row]:
    """Return rows whose fields have the names that they are to be read as."""
    known = {plain_name(theirs): plain_name(ours) for theirs, ours in fields.items()}
    there = sorted({name for row in rows for name in row.fields})
    if lacking := sorted(set(known) - set(there)):
        raise RagBenchError(
            f"{path} has no field {', '.join(lacking)}; there are: {', '.join(there)}."
        )
    if unread := sorted(set(known.values()) - KNOWN):
        raise RagBenchError(f"No field {', '.join(unread)} is read (docs/datasets.md).")
    hidden = set(known.values()) - set(known)  # their own fields of these names give way
    return [
        replace(
            row,
            fields={
                known.get(name, name): value
                for name, value in row.fields.items()
                if name not in hidden
            },
        )
        for row in rows
    ]


def _report(
    path: Path, rows: Sequence[Row], layout: Layout, notes: Sequence[str]
) -> dict[str, Any]:
    """Return what was understood of one file: its form, its fields, what was left out."""
    form = "questions"
    if any(row.of_evals for row in rows):
        form = "OpenAI Evals"
    elif "ground_truth_show" in layout.names:
        form = "show/hide pairs"
    return {
        "file": path.name,
        "form": form,
        "rows": len(rows),
        "fields": layout.understood(rows),
        "notes": list(notes),
    }


def _of_kind(kind: str, found: DatasetFile) -> DatasetFile:
    if found.kind == kind:
        return found
    if kind == QUESTIONS:
        raise RagBenchError("These are show/hide pairs (ground_truth_show), not questions.")
    raise RagBenchError("These are questions; show/hide pairs have a field ground_truth_show.")


def _refuse_equal_ids(items: Sequence[Item], rows: Sequence[Row]) -> None:
    seen: dict[str, str] = {}
    for item, row in zip(items, rows, strict=True):
        if other := seen.get(item.item_id):
            raise RagBenchError(f"{row.where}: the id {item.item_id!r} of {other} again.")
        seen[item.item_id] = row.where
