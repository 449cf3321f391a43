"""What clients call chunks: the dump's own ids, content hashes, aliases; and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Text, any_, bindparam, select

from rag_bench.store.eval_runs.tables import chunk_alias
from rag_bench.store.ids import identifier
from rag_bench.store.tables import chunk, dump

if TYPE_CHECKING:
    from sqlalchemy import Connection


def hashes_of(
    connection: Connection, dump_sha256: str, names: Collection[str], *, with_aliases: bool = True
) -> dict[str, str]:
    """Return the chunks of a snapshot by what clients call them; unknown names are left out.

    The dump's own id goes before the content hash, that before an alias. Of several chunks with
    one id the first in the dump counts.
    """
    if not names:
        return {}
    wanted = _array(names)
    of_dump = chunk.c.dump_sha256 == dump_sha256
    by_alias = (
        select(chunk_alias.c.alias, chunk_alias.c.chunk_hash)
        .join(chunk, chunk.c.chunk_hash == chunk_alias.c.chunk_hash)
        .where(of_dump, chunk_alias.c.alias == any_(wanted))
    )
    by_hash = select(chunk.c.chunk_hash, chunk.c.chunk_hash).where(
        of_dump, chunk.c.chunk_hash == any_(wanted)
    )
    by_id = (
        select(chunk.c.source_id, chunk.c.chunk_hash)
        .where(of_dump, chunk.c.source_id == any_(wanted))
        .order_by(chunk.c.position.desc())
    )
    found: dict[str, str] = {}
    queries = [by_alias, by_hash, by_id]  # the later overwrite
    for query in queries if with_aliases else queries[1:]:
        found |= dict(connection.execute(query).tuples().all())
    return found


@dataclass(frozen=True)
class Named:
    """What clients' names of chunks mean.

    Attributes:
        current: chunks of the current snapshot, by name.
        outdated: names that only earlier snapshots have.
    """

    current: Mapping[str, str] = field(default_factory=dict)
    outdated: Collection[str] = frozenset()


def named_in(connection: Connection, dump_sha256: str | None, names: Collection[str]) -> Named:
    """Return what names mean: in the current snapshot, as `hashes_of` has it; else in the newest
    earlier one that has them. A chunk of that one which the current snapshot has, too, by the same
    text on the same page, is that chunk, whatever its id is now.
    """
    if dump_sha256 is None:
        return Named()
    current = hashes_of(connection, dump_sha256, names)
    left = set(names) - set(current)
    if not left:
        return Named(current)
    earlier = _of_earlier(connection, dump_sha256, left)
    there = hashes_of(connection, dump_sha256, set(earlier.values()), with_aliases=False)
    moved = {name: digest for name, digest in earlier.items() if digest in there}
    return Named({**current, **moved}, frozenset(set(earlier) - set(moved)))


def _of_earlier(connection: Connection, dump_sha256: str, names: Collection[str]) -> dict[str, str]:
    """Return chunks of other snapshots than this one by what clients call them: of the newest that
    has one of the name.
    """
    wanted = _array(names)
    of_others = chunk.c.dump_sha256 != dump_sha256
    newest_last = (dump.c.loaded_at, dump.c.sha256, chunk.c.position.desc())
    of_dump = dump.c.sha256 == chunk.c.dump_sha256
    by_alias = (
        select(chunk_alias.c.alias, chunk_alias.c.chunk_hash)
        .join(chunk, chunk.c.chunk_hash == chunk_alias.c.chunk_hash)
        .join(dump, of_dump)
        .where(of_others, chunk_alias.c.alias == any_(wanted))
        .order_by(*newest_last)
    )
    by_hash = select(chunk.c.chunk_hash, chunk.c.chunk_hash).where(
        of_others, chunk.c.chunk_hash == any_(wanted)
    )
    by_id = (
        select(chunk.c.source_id, chunk.c.chunk_hash)
        .join(dump, of_dump)
        .where(of_others, chunk.c.source_id == any_(wanted))
        .order_by(*newest_last)
    )
    found: dict[str, str] = {}
    for query in (by_alias, by_hash, by_id):  # the later overwrite
        found |= dict(connection.execute(query).tuples().all())
    return found


def names_of(
    connection: Connection, dump_sha256: str | None, hashes: Iterable[str]
) -> Mapping[str, Any]:
    """Return what chunks are called where the client did not name them, by hash.

    An alias (of several the first by alphabet), else the dump's own id, else the hash.
    """
    asked = list(dict.fromkeys(hashes))
    named: dict[str, Any] = {digest: digest for digest in asked}
    if not asked:
        return named
    wanted = _array(asked)
    if dump_sha256 is not None:
        ids = select(chunk.c.chunk_hash, chunk.c.source_id).where(
            chunk.c.dump_sha256 == dump_sha256,
            chunk.c.chunk_hash == any_(wanted),
            chunk.c.source_id.is_not(None),
        )
        named |= {digest: identifier(own) for digest, own in connection.execute(ids).tuples()}
    aliases = (
        select(chunk_alias.c.chunk_hash, chunk_alias.c.alias)
        .where(chunk_alias.c.chunk_hash == any_(wanted))
        .order_by(chunk_alias.c.alias.desc())
    )
    named |= dict(connection.execute(aliases).tuples().all())
    return named


def _array(values: Iterable[str]) -> Any:
    return bindparam(None, list(values), ARRAY(Text), unique=True)
