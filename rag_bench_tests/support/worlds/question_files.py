"""A small snapshot, and files of questions and pairs about it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag_bench.hashing import chunk_hash

BASE = "https://help.example/pages/"


@dataclass(frozen=True)
class Chunk:
    chunk_hash: str
    page_url: str
    text: str
    source_id: int | None = None


def _chunk(slug: str, text: str, source_id: int | None = None) -> Chunk:
    url = slug if "://" in slug else BASE + slug
    return Chunk(chunk_hash(url, text), url, text, source_id)


LONG = "Общежитие: заселение. " + "Приходите с паспортом и договором. " * 40


STIPEND = [
    _chunk("stipend", "Стипендия\n\nРазмер стипендии 3 200 рублей.", 11),
    _chunk("stipend", "Стипендия\n\nПриходит 25-го числа.", 12),
    _chunk("stipend", "Реквизиты меняют в кабинете.", 13),
]


DORM = [_chunk("dorm", LONG, 14), _chunk("dorm", "Оплата до 10-го числа.", 15)]


CHUNKS = [STIPEND[0], DORM[0], STIPEND[1], STIPEND[2], DORM[1]]


def write(path: Path, value: Any, name: str = "gold.json") -> Path:
    file = path / name
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    file.write_text(text, encoding="utf-8")
    return file


def _lines(*rows: Any) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


GOLD = {
    "id": "g1",
    "question": "Когда придёт стипендия?",
    "reference_answer": "25-го числа.",
    "relevant": [{"page": "stipend", "chunk": 2}],
    "lang": "ru",
}


# The forerunner's format ----------------------------------------------------------------------

OLD = {
    "question": "как заселиться в общагу",
    "ground_truth_answer": "С паспортом и договором.",
    "chunk_id": 92401,  # of a dump long gone; here another chunk has it
    "chunk_text": LONG[:500],
    "confluence_url": BASE + "dorm",
    "source": "synthetic",
    "user_score": 5,
    "question_source": None,
}
