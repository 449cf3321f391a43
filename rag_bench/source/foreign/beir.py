"""A BEIR collection as a knowledge base with questions: a document is a chunk.

The format (Thakur et al. 2021, "BEIR"): ``corpus.jsonl`` with ``_id``, ``title``, ``text``;
``queries.jsonl`` with ``_id``, ``text``; ``qrels/<split>.tsv`` with a header and the columns
``query-id``, ``corpus-id``, ``score``. Judgements also come without the header, and in TREC's four
columns (query, 0 or Q0, document, score). A document is relevant to a query by a score above 0;
grades are kept in the item's details. Queries without judgement in the split belong to another one.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rag_bench.errors import DumpError
from rag_bench.hashing import chunk_hash
from rag_bench.source.dumps.rows import ChunkRow, snapshot_chunks, twin_notes
from rag_bench.store.datasets import Item
from rag_bench.store.snapshots import NewSnapshot

CORPUS, QUERIES, QRELS = "corpus.jsonl", "queries.jsonl", "qrels"
_HEADER = ["query-id", "corpus-id", "score"]
_TREC = 4  # columns


@dataclass(frozen=True)
class ParsedBeir:
    """A collection that was read whole and found valid; ``name``: the folder's and the split's."""

    name: str
    sha256: str
    size_bytes: int
    chunks: list[ChunkRow]
    items: list[Item]
    warnings: list[str] = field(default_factory=list)

    def to_snapshot(self, default_dataset_id: str | None = None) -> NewSnapshot:
        """Return what ``save_snapshot`` stores; the items are a dataset's, stored before."""
        return NewSnapshot(
            sha256=self.sha256,
            name=self.name,
            kind="beir",
            size_bytes=self.size_bytes,
            chunks=snapshot_chunks(self.chunks),
            questions=[],
            report={"format": "beir", "n_items": len(self.items), "warnings": self.warnings},
            default_dataset_id=default_dataset_id,
        )


def read_beir(folder: Path, split: str = "test") -> ParsedBeir:
    """Read a collection with the judgements of one split.

    Raises:
        DumpError: a file that is missing or not of the format, with its line and field.
    """
    qrels = folder / QRELS / f"{split}.tsv"
    files = [folder / CORPUS, folder / QUERIES, qrels]
    if not qrels.is_file() and (folder / QRELS).is_dir():
        there = sorted(path.stem for path in (folder / QRELS).glob("*.tsv"))
        if there:
            raise DumpError(f"{qrels} is not there; the splits are: {', '.join(there)}.")
    digest, size = hashlib.sha256(), 0
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DumpError(
                f"{path} cannot be read: {error.strerror or error}. A BEIR collection is a folder "
                f"with {CORPUS}, {QUERIES} and {QRELS}/<split>.tsv."
            ) from None
        digest.update(hashlib.sha256(content).digest())
        size += len(content)
    warnings: list[str] = []
    rows = _corpus(files[0], folder.name, warnings)
    hashes = {doc: chunk_hash(row.page_url, row.text) for doc, row in rows.items()}
    items = _items(files[1], _judged(qrels), rows, hashes, warnings)
    chunks = list({(row.page_url, row.text): row for row in rows.values()}.values())
    warnings += twin_notes(chunks)
    name = f"{folder.name}-{split}"
    digest.update(name.encode())
    return ParsedBeir(name, digest.hexdigest(), size, chunks, items, warnings)


def _corpus(path: Path, collection: str, warnings: list[str]) -> dict[str, ChunkRow]:
    found: dict[str, ChunkRow] = {}
    empty = 0
    for where, value in _lines(path):
        doc = _text(where, value, "_id")
        if doc in found:
            raise DumpError(f"{where}: _id {doc!r} stands twice.")
        title = _text(where, value, "title", optional=True)
        text = _text(where, value, "text", optional=True)
        body = f"{title}\n{text}".strip()
        if not body:
            empty += 1
            continue
        metadata = value.get("metadata")
        url = metadata.get("url") if isinstance(metadata, dict) else None
        page = url if isinstance(url, str) and url else f"beir://{collection}/{quote(doc)}"
        found[doc] = ChunkRow(len(found) + 1, page, body)
    if not found:
        raise DumpError(f"{path} holds no document with a text.")
    if empty:
        warnings.append(f"{empty} documents without title and text were left out")
    return found


