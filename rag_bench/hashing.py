"""Content addresses: everything stored is named by the hash of what it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def text_hash(text: str) -> str:
    """Return the sha256 (hex) of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def canonical_json(value: Any) -> str:
    """Serialise so that equal values give equal text: sorted keys, no spaces, Unicode kept."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def content_hash(value: Any) -> str:
    """Return the sha256 (hex) of a JSON-serialisable value's canonical form."""
    return text_hash(canonical_json(value))


def chunk_hash(page_url: str, text: str) -> str:
    """Return a chunk's address: its page and its text, never its database id."""
    return content_hash([page_url, text])


def corpus_hash(chunk_hashes: Iterable[str]) -> str:
    """Return the address of a set of chunks; order and database ids do not matter."""
    return content_hash(sorted(set(chunk_hashes)))


def file_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
