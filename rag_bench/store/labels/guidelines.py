"""Guidelines that annotators go by: a changed text is a new version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select

from rag_bench.hashing import text_hash
from rag_bench.store.labels.tables import label_guideline

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine


@dataclass(frozen=True)
class Guideline:
    """One version of a guideline."""

    name: str
    version: int
    text: str

    @property
    def hash(self) -> str:
        """The address of its text."""
        return text_hash(self.text)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def keep_guideline(
    connection: Connection, name: str, text: str, user_id: str | None = None
) -> Guideline:
    """Return the version of a guideline that has this text, a new one if none has.

    Raises:
        ValueError: the name or the text is empty.
    """
    name, text = name.strip(), text.strip()
    if not name or not text:
        raise ValueError("a guideline has a name and a text")
    columns = label_guideline.c
    # Two who bring one text at once must not make two versions.
    connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"guideline {name}"))))
    known = select(columns.version).where(
        columns.name == name, columns.text_hash == text_hash(text)
    )
    version = connection.execute(known).scalar_one_or_none()
    if version is None:
        newest = select(func.max(columns.version)).where(columns.name == name)
        version = (connection.execute(newest).scalar() or 0) + 1
        connection.execute(
            insert(label_guideline).values(
                name=name, version=version, text=text, text_hash=text_hash(text), user_id=user_id
            )
        )
    return Guideline(name, int(version), text)


def get_guideline(engine: Engine, name: str, version: int | None = None) -> Guideline | None:
    """Return a version of a guideline, the newest without a number."""
    columns = label_guideline.c
    query = select(columns.name, columns.version, columns.text).where(columns.name == name)
    if version is not None:
        query = query.where(columns.version == version)
    with engine.connect() as connection:
        row = connection.execute(query.order_by(columns.version.desc()).limit(1)).one_or_none()
    return None if row is None else Guideline(*row)


def guidelines(engine: Engine) -> list[Guideline]:
    """Return all versions, by name, newest first."""
    columns = label_guideline.c
    query = select(columns.name, columns.version, columns.text)
    with engine.connect() as connection:
        rows = connection.execute(query.order_by(columns.name, columns.version.desc())).all()
    return [Guideline(*row) for row in rows]
