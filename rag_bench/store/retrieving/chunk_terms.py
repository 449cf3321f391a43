"""Terms of texts for a search by words: written once, read back by (version, text hash).

As with vectors, whoever makes the terms of the same text by the same rules would write the same
row. A row is the terms between single spaces, which no term holds: quicker read than an array, and
the server compresses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlalchemy import Connection, Engine, text

from rag_bench.store.tables import SCHEMA

_READ_BLOCK = 5_000


def stored_terms(
    engine: Engine, version: str, text_hashes: Iterable[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield (text hash, terms) of those of ``text_hashes`` whose terms are stored, each once."""
    query = text(
        f"""
        select text_hash, terms from {SCHEMA}.chunk_terms
        join unnest(cast(:hashes as text[])) as wanted (text_hash) using (text_hash)
        where version = :version
        """
    )
    wanted = sorted(set(text_hashes))
    # One query, a block of rows at a time: a query per block may scan the table for each.
    with engine.connect().execution_options(yield_per=_READ_BLOCK) as connection:
        for row in connection.execute(query, {"version": version, "hashes": wanted}):
            yield row.text_hash, row.terms.split()


def save_terms(engine: Engine, version: str, terms: Mapping[str, Sequence[str]]) -> int:
    """Store ``{text hash: terms}``, all or none; rows already there are left as they are.

    Returns:
        How many rows were new.

    Raises:
        ValueError: a term is empty or has a space in it.
    """
    if any(term.split() != [term] for row in terms.values() for term in row):
        raise ValueError("a term must be a word")
    if not terms:
        return 0
    with engine.begin() as connection:
        return _insert(connection, version, terms)


def _insert(connection: Connection, version: str, terms: Mapping[str, Sequence[str]]) -> int:
    query = text(
        f"""
        insert into {SCHEMA}.chunk_terms (version, text_hash, terms)
        select :version, text_hash, terms
        from unnest(cast(:hashes as text[]), cast(:terms as text[])) as new (text_hash, terms)
        on conflict do nothing
        """
    )
    # In one order by all writers, so that two of them wait for each other in one direction.
    hashes = sorted(terms)
    rows = [" ".join(terms[value]) for value in hashes]
    result = connection.execute(query, {"version": version, "hashes": hashes, "terms": rows})
    return int(result.rowcount)
