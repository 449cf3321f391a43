"""This process's part in sharing the providers' limits: a task that renews its leases.

Twice a second each provider's demand is told and its share taken over; while shares are being
moved, more often. No call waits for the database, except the first of a provider. A process that
cannot renew its lease starts nothing after `VALID` seconds, and its share goes to the others after
`EXPIRY`; what it has in flight goes on, and is counted when it comes back.

An account is a provider's name, its address and its key (as a hash): other keys have other limits.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import socket
import uuid
from contextlib import suppress
from dataclasses import dataclass, field

from rag_bench.hashing import text_hash
from rag_bench.llm.sharing import shares
from rag_bench.llm.transport.pacing import Learned
from rag_bench.llm.transport.queueing import Gate, Queue, clock
from rag_bench.store.sharing.leases import (
    AccountState,
    LearnedRow,
    LeaseError,
    LeaseRow,
    LeaseStore,
)

_STEADY, _MOVING, _SHORTEST = 0.5, 0.1, 0.03  # seconds from one renewal to the next
_MOVING_FOR = 3.0  # seconds, then the calls in flight are long ones
_MOVING_SLOWLY = 0.25
#: Seconds without the database after which whoever waits for it is told so.
LOST_AFTER = 30.0
_TRIES = 20
_NEWS = 0.02  # what was learned is told anew when it has changed by such a part


def account_of(name: str, base_url: str, key: str | None) -> str:
    """Return the account whose limits are shared; the key cannot be read off it."""
    return f"{name} {text_hash(base_url + ' ' + (key or ''))[:16]}"


@dataclass
class _Member:
    """One provider that this process calls."""

    account: str
    name: str
    queue: Queue
    gate: Gate
    concurrency: int
    rpm: float | None
    tpm: float | None
    joined: bool = False
    asked_at: float = 0.0
    taught: Learned = field(default_factory=Learned)
    heard: tuple[str, float] = ("", 0.0)  # by whom, and when, by the database's clock
    paused_until: float = 0.0
    rate_set: float = 1.0
    patient_until: float = -math.inf


class Leases:
    """Renews the leases of one event loop's clients; closed, it gives everything back."""

    def __init__(self, database_url: str) -> None:
        """``database_url``: of the database that the processes have in common."""
        self.holder = uuid.uuid4().hex
        self._store = LeaseStore(database_url)
        self._claims = LeaseStore(database_url)  # apart: a renewal waits for none of them
        self._joined = asyncio.Event()
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._members: list[_Member] = []
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._answered_at = clock()
        self._moving_since: float | None = None

    def share(
        self,
        account: str,
        name: str,
        queue: Queue,
        concurrency: int,
        rpm: float | None = None,
        tpm: float | None = None,
    ) -> None:
        """Let this queue start only what the account's share allows, from now on.

        Args:
            account: see `account_of`.
            name: the provider's, for people.
            queue: where the provider's calls wait in this process.
            concurrency: the provider's slots in all.
            rpm: its calls a minute in all; None: not known.
            tpm: its tokens a minute in all; None: not known.
        """
        gate = Gate()
        queue.gate, queue.wake = gate, self._news.set
        self._members.append(_Member(account, name, queue, gate, concurrency, rpm, tpm))
        self._news.set()
        if self._task is None:
            self._answered_at = clock()
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Give back what is held. Calls must have ended."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        joined = [member.account for member in self._members if member.joined]
        for member in self._members:
            member.gate.slots = 0
        if joined:
            with suppress(LeaseError):  # it is over in a few seconds by itself
                await self._store.leave(joined, self.holder)
        await self._store.close()
        await self._claims.close()

    async def joined(self) -> None:
        """Wait until this process has a lease.

        Raises:
            LeaseError: the database does not answer.
        """
        if not self._joined.is_set():
            try:
                async with asyncio.timeout(LOST_AFTER):
                    await self._joined.wait()
            except TimeoutError:
                raise LeaseError(
                    "The database gave no lease on the provider's limits. Start it, and run again."
                ) from None

    async def claim(self, key: str) -> bool:
        """Note that this process is about to ask for a key; False if another is."""
        return await self._claims.claim(key, self.holder)

    async def unclaim(self, key: str) -> None:
        """Take the note away."""
        await self._claims.unclaim(key, self.holder)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            moving = False
            for member in list(self._members):
                try:
                    moving |= not await self._renew(member)
                    self._answered_at = clock()
                    self._joined.set()
                except LeaseError as error:
                    self._lost(error)
                    moving = True
            await asyncio.sleep(_SHORTEST)
            try:
                async with asyncio.timeout(self._pause(moving)):
                    await self._news.wait()
            except TimeoutError:
                pass

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Tell whoever waits, if a fault has ended the renewals: no gate would open any more."""
        if task.cancelled() or (fault := task.exception()) is None:
            return
        told = LeaseError(f"Sharing the providers' limits failed: {type(fault).__name__}: {fault}")
        for member in self._members:
            member.gate.failure = told
            member.queue.refuse_all(told)

    def _pause(self, moving: bool) -> float:
        if not moving:
            self._moving_since = None
            return _STEADY
        if self._moving_since is None:
            self._moving_since = clock()
        return _MOVING if clock() - self._moving_since < _MOVING_FOR else _MOVING_SLOWLY

    def _lost(self, error: LeaseError) -> None:
        if clock() - self._answered_at < LOST_AFTER:
            return
        told = LeaseError(
            f"{error} Nothing was asked any more, and what was in flight has ended. Start the "
            "database, and run again: it goes on from the call ledger."
        )
        for member in self._members:
            member.queue.refuse_all(told)

    async def _renew(self, member: _Member) -> bool:
        """Tell what is wanted and take the share over; return whether that is all that is due."""
        if not member.joined:
            await self._store.join(member.account, member.name)
            member.joined = True
        demand = self._demand(member)
        for _ in range(_TRIES):
            asked_at = clock()
            state = await self._store.read(member.account)
            self._hear(member, state, asked_at)
            done = await self._write(member, state, *demand)
            if done is not None:
                return done
            await asyncio.sleep(random.uniform(0.0, 0.02))
        return False

    async def _write(
        self, member: _Member, state: AccountState, wanted: int, wanted_rate: float
    ) -> bool | None:
        """Write one renewal; None if somebody else wrote meanwhile."""
        gate, queue = member.gate, member.queue
        rows = {row.holder: row for row in state.leases}
        own = rows.pop(self.holder, None)
        fresh = own is None or own.over or clock() >= gate.valid_until
        in_flight = queue.pace.in_flight
        if fresh and gate.valid_until > -math.inf:
            # The database was away, or its clock has jumped: so it was for the others, who come
            # back with calls in flight.
            member.patient_until = clock() + shares.EXPIRY
        gone = {h for h, row in rows.items() if row.over and clock() >= member.patient_until}
        # Never less than what is obeyed here: an answer of the database may have been lost.
        mine = shares.Lease(
            self.holder, gate.slots, gate.rate, wanted, wanted_rate, member.concurrency
        )
        others = {
            holder: shares.Lease(
                holder, row.slots, row.rate, row.wanted, row.wanted_rate, row.limit
            )
            for holder, row in rows.items()
            if holder not in gone
        }
        lease, division = shares.share(mine, in_flight, others, state.now, fresh)
        # What shrinks is obeyed before it is told.
        gate.slots = min(gate.slots, division.slots)
        if fresh:
            gate.slots = min(gate.slots, in_flight)
        gate.rate = min(gate.rate, division.rate)
        learned, pause = self._teach(member)
        sent_at = clock()
        written = await self._store.write(
            member.account,
            state.version,
            LeaseRow(
                self.holder, lease.slots, lease.rate, lease.wanted, lease.wanted_rate, lease.limit
            ),
            expiry=shares.EXPIRY,
            process=self._process,
            gone=sorted(gone),
            learned=learned,
            pause=pause,
        )
        if not written:
            return None
        if learned is not None:
            member.taught = queue.pace.learned
            member.heard = (self.holder, state.now)
        self._open(member, division, sent_at)
        return division.settled

    def _open(self, member: _Member, division: shares.Division, sent_at: float) -> None:
        gate, pace = member.gate, member.queue.pace
        gate.slots, gate.rate = division.slots, division.rate
        gate.valid_until = sent_at + shares.VALID
        gate.owes = not division.settled and pace.in_flight > division.slots
        if division.rate != member.rate_set and shares.usable(division.rate):
            pace.rescale(division.rate / member.rate_set)
            pace.set_ceiling(
                member.concurrency,
                None if member.rpm is None else member.rpm * division.rate,
                None if member.tpm is None else member.tpm * division.rate,
            )
            member.rate_set = division.rate
        if gate.lets(pace.in_flight):
            member.queue.advance()

    def _demand(self, member: _Member) -> tuple[int, float]:
        """Return the calls wanted at once, and the part of the rate that could be used."""
        now = clock()
        seconds, member.asked_at = max(now - member.asked_at, _SHORTEST), now
        most, held, calls, tokens = member.queue.take_demand()
        wanted = min(most, member.concurrency)
        if member.rpm is None and member.tpm is None:
            # No rate to divide, or one that 429s have taught: all that have work share it evenly.
            return wanted, 1.0 if wanted else 0.0
        if held:
            return wanted, 1.0
        used = [
            n * 60 / seconds / limit
            for n, limit in ((calls, member.rpm), (tokens, member.tpm))
            if limit is not None
        ]
        # In steps, so that shares do not move with every little change.
        return wanted, min(1.0, math.ceil(15 * max(used) + (0.5 if wanted else 0.0)) / 10)

    def _teach(self, member: _Member) -> tuple[LearnedRow | None, float]:
        """Return what this process has learned of the limit in all since it last said so."""
        learned, told = member.queue.pace.learned, member.taught
        pause = learned.pause if clock() + learned.pause > member.paused_until + 0.1 else 0.0
        if pause:
            member.paused_until = clock() + pause
        if not (_differs(learned.window, told.window) or _differs(learned.rate, told.rate)):
            return None, pause
        part = member.rate_set
        return (
            LearnedRow(
                None if learned.window is None else learned.window / part,
                None if learned.rate is None else learned.rate / part,
            ),
            pause,
        )

    def _hear(self, member: _Member, state: AccountState, asked_at: float) -> None:
        """Use what others have learned since, and their pauses."""
        learned, part = state.learned, member.rate_set
        # From when it was asked for: a late answer must not lengthen a pause.
        until, pause = asked_at + learned.pause, 0.0
        if learned.pause and until > member.paused_until + 0.1:
            member.paused_until, pause = until, max(0.0, until - clock())
        when = state.now - learned.age
        newer = learned.by not in ("", self.holder) and when > member.heard[1] + 1e-3
        if newer and learned.age < shares.LEARNED_FOR:
            member.heard = (learned.by, when)
            window = None if learned.window is None else max(1.0, learned.window * part)
            rate = None if learned.rate is None else learned.rate * part
            member.queue.pace.adopt(Learned(window, rate, pause))
            member.taught = member.queue.pace.learned
        elif pause:
            member.queue.pace.adopt(Learned(pause=pause))


def _differs(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is not other
    return abs(one - other) > _NEWS * other