def _judged(path: Path) -> dict[str, dict[str, int]]:
    """Return the grades by query and document."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise DumpError(f"{path} is not UTF-8 (byte {error.start}).") from None
    found: dict[str, dict[str, int]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) == 1:
            cells = line.split()  # TREC's own files have blanks
        if number == 1 and [cell.replace("_", "-").casefold() for cell in cells] == _HEADER:
            continue
        if len(cells) == _TREC and cells[1].upper() in ("0", "Q0"):
            del cells[1]
        if len(cells) != len(_HEADER):
            raise DumpError(
                f"{path}:{number}: {len(cells)} columns; {', '.join(_HEADER)} are expected, "
                "between tabs."
            )
        query, doc, score = cells
        grade = _grade(score)
        if grade is None:
            raise DumpError(f"{path}:{number}: score is a whole number, not {score!r}.")
        if not query or not doc:
            raise DumpError(f"{path}:{number}: a query and a document must be named.")
        found.setdefault(query, {})[doc] = grade
    return found


def _grade(text: str) -> int | None:
    """Return a whole number, also where pandas wrote it as 1.0; None: it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _items(
    path: Path,
    judged: dict[str, dict[str, int]],
    rows: dict[str, ChunkRow],
    hashes: dict[str, str],
    warnings: list[str],
) -> list[Item]:
    items: list[Item] = []
    said: Counter[str] = Counter()
    seen: set[str] = set()
    for where, value in _lines(path):
        query, question = _text(where, value, "_id"), _text(where, value, "text")
        if query in seen:
            raise DumpError(f"{where}: _id {query!r} stands twice.")
        seen.add(query)
        if query not in judged:
            continue
        grades = {doc: grade for doc, grade in judged[query].items() if grade > 0}
        there = [doc for doc in grades if doc in rows]
        said["lost"] += len(grades) - len(there)
        if not there:
            said["without"] += 1
            continue
        pages = dict.fromkeys(rows[doc].page_url for doc in there)
        details: dict[str, Any] = {"beir_id": query}
        if any(grade != 1 for grade in grades.values()):
            details["grades"] = {hashes[doc]: grades[doc] for doc in there}
        items.append(
            Item(
                query,
                question,
                None,
                tuple(dict.fromkeys(hashes[doc] for doc in there)),
                tuple(pages),
                details,
            )
        )
    if unknown := sorted(set(judged) - seen):
        shown = ", ".join(unknown[:5])
        raise DumpError(f"{path}: qrels judge queries that it lacks: {shown} ({len(unknown)}).")
    if not items:
        raise DumpError(f"{path}: no query has a relevant document in the corpus.")
    if said["lost"]:
        warnings.append(f"{said['lost']} judgements name documents that the corpus lacks")
    if said["without"]:
        warnings.append(f"{said['without']} queries without a relevant document were left out")
    return items


def _lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}:{number}"
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                said = f"{where}: not JSON: {error.msg} (column {error.colno})."
                raise DumpError(said) from None
            except (ValueError, RecursionError):
                raise DumpError(f"{where}: JSON that cannot be read.") from None
            if not isinstance(value, dict):
                raise DumpError(f"{where}: expected an object.")
            yield where, value


def _text(where: str, value: dict[str, Any], name: str, *, optional: bool = False) -> str:
    found = value.get(name)
    if found is None and optional:
        return ""
    if isinstance(found, int) and name == "_id":
        found = str(found)
    if not isinstance(found, str) or (not found.strip() and not optional):
        raise DumpError(
            f"{where}: {name} must be a text{'' if optional else ' that is not empty'}."
        )
    if "\x00" in found:
        raise DumpError(f"{where}: {name} holds a character that cannot be stored.")
    return found.strip() if name != "_id" else found
