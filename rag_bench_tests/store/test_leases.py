"""The connection that claims share: one for all, and a server that restarts ends no call."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine, text

from rag_bench.store import leases
from rag_bench.store.leases import LeaseError, LeaseRow, LeaseStore

_CONNECTIONS = "from pg_stat_activity where application_name = 'rag_bench leases'"
_OURS = f"{_CONNECTIONS} and datname = current_database()"


async def _hold_lease(store: LeaseStore, holder: str) -> None:
    await store.join("account", "x")
    state = await store.read("account")
    lease = LeaseRow(holder, 1, 1.0, 1, 1.0, 1)
    assert await store.write("account", state.version, lease, expiry=600)


def test_many_claims_at_once_take_one_connection_and_outlive_it(
    database_url: str, engine: Engine
) -> None:
    async def main() -> None:
        store = LeaseStore(database_url)
        first = await asyncio.gather(*(store.claim(f"key {n}", "we") for n in range(20)))
        with engine.connect() as connection:
            assert connection.execute(text(f"select count(*) {_OURS}")).scalar_one() == 1
            connection.execute(text(f"select pg_terminate_backend(pid) {_OURS}"))
        later = await asyncio.gather(*(store.claim(f"key {n}", "we") for n in range(20, 40)))
        assert [*first, *later] == [True] * 40
        await asyncio.gather(*(store.unclaim(f"key {n}", "we") for n in range(40)))
        await store.close()
        with engine.connect() as connection:
            claims = connection.execute(text("select count(*) from rag_bench.call_claim"))
            assert claims.scalar_one() == 0

    asyncio.run(main())


def test_a_claim_that_was_made_already_is_ones_own_still(database_url: str) -> None:
    """The answer to the first may have been lost, or it could not be taken away."""

    async def main() -> None:
        store = LeaseStore(database_url)
        await _hold_lease(store, "we")
        assert await store.claim("key", "we")
        assert await store.claim("key", "we")
        assert not await store.claim("key", "they")
        await store.close()

    asyncio.run(main())


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "PATIENCE", 0.0)

    async def main() -> None:
        store = LeaseStore("postgresql://nobody@127.0.0.1:1/nowhere")
        with pytest.raises(LeaseError, match="does not answer"):
            await store.claim("key", "we")

    asyncio.run(main())


def test_whose_turn_comes_too_late_does_not_find_out_anew(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that hangs costs each statement seconds, and many wait in a row at shutdown."""
    monkeypatch.setattr(leases, "PATIENCE", -1.0)

    async def main() -> None:
        store = LeaseStore(database_url)
        with pytest.raises(LeaseError, match="does not answer"):
            await store.claim("key", "we")

    asyncio.run(main())
    with engine.connect() as connection:
        claims = connection.execute(text("select count(*) from rag_bench.call_claim"))
        assert claims.scalar_one() == 0
