"""Texts of prompts by the hash that evaluations name: what changed can be read years later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from rag_bench.store.releases.tables import prompt_text

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Of this process, by database: a sweep of a hundred cells writes them once.
_KEPT: set[tuple[str, str]] = set()


def keep_texts(engine: Engine, hashed: str, texts: Mapping[str, str]) -> None:
    """Store the texts, by name, that ``hashed`` is the hash of; once is enough."""
    key = (str(engine.url), hashed)
    if key in _KEPT:
        return
    made = insert(prompt_text).values(hash=hashed, texts=dict(texts)).on_conflict_do_nothing()
    with engine.begin() as connection:
        connection.execute(made)
    _KEPT.add(key)


def texts_of(engine: Engine, hashed: str) -> dict[str, str] | None:
    """Return the texts behind a hash, by the prompts' names; None if they were never stored."""
    query = select(prompt_text.c.texts).where(prompt_text.c.hash == hashed)
    with engine.connect() as connection:
        return connection.execute(query).scalar_one_or_none()
