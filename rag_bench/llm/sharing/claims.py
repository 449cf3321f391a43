"""Who is about to ask: two processes that want the same reply pay for it once.

A claim stands as long as the process that made it has a lease (`rag_bench.llm.sharing.leases`),
so that of a dead process is over with it. Whoever finds one waits for the reply, looking for it in
the ledger, and asks only if the other ended without.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from rag_bench.llm.sharing.leases import Leases
from rag_bench.llm.transport.stopping import StoppedError, current_stop
from rag_bench.store.calls import StoredReply
from rag_bench.store.sharing.leases import LeaseError

_FIRST_LOOK, _LAST_LOOK = 0.05, 0.5  # seconds from one look to the next

Lookup = Callable[[], Awaitable[StoredReply | None]]


class Claims:
    """The claims of one event loop's clients."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases

    async def take(
        self, key: str, lookup: Lookup, known: StoredReply | None = None
    ) -> StoredReply | None:
        """Claim a key, waiting while another process has it.

        Args:
            key: the ledger's.
            lookup: finds what the ledger holds for it now.
            known: what it holds and is to be asked again.

        Returns:
            The reply that another process got meanwhile; None: the key is claimed, ask.

        Raises:
            LeaseError: the database does not answer.
            StoppedError: the run was stopped while it waited.
        """
        stop, pause = current_stop(), _FIRST_LOOK
        await self._leases.joined()
        while True:
            mine = await self._leases.claim(key)
            # After the claim: the other may have ended between our first look and now.
            found = await lookup()
            if found is not None and found != known:
                if mine:
                    await self.release(key)
                return found
            if mine:
                return None
            if stop is not None:
                await stop.sleep(pause)
                if stop.requested:
                    raise StoppedError
            else:
                await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK)

    async def release(self, key: str) -> None:
        """Give a claim back; one that cannot be is over with the lease."""
        with suppress(LeaseError):
            await self._leases.unclaim(key)
