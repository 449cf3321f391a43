"""How a provider's limit is divided: the pure part, over many made-up histories."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bench.llm.sharing.shares import Lease, divide, divide_rate, share

WANTS = st.lists(st.integers(0, 40), min_size=1, max_size=12)


@given(st.integers(0, 40), WANTS, st.integers(0, 20))
def test_shares_are_max_min_fair(total: int, wants: list[int], turn: int) -> None:
    shares = divide(total, wants, turn)
    assert sum(shares) == total, "nothing is left unused"
    for mine, wanted in zip(shares, wants, strict=True):
        if mine < wanted:
            assert all(other <= mine + 1 for other in shares), "nobody has more who needs less"


def test_the_last_slot_goes_round_where_there_are_too_few() -> None:
    got = [0, 0, 0]
    for turn in range(3):
        for place, slots in enumerate(divide(1, [5, 5, 5], turn)):
            got[place] += slots
    assert got == [1, 1, 1]


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("seconds", [3.0, 6.0, 12.0, 60.0, 120.0])
def test_nobody_is_left_out_where_all_calls_take_as_long(n: int, seconds: float) -> None:
    """One slot: it goes on to whose turn it is when a call ends."""
    leases = {f"p{i}": Lease(f"p{i}", wanted=5, wanted_rate=1.0) for i in range(n)}
    calls = dict.fromkeys(leases, 0)
    for call in range(400):
        for holder, mine in leases.items():
            others = {name: lease for name, lease in leases.items() if name != holder}
            _, division = share(mine, 0, others, call * seconds, fresh=True)
            calls[holder] += division.slots
    assert sum(calls.values()) == 400, "one at a time"
    assert min(calls.values()) > 400 / n / 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_parts_of_a_rate_are_max_min_fair(wants: list[float]) -> None:
    shares = divide_rate(wants)
    assert sum(shares) == pytest.approx(1)
    for mine, wanted in zip(shares, wants, strict=True):
        if mine < wanted - 1e-9:
            assert all(other <= mine + 1e-9 for other in shares)


class World:
    """Processes that renew in any order, start calls as they may, and are stopped and woken."""

    def __init__(self, dice: random.Random, limit: int, n: int) -> None:
        self.dice, self.limit = dice, limit
        self.rows: dict[str, Lease] = {}
        self.held = {f"p{i}": Lease(f"p{i}", limit=limit) for i in range(n)}
        self.may = dict.fromkeys(self.held, 0)
        self.in_flight = dict.fromkeys(self.held, 0)
        self.wanted = dict.fromkeys(self.held, 0)

    def renew(self, name: str) -> bool:
        others = {holder: row for holder, row in self.rows.items() if holder != name}
        mine = replace(self.held[name], slots=self.may[name], wanted=self.wanted[name])
        lease, division = share(mine, self.in_flight[name], others, 0.0, name not in self.rows)
        self.rows[name] = self.held[name] = lease
        self.may[name] = division.slots
        return division.settled

    def step(self) -> None:
        name = self.dice.choice(list(self.held))
        match self.dice.randrange(5):
            case 0:
                self.wanted[name] = self.dice.choice([0, 1, 3, 50])
            case 1:
                self.in_flight[name] = self.dice.randint(0, self.in_flight[name])
            case 2:
                self.in_flight[name] = max(self.in_flight[name], self.may[name])
            case _:
                self.renew(name)


@pytest.mark.parametrize("seed", range(30))
def test_never_more_in_flight_than_slots_whatever_the_order(seed: int) -> None:
    dice = random.Random(seed)
    world = World(dice, dice.choice([1, 3, 8, 20]), dice.choice([1, 2, 4, 7]))
    for _ in range(400):
        world.step()
        assert sum(world.in_flight.values()) <= world.limit
        assert sum(row.slots for row in world.rows.values()) <= world.limit
        assert sum(row.rate for row in world.rows.values()) <= 1 + 1e-9
    for name in world.held:
        world.wanted[name], world.in_flight[name] = 50, 0
    for _ in range(5):
        settled = [world.renew(name) for name in world.held]
    assert all(settled)
    assert sum(world.may.values()) == world.limit
    assert max(world.may.values()) - min(world.may.values()) <= 1


def test_one_that_comes_back_counts_what_it_has_in_flight_and_others_shrink() -> None:
    others = {"b": Lease("b", slots=8, rate=1.0, wanted=9, limit=8)}
    lease, division = share(Lease("a", 8, 1.0, 9, 1.0, 8), 3, others, 0.0, fresh=True)
    assert (lease.slots, division.slots, division.settled) == (3, 3, False)
    lease, division = share(others["b"], 8, {"a": lease}, 0.0, fresh=False)
    assert division.slots == 4
    assert lease.slots == 8, "it says what is in flight still"


def test_the_smallest_limit_that_one_knows_holds_for_all() -> None:
    others = {"b": Lease("b", slots=2, wanted=9, limit=4)}
    _, division = share(Lease("a", wanted=9, limit=32), 0, others, 0.0, fresh=True)
    assert division.slots == 2
