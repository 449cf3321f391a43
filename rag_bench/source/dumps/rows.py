"""What is taken from a dump: two tables' rows, as plain values."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rag_bench.evaluation.text.text_folding import fold
from rag_bench.evaluation.traffic.ratings import RatingScale, recognise
from rag_bench.hashing import chunk_hash, corpus_hash
from rag_bench.source.limits import listed, quoted
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, QuestionRecord


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A chunk of the knowledge base; ``source_id`` is its id in the dump, for people only."""

    source_id: int | str | None
    page_url: str
    text: str
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuestionRow:
    """A question that a user asked, with what production answered ('' or None: nothing)."""

    source_id: int | str
    question: str
    answer: str | None
    page_url: str | None
    score: int | float | None
    user_id: int | str | None
    stop_point: bool | None
    created_at: datetime | None


def snapshot_chunks(rows: list[ChunkRow]) -> list[ChunkRecord]:
    """Address each chunk by its content; positions are the order of the rows."""
    return [
        ChunkRecord(
            chunk_hash=chunk_hash(row.page_url, row.text),
            position=position,
            source_id=row.source_id,
            page_url=row.page_url,
            text=row.text,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )
        for position, row in enumerate(rows)
    ]


def rating_scale(rows: list[QuestionRow]) -> RatingScale:
    """Return the scale on which users rated."""
    return recognise({float(value): n for value, n in _by_rating(rows).items()})


def _by_rating(rows: list[QuestionRow]) -> dict[str, int]:
    counts = Counter(row.score for row in rows if row.score is not None)
    return {str(value): counts[value] for value in sorted(counts)}


def twin_notes(rows: list[ChunkRow]) -> list[str]:
    """Return a note if texts stand on several pages: which page's chunk is found is chance."""
    urls: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        urls[fold(row.text)].append(row.page_url)
    shared = [found for found in urls.values() if len(found) > 1]
    if not shared:
        return []
    most = max(shared, key=len)
    return [
        f"{sum(map(len, shared)):,} chunks share {len(shared):,} texts with other chunks; the most "
        f"frequent stands in {len(most):,} chunks, as on "
        f"{listed([quoted(url, 80).strip(chr(39)) for url in sorted(set(most))], 3)}. A twin of a "
        "relevant chunk counts as relevant"
    ]


@dataclass(frozen=True)
class ParsedDump:
    """A dump that was read whole and found valid. Nothing is stored yet."""

    name: str
    format: str  # plain, custom or tar
    gzipped: bool
    archive_version: str | None
    server_version: str | None
    sha256: str  # of the file as it lies on disk
    size_bytes: int
    chunks: list[ChunkRow]
    questions: list[QuestionRow]
    warnings: list[str] = field(default_factory=list)
    tables: dict[str, Any] = field(default_factory=dict)  # rows read and left out, by table

    @property
    def corpus_hash(self) -> str:
        """The address of the chunks together: equal for equal texts, whatever their ids."""
        return corpus_hash(chunk_hash(row.page_url, row.text) for row in self.chunks)

    @property
    def ratings(self) -> RatingScale:
        """The scale on which users rated."""
        return rating_scale(self.questions)

    def to_snapshot(self) -> NewSnapshot:
        """Return what ``save_snapshot`` stores."""
        return NewSnapshot(
            sha256=self.sha256,
            name=self.name,
            kind="dump",
            size_bytes=self.size_bytes,
            chunks=snapshot_chunks(self.chunks),
            questions=[
                QuestionRecord(
                    source_id=row.source_id,
                    question=row.question,
                    answer=row.answer,
                    page_url=row.page_url,
                    score=row.score,
                    user_id=row.user_id,
                    stop_point=row.stop_point,
                    created_at=row.created_at,
                )
                for row in self.questions
            ],
            report={
                "format": self.format,
                "gzipped": self.gzipped,
                "archive_version": self.archive_version,
                "server_version": self.server_version,
                "warnings": self.warnings,
                "tables": self.tables,
                "ratings": {"scale": self.ratings.name, "counts": _by_rating(self.questions)},
            },
        )
