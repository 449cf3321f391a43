"""Aliases: what clients call chunks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from rag_bench.store.eval_runs.tables import chunk_alias

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LOCK = 7_240_613_070  # any number of ours: one import at a time, so that its counts are true
_AT_ONCE = 5000


@dataclass(frozen=True)
class Saved:
    """What an import did: aliases that are new, those that mean another chunk now, the others."""

    added: int
    changed: int
    unchanged: int

    def as_json(self) -> dict[str, int]:
        """Return the counts."""
        return asdict(self)


def save(connection: Connection, aliases: Mapping[str, str], user_id: str | None) -> Saved:
    """Store chunks' hashes by alias, in the caller's transaction; what was there is replaced."""
    connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    added = changed = 0
    names = list(aliases)
    for start in range(0, len(names), _AT_ONCE):
        part = names[start : start + _AT_ONCE]
        there = dict(
            connection.execute(
                select(chunk_alias.c.alias, chunk_alias.c.chunk_hash).where(
                    chunk_alias.c.alias.in_(part)
                )
            )
            .tuples()
            .all()
        )
        added += len(part) - len(there)
        other = [name for name in part if there.get(name) != aliases[name]]
        changed += len(other) - (len(part) - len(there))
        if other:
            new = insert(chunk_alias).values(
                [{"alias": name, "chunk_hash": aliases[name], "user_id": user_id} for name in other]
            )
            connection.execute(
                new.on_conflict_do_update(
                    index_elements=["alias"],
                    set_={
                        "chunk_hash": new.excluded.chunk_hash,
                        "user_id": new.excluded.user_id,
                        "created_at": func.now(),
                    },
                )
            )
    return Saved(added, changed, len(names) - added - changed)
