"""API keys as they are stored: found, made, revoked, rotated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import func, insert, select, update

from rag_bench.access.keys import NewKey, make_key
from rag_bench.access.scopes import Principal, expand
from rag_bench.errors import RagBenchError
from rag_bench.store.access import rates
from rag_bench.store.access.tables import api_key

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row


@dataclass(frozen=True)
class StoredKey:
    """A key without its secret. ``state``: active, expired or revoked, as of when it was read."""

    id: str
    name: str
    user_id: str
    scopes: tuple[str, ...]
    requests_per_minute: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: str | None
    state: str

    def good_for(self, time: timedelta) -> bool:
        """Whether the key is active and will be for so long."""
        if self.state != "active":
            return False
        return self.expires_at is None or self.expires_at > datetime.now(UTC) + time

    def principal(self) -> Principal:
        """Return whom the key tells of; scopes of a later version are passed over."""
        return Principal(
            self.user_id, f"key:{self.id}", expand(self.scopes), self.id, self.requests_per_minute
        )


_SHOWN = (
    api_key.c.id,
    api_key.c.name,
    api_key.c.user_id,
    api_key.c.scopes,
    api_key.c.requests_per_minute,
    api_key.c.created_at,
    api_key.c.expires_at,
    api_key.c.revoked_at,
    api_key.c.last_used_at,
    api_key.c.replaced_by,
    (api_key.c.expires_at <= func.now()).label("past"),
)


def _stored(row: Row) -> StoredKey:
    state = "revoked" if row.revoked_at else "expired" if row.past else "active"
    shown = row._asdict()
    for name in ("past", "secret_hash", "taken"):
        shown.pop(name, None)
    return StoredKey(**{**shown, "scopes": tuple(row.scopes)}, state=state)


def find(connection: Connection, key_id: str) -> tuple[StoredKey, str] | None:
    """Return a key and the hash of its secret; None: there is none of this id."""
    query = select(*_SHOWN, api_key.c.secret_hash).where(api_key.c.id == key_id)
    row = connection.execute(query).one_or_none()
    return (_stored(row), row.secret_hash) if row else None


def find_and_count(
    connection: Connection, key_id: str, secret_hash: str, per_minute: int
) -> tuple[StoredKey, str, bool] | None:
    """Return a key and the hash of its secret, as `find` does, and count a request of it.

    The third says whether the request is within the key's minute, or ``per_minute``.
    """
    row = rates.take_of_key(connection, key_id, secret_hash, per_minute)
    return (_stored(row), row.secret_hash, row.taken) if row else None


def create(
    connection: Connection,
    *,
    name: str,
    user_id: str,
    scopes: Sequence[str],
    lifetime: timedelta | None,
    requests_per_minute: int | None = None,
) -> NewKey:
    """Store a new key and return it, with the text that is never to be had again.

    Args:
        connection: in whose transaction.
        name: what it is for, for people.
        user_id: who acts by it.
        scopes: what it allows.
        lifetime: after which it expires; None: never.
        requests_per_minute: None: the setting's.
    """
    made = make_key()
    connection.execute(
        insert(api_key).values(
            id=made.id,
            name=name,
            user_id=user_id,
            secret_hash=made.secret_hash,
            scopes=list(scopes),
            requests_per_minute=requests_per_minute,
            expires_at=None if lifetime is None else func.now() + lifetime,
        )
    )
    return made


def revoke(connection: Connection, key_id: str) -> StoredKey:
    """End a key at once and return it as it was; one that is revoked already stays so.

    Raises:
        RagBenchError: there is no such key.
    """
    before = _known(connection, key_id)
    connection.execute(
        update(api_key)
        .where(api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )
    return before


def rotate(
    connection: Connection,
    key_id: str,
    *,
    overlap: timedelta,
    lifetime: timedelta | None = None,
    forever: bool = False,
) -> tuple[NewKey, StoredKey]:
    """Make the successor of a key, which itself goes on for ``overlap`` and no longer.

    Args:
        connection: in whose transaction.
        key_id: of the key that goes.
        overlap: how long both are good; the old one never gets longer than it had.
        lifetime: of the new one; None: as long as the old one was made for.
        forever: the new one never expires, whatever the old one did.

    Returns:
        The new key and the old one as it is now.

    Raises:
        RagBenchError: there is no such key, or it is not active, or was rotated already.
    """
    old = _known(connection, key_id, lock=True)
    if old.state != "active" or old.replaced_by:
        state = f"rotated to {old.replaced_by} already" if old.replaced_by else old.state
        raise RagBenchError(
            f"The key {key_id} is {state}; make a new one with `rag-bench keys create`."
        )
    if forever:
        lifetime = None
    elif lifetime is None and old.expires_at is not None:
        lifetime = old.expires_at - old.created_at
    made = create(
        connection,
        name=old.name,
        user_id=old.user_id,
        scopes=old.scopes,
        lifetime=lifetime,
        requests_per_minute=old.requests_per_minute,
    )
    until = func.least(api_key.c.expires_at, func.now() + overlap)  # passes over a null
    connection.execute(
        update(api_key).where(api_key.c.id == key_id).values(expires_at=until, replaced_by=made.id)
    )
    return made, _known(connection, key_id)


def list_keys(engine: Engine) -> Sequence[StoredKey]:
    """Return all keys, newest first."""
    query = select(*_SHOWN).order_by(api_key.c.created_at.desc(), api_key.c.id)
    with engine.connect() as connection:
        return [_stored(row) for row in connection.execute(query)]


def _known(connection: Connection, key_id: str, *, lock: bool = False) -> StoredKey:
    query = select(*_SHOWN).where(api_key.c.id == key_id)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise RagBenchError(f"There is no key {key_id}; `rag-bench keys list` shows all.")
    return _stored(row)
