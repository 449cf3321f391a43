"""Write questions as files that people annotate and that are read back (`dataset_files`)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.chunk_references import Chunk, by_hash, database_id
from rag_bench.store.datasets import Item

_FLAGS = ("is_question_ok", "is_answer_ok", "is_chunk_ok")


def export_annotation(items: Sequence[Item], chunks: Iterable[Chunk] = ()) -> list[dict[str, Any]]:
    """Return questions with the fields that an annotator fills in, as JSON-ready objects.

    Raises:
        RagBenchError: the items are show/hide pairs, which carry their label already.

    """
    fields = {"is_question_ok": 1, "is_answer_ok": 1, "is_chunk_ok": 1, "notes": ""}
    return [row | fields for row in export_questions(items, chunks)]


def export_questions(items: Sequence[Item], chunks: Iterable[Chunk] = ()) -> list[dict[str, Any]]:
    """Return questions as JSON-ready objects that `read_gold` reads back.

    The forerunner's fields, with the whole chunk text instead of 500 characters of it, and the
    chunks' hashes, by which ``read_gold`` finds them again. ``chunks`` supply texts and ids.

    Raises:
        RagBenchError: the items are show/hide pairs, which carry their label already.

    """
    known = by_hash(chunks)
    exported = []
    for item in items:
        if "ground_truth_show" in item.details:
            raise RagBenchError("Show/hide pairs are labelled already; only questions can be.")
        found = [known[h] for h in item.chunk_hashes if h in known]
        details = item.details
        made = "synthetic" if "written_by" in details else None
        exported.append(
            {
                "id": item.item_id,
                "question": item.question,
                "ground_truth_answer": item.reference_answer,
                "source": details.get("source", made),
                "question_source": details.get("question_source", made),
                "question_answer_id": details.get("question_answer_id"),
                "chunk_id": database_id(found[0]) if found else None,
                "chunk_text": found[0].text if found else "",
                "confluence_url": item.page_urls[0] if item.page_urls else None,
                "relevant_chunk_ids": [database_id(chunk) for chunk in found],
                "relevant_urls": list(item.page_urls),
                "ground_truth_chunks": list(item.chunk_hashes),
                "user_score": details.get("user_score"),
                "is_relevant_chunk_matched": details.get("is_relevant_chunk_matched"),
                "lang": details.get("language"),
                "type": details.get("type"),
                "written_by": details.get("written_by"),
                "criticised_by": details.get("criticised_by"),
            }
        )
    return exported


def makers(items: Iterable[Item]) -> dict[str, list[str]]:
    """Return which models wrote and criticised questions, as a dataset's record holds it.

    So that a file that was annotated and imported again still names them.
    """
    found: dict[str, list[str]] = {}
    for item in items:
        for field, name in (("written_by", "writer"), ("criticised_by", "critic")):
            model = item.details.get(field)
            if isinstance(model, str) and model not in found.setdefault(name, []):
                found[name].append(model)
    return {name: models for name, models in found.items() if models}


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write objects as a JSON array, whole or not at all; missing folders are made.

    Raises:
        RagBenchError: the file is there and holds what a person entered, or is no such file, or
            the folder cannot be written.
    """
    refuse_touched(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(list(rows), ensure_ascii=False, indent=2)
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise RagBenchError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        beside.unlink(missing_ok=True)


def refuse_touched(path: Path) -> None:
    """Raise RagBenchError if a file is there that is no export as it was written."""
    if path.exists() and not _untouched(path):
        raise RagBenchError(
            f"{path} is there already and is no untouched export: somebody may have annotated it. "
            "Name another --output, or move it away."
        )


def _untouched(path: Path) -> bool:
    """Whether a file is an export as it was written, with no flag taken back and no note."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(rows, list) and all(
        isinstance(row, dict)
        and "ground_truth_chunks" in row
        and all(row.get(flag, 1) == 1 for flag in _FLAGS)
        and not row.get("notes")
        for row in rows
    )
