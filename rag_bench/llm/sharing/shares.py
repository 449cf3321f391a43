"""How a provider's limit is divided among the processes that call it now.

Pure: what stands in the database is given, and what one process may use from now on is returned.

Shares are max-min fair (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2): nobody gets
more than it wants while another that wants more has less; what nobody wants is spread evenly, so
that new work finds room at once. A share grows only by what no process holds, so the sum of what is
held never passes the limit, also while shares are being moved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

#: Seconds after which a process that said nothing has lost its share, by the database's clock.
EXPIRY = 7.0
#: Seconds for which a process uses its share without having said so again, by its own clock: it
#: stops before anybody else may start.
VALID = 5.0
#: Seconds for which a slot stays with a process where there are fewer slots than processes.
TURN = 3.0
#: Seconds after which what was learned of a limit is forgotten: it may have been raised.
LEARNED_FOR = 600.0
_LEAST_RATE = 1e-3


@dataclass(frozen=True)
class Lease:
    """What one process holds and wants of a provider.

    Attributes:
        slots: calls that it may have in flight, at most.
        rate: its part of the calls and tokens a minute, of 1.
        wanted: calls in flight and waiting, at most, since it last said so.
        wanted_rate: the part of the rate that it could use, of 1.
        limit: the provider's slots in all, as this process knows them.
    """

    holder: str
    slots: int = 0
    rate: float = 0.0
    wanted: int = 0
    wanted_rate: float = 0.0
    limit: int = 1


@dataclass(frozen=True)
class Division:
    """What one process gets.

    Attributes:
        slots, rate: to be held from now on, as in `Lease`.
        settled: it is what it is due; False: it holds more, or waits for what others hold.
        alone: no other process holds a lease.
    """

    slots: int
    rate: float
    settled: bool
    alone: bool


def divide(total: int, wants: Sequence[int], turn: int = 0) -> list[int]:
    """Return whole shares of ``total``: first by wants, then what is left evenly.

    ``turn``: who comes first, where one slot must go to one of several equals.
    """
    shares = [0] * len(wants)
    order = [(place + turn) % len(wants) for place in range(len(wants))]
    left = total
    for limits in (wants, [total] * len(wants)):
        while left > 0:
            open_ = [i for i in order if shares[i] < limits[i]]
            if not open_:
                break
            least = min(shares[i] for i in open_)
            for i in open_:
                if shares[i] == least and left > 0:
                    shares[i] += 1
                    left -= 1
    return shares


def divide_rate(wants: Sequence[float]) -> list[float]:
    """Return parts of 1: first by wants, then what is left evenly."""
    shares = [0.0] * len(wants)
    left, open_ = 1.0, sorted(range(len(wants)), key=lambda i: wants[i])
    for n_done, i in enumerate(open_):
        shares[i] = min(wants[i], left / (len(wants) - n_done))
        left -= shares[i]
    return [share + max(0.0, left) / len(wants) for share in shares]


def share(
    mine: Lease, in_flight: int, others: Mapping[str, Lease], now: float, fresh: bool
) -> tuple[Lease, Division]:
    """Return the lease that a process holds from now on.

    A share that shrinks is given back as far as calls in flight let it; the process must obey the
    smaller one before it says so. A share that grows must be written before it is used.

    Args:
        mine: what the process holds, with its present wants.
        in_flight: its calls in flight.
        others: the leases of the other processes that are not over.
        now: seconds, by the database's clock.
        fresh: it held no lease, or that one is over: only its calls in flight count.
    """
    everybody = sorted([*others.values(), mine], key=lambda lease: lease.holder)
    place = next(i for i, lease in enumerate(everybody) if lease.holder == mine.holder)
    limit = min(lease.limit for lease in everybody)
    wants = [lease.wanted for lease in everybody]
    crowded = sum(want > 0 for want in wants) > limit
    due = divide(limit, wants, _turn(now) if crowded else 0)[place]
    holds = in_flight if fresh else max(in_flight, mine.slots)
    free = limit - holds - sum(lease.slots for lease in others.values())
    slots = max(in_flight, due) if due < holds else min(due, holds + max(0, free))

    due_rate = divide_rate([lease.wanted_rate for lease in everybody])[place]
    held_rate = 0.0 if fresh else mine.rate
    free_rate = 1.0 - held_rate - sum(lease.rate for lease in others.values())
    rate = min(due_rate, held_rate + max(0.0, free_rate))
    settled = slots == due and abs(rate - due_rate) < _LEAST_RATE
    lease = replace(mine, slots=slots, rate=rate)
    return lease, Division(min(slots, due), rate, settled, not others)


def _turn(now: float) -> int:
    """Return who comes first at a time, the same for all who ask.

    Drawn rather than counted: calls that always take as long (a timeout) would end in the turn of
    the same process for ever.
    """
    return int.from_bytes(hashlib.sha256(b"%d" % int(now / TURN)).digest()[:4], "big")


def usable(rate: float) -> bool:
    """Whether a part of the rate is enough to start anything."""
    return rate >= _LEAST_RATE
