"""The renewals of leases, made one by one: what they do when the database was away."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import Engine, text

from rag_bench.llm.sharing.leases import Leases
from rag_bench.llm.sharing.shares import Division
from rag_bench.llm.transport.pacing import Pace
from rag_bench.llm.transport.queueing import Queue
from rag_bench.store.sharing.leases import LeaseError

SLOTS = 8


class Process:
    """One process's leases, renewed only on demand, and calls that wait for ever."""

    def __init__(self, database_url: str) -> None:
        self.queue = Queue(Pace(SLOTS))
        self.leases = Leases(database_url)
        self.leases.share("x", "x", self.queue, SLOTS)
        assert self.leases._task is not None
        self.leases._task.cancel()
        self.member = self.leases._members[0]
        self._calls: list[asyncio.Task[Any]] = []

    def ask(self, calls: int) -> None:
        for _ in range(calls):
            waiting = self.queue.permit(self.queue.number(), 0.0)
            self._calls.append(asyncio.create_task(waiting))

    async def renew(self) -> None:
        await asyncio.sleep(0)
        await self.leases._renew(self.member)
        await asyncio.sleep(0)

    async def close(self) -> None:
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self.leases.close()


@asynccontextmanager
async def processes(database_url: str, n: int) -> AsyncIterator[list[Process]]:
    made = [Process(database_url) for _ in range(n)]
    try:
        yield made
    finally:
        for process in made:
            await process.close()


@pytest.mark.parametrize("long", [True, False], ids=["the database was away", "its clock jumped"])
def test_who_comes_back_first_leaves_the_others_what_they_have_in_flight(
    database_url: str, engine: Engine, long: bool
) -> None:
    async def main() -> None:
        async with processes(database_url, 2) as (one, other):
            one.ask(20)
            other.ask(20)
            for process in (one, other, one, other):
                await process.renew()
            in_flight = [process.queue.pace.in_flight for process in (one, other)]
            # The first to come started all it could, and nothing of it has ended.
            assert sum(in_flight) == SLOTS
            for call in one._calls[:SLOTS:2]:  # half of one's calls end; the other gets their room
                assert call.done()
                one.queue.pace.failed(call.result())
            for process in (one, other):
                await process.renew()
            assert [p.queue.pace.in_flight for p in (one, other)] == [SLOTS / 2, SLOTS / 2]
            with engine.begin() as connection:
                connection.execute(
                    text("update rag_bench.provider_lease set expires_at = now() - interval '1 s'")
                )
            if long:
                for process in (one, other):
                    process.member.gate.valid_until = 0.0
            await one.renew()
            assert one.queue.pace.in_flight + other.queue.pace.in_flight == SLOTS
            await other.renew()
            assert one.queue.pace.in_flight + other.queue.pace.in_flight == SLOTS
            # One that does not come back has lost its share in the end.
            with engine.begin() as connection:
                connection.execute(
                    text(
                        "update rag_bench.provider_lease set expires_at = now() - interval '1 s' "
                        "where holder = :holder"
                    ),
                    {"holder": other.leases.holder},
                )
            one.member.patient_until = -math.inf
            await one.renew()
            assert one.queue.pace.in_flight == SLOTS

    asyncio.run(main())


def test_calls_start_when_the_rate_comes_while_slots_are_still_moved(database_url: str) -> None:
    async def main() -> None:
        async with processes(database_url, 1) as [process]:
            process.ask(2)
            await asyncio.sleep(0)
            from rag_bench.llm.transport.queueing import clock

            for rate in (0.0, 0.5):
                division = Division(2, rate, settled=False, alone=False)
                process.leases._open(process.member, division, clock())
            assert process.queue.pace.in_flight == 2

    asyncio.run(main())


def test_a_fault_in_the_renewals_is_told_to_whoever_waits(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Leases, member: object) -> bool:
        raise ZeroDivisionError("of no use")

    monkeypatch.setattr(Leases, "_renew", broken)

    async def main() -> None:
        leases, queue = Leases(database_url), Queue(Pace(SLOTS))
        leases.share("x", "x", queue, SLOTS)
        for _ in range(2):  # one that waits, and one that comes later
            async with asyncio.timeout(60):
                with pytest.raises(LeaseError, match="ZeroDivisionError: of no use"):
                    await queue.permit(queue.number(), 0.0)
        with suppress(LeaseError):
            await leases.close()

    asyncio.run(main())
