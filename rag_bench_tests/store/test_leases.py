"""The connection that claims share: one for all, and a server that restarts ends no call."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine, text

from rag_bench.store.sharing import leases
from rag_bench.store.sharing.leases import LeaseError, LeaseRow, LeaseStore

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


def test_claims_made_at_once_are_each_one_s_own(database_url: str, engine: Engine) -> None:
    """They go in few statements; of two holders that want a key at once one gets it."""

    async def main() -> None:
        store = LeaseStore(database_url)
        await _hold_lease(store, "they")
        assert await store.claim("key 1", "they")
        asked = [("key 3", "we"), ("key 1", "we"), ("key 2", "we"), ("key 3", "we")]
        other = store.claim("key 2", "others")
        mine = await asyncio.gather(*(store.claim(*one) for one in asked), other)
        assert mine == [True, False, True, True, False]
        await asyncio.gather(store.unclaim("key 1", "we"), store.unclaim("key 3", "we"))
        with engine.connect() as connection:
            left = connection.execute(text("select key, holder from rag_bench.call_claim"))
            assert set(map(tuple, left)) == {("key 1", "they"), ("key 2", "we")}
        await store.close()

    asyncio.run(main())


def test_two_processes_that_claim_and_give_back_the_same_keys_do_not_lock_each_other(
    database_url: str, engine: Engine
) -> None:
    async def main() -> None:
        first, second = LeaseStore(database_url), LeaseStore(database_url)
        await _hold_lease(first, "one")
        await _hold_lease(first, "two")
        keys = [f"key {n}" for n in range(40)]

        async def use(store: LeaseStore, holder: str, order: list[str]) -> int:
            n_claimed = 0
            for _ in range(10):
                got = await asyncio.gather(*(store.claim(key, holder) for key in order))
                mine = [key for key, is_mine in zip(order, got, strict=True) if is_mine]
                n_claimed += len(mine)
                await asyncio.gather(*(store.unclaim(key, holder) for key in mine[::-1]))
            return n_claimed

        await asyncio.gather(use(first, "one", keys[:1]), use(second, "two", keys[1:2]))
        connections = _connections(engine)
        counts = await asyncio.gather(use(first, "one", keys), use(second, "two", keys[::-1]))
        assert min(counts) > 0
        # A deadlock would have ended one of them, and the store would have opened another.
        assert len(connections) == 2
        assert _connections(engine) == connections
        await first.close()
        await second.close()

    asyncio.run(main())


def _connections(engine: Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.execute(text(f"select pid {_OURS}")).scalars())
