"""Names that the chunks of a snapshot have, and that are therefore public."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rag_bench.privacy.public_names import PublicNames
from rag_bench.store import snapshots

if TYPE_CHECKING:
    from sqlalchemy import Engine

_KEPT = 4
_lock = threading.Lock()
_of_corpus: dict[str, PublicNames] = {}


def public_names_of(engine: Engine, snapshot: snapshots.SnapshotInfo) -> PublicNames:
    """Return the names in a snapshot's chunks; read once per set of chunks in this process."""
    with _lock:
        names = _of_corpus.pop(snapshot.corpus_hash, None)
        if names is None:
            chunks = snapshots.chunks_of(engine, snapshot.sha256)
            names = PublicNames(chunk.text for chunk in chunks)
        # The last is the latest asked for.
        _of_corpus[snapshot.corpus_hash] = names
        while len(_of_corpus) > _KEPT:
            del _of_corpus[next(iter(_of_corpus))]
        return names
