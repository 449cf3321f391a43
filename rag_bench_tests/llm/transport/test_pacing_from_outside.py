"""A pace whose ceiling is set from outside, and what one pace learned used by another."""

from __future__ import annotations

import pytest
from pacing_limits import Clock

from rag_bench.llm.transport.pacing import Learned, Pace


def test_the_ceiling_is_set_from_outside_and_calls_under_way_go_on() -> None:
    clock = Clock()
    pace = Pace(2, clock=clock)
    permits = [pace.start(), pace.start()]
    assert pace.wait() is None
    pace.set_ceiling(4)
    assert pace.wait() == 0
    pace.set_ceiling(1)
    pace.answered(permits[0])
    assert pace.wait() is None
    pace.answered(permits[1])
    assert pace.wait() == 0
    pace.set_ceiling(1, rpm=60)
    pace.failed(pace.start())
    pace.failed(pace.start())
    assert 0 < (pace.wait() or 0) <= 2.1
    pace.set_ceiling(1)
    clock.now += 3
    assert pace.wait() == 0


def test_a_raised_ceiling_lifts_no_learned_limit() -> None:
    pace = Pace(8, clock=Clock())
    pace.adopt(Learned(window=5))
    pace.set_ceiling(100)
    assert pace.window.value <= 5


def test_what_one_has_learned_another_uses() -> None:
    clock = Clock()
    one, other = Pace(32, clock=clock), Pace(32, clock=clock)
    assert one.learned == Learned()
    for _ in range(10):
        one.answered(one.start())
    permits = [one.start() for _ in range(20)]
    one.refused(permits.pop(), retry_after=3.0)
    assert one.learned == Learned(window=20.0, rate=None, pause=3.0)
    other.adopt(one.learned)
    assert other.learned == one.learned
    assert other.wait() == pytest.approx(3.0)
    clock.now += 3
    started = 0
    while other.wait() == 0:
        other.start()
        started += 1
    assert started <= 20
    other.adopt(Learned(rate=2.0))
    assert other.learned == Learned(window=20.0, rate=2.0)
    assert other.rate.value <= 2.0
