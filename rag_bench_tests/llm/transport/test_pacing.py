"""The pace against simulated providers: virtual time, so minutes of traffic take milliseconds."""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from pacing_limits import Clock

from rag_bench.llm.transport.learned_limits import Bound
from rag_bench.llm.transport.pacing import LOWEST_RATE, Meter, Pace


class TokenBucket:
    """``rate`` requests a second, ``burst`` saved up; refused ones cost nothing."""

    def __init__(self, rate: float, burst: float, retry_after: float | None = None) -> None:
        self.rate, self.burst, self.retry_after = rate, burst, retry_after
        self.level, self.at = burst, 0.0

    def accepts(self, now: float, in_flight: int) -> bool:
        self.level = min(self.burst, self.level + (now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class FixedWindow:
    """``quota`` requests in each period; says when the next one begins."""

    def __init__(self, quota: int, period: float) -> None:
        self.quota, self.period = quota, period
        self.number, self.used = -1, 0
        self.retry_after: float | None = None

    def accepts(self, now: float, in_flight: int) -> bool:
        number = int(now // self.period)
        if number != self.number:
            self.number, self.used = number, 0
        self.retry_after = math.ceil((number + 1) * self.period - now)
        self.used += 1
        return self.used <= self.quota


class SlidingWindow:
    """At most ``quota`` in any period; with some providers, refused ones count, too."""

    def __init__(
        self,
        quota: int,
        period: float,
        says_when: bool = False,
        counts_refused: bool = True,
        asks_for: float | None = None,
    ) -> None:
        self.quota, self.period, self.says_when = quota, period, says_when
        self.counts_refused = counts_refused
        self.retry_after = asks_for
        self.seen: deque[float] = deque()

    def accepts(self, now: float, in_flight: int) -> bool:
        while self.seen and self.seen[0] <= now - self.period:
            self.seen.popleft()
        accepted = len(self.seen) < self.quota
        if accepted or self.counts_refused:
            self.seen.append(now)
        if self.says_when:
            self.retry_after = math.ceil(self.seen[0] + self.period - now)
        return accepted


class InFlight:
    """At most so many under way."""

    def __init__(self, most: int, retry_after: float | None = None) -> None:
        self.most, self.retry_after = most, retry_after

    def accepts(self, now: float, in_flight: int) -> bool:
        return in_flight <= self.most


@dataclass
class Outcome:
    accepted: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)

    def rate(self, first: float, last: float) -> float:
        return sum(first <= at < last for at in self.accepted) / (last - first)


Latency = Callable[[random.Random], float]


def constant(seconds: float) -> Latency:
    return lambda dice: seconds


def varied(seconds: float) -> Latency:
    return lambda dice: dice.lognormvariate(math.log(seconds), 0.6)


def run(
    server: object, seconds: float, concurrency: int = 32, latency: Latency | None = None,
    rpm: float | None = None, until: Callable[[float], object] | None = None,
) -> Outcome:  # fmt: skip
    """Ask without end for so many seconds of virtual time."""
    dice = random.Random(7)
    latency = latency or constant(0.2)
    clock = Clock()
    pace = Pace(concurrency, rpm=rpm, clock=clock)
    outcome = Outcome()
    events: list[tuple[float, int, object, bool]] = []
    served = number = 0
    while clock.now < seconds:
        wait = pace.wait()
        while wait == 0:
            permit = pace.start()
            number += 1
            trip = dice.uniform(0.001, 0.004)
            if until is not None:
                server = until(clock.now)
            if server.accepts(clock.now + trip, served + 1):  # type: ignore[attr-defined]
                served += 1
                outcome.accepted.append(clock.now)
                heapq.heappush(events, (clock.now + trip + latency(dice), number, permit, True))
            else:
                outcome.refused.append(clock.now)
                heapq.heappush(events, (clock.now + 2 * trip, number, permit, False))
            wait = pace.wait()
        after = math.inf if wait is None else clock.now + wait + dice.uniform(0, 0.002)
        if events and events[0][0] <= after:
            clock.now, _, permit, good = heapq.heappop(events)  # type: ignore[assignment]
            if good:
                served -= 1
                pace.answered(permit)
            else:
                pace.refused(permit, server.retry_after)  # type: ignore[attr-defined]
        else:
            assert after < math.inf, "nothing in flight and nothing to wait for"
            clock.now = after
    return outcome


def test_without_refusals_all_slots_are_used() -> None:
    outcome = run(TokenBucket(1e9, 1e9), 20)
    assert outcome.rate(0, 20) == pytest.approx(32 / 0.2, rel=0.03)


LIMITS = {
    "60 a second": (lambda: TokenBucket(60, 60), 60.0),
    "60 a second, hardly any burst": (lambda: TokenBucket(60, 3), 60.0),
    "60 a second, Retry-After 1": (lambda: TokenBucket(60, 60, 1.0), 60.0),
    "5 a second": (lambda: TokenBucket(5, 5), 5.0),
    "1 a second": (lambda: TokenBucket(1, 10), 1.0),
    "20 a minute": (lambda: TokenBucket(1 / 3, 20), 1 / 3),
    "140 a second": (lambda: TokenBucket(140, 140), 140.0),
    "600 in each minute": (lambda: FixedWindow(600, 60), 10.0),
    "50 in each second": (lambda: FixedWindow(50, 1), 50.0),
    "50 in any second, refused ones counted": (lambda: SlidingWindow(50, 1), 50.0),
    "60 in any second": (lambda: SlidingWindow(60, 1, counts_refused=False), 60.0),
    "60 in any second, Retry-After 1": (
        lambda: SlidingWindow(60, 1, counts_refused=False, asks_for=1.0),
        60.0,
    ),
    "15 in any second, Retry-After 1": (
        lambda: SlidingWindow(15, 1, counts_refused=False, asks_for=1.0),
        15.0,
    ),
    "300 in any minute, with Retry-After": (lambda: SlidingWindow(300, 60, True), 5.0),
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("latency", [constant(0.2), varied(0.2)], ids=["constant", "varied"])
def test_an_unknown_rate_is_learned(name: str, latency: Latency) -> None:
    make, limit = LIMITS[name]
    outcome = run(make(), 300, latency=latency)
    assert outcome.rate(0, 300) >= 0.9 * limit
    assert outcome.rate(120, 300) >= 0.9 * limit
    late = sum(at >= 120 for at in outcome.refused)
    assert late <= 0.15 * sum(at >= 120 for at in outcome.accepted)


def test_the_hardest_limit_is_lived_with() -> None:
    """A minute's quota may go in one burst, nobody says when to come back, and asking costs."""
    outcome = run(SlidingWindow(300, 60), 600)
    assert outcome.rate(0, 600) >= 0.65 * 5
    assert len(outcome.refused) <= 0.05 * len(outcome.accepted)


@pytest.mark.parametrize("most", [1, 3, 10, 25])
@pytest.mark.parametrize("latency", [constant(0.2), varied(0.2)], ids=["constant", "varied"])
def test_an_unknown_limit_of_calls_in_flight_is_learned(most: int, latency: Latency) -> None:
    dice = random.Random(1)
    mean = sum(latency(dice) for _ in range(20_000)) / 20_000 + 0.0025
    outcome = run(InFlight(most), 300, latency=latency)
    assert outcome.rate(0, 300) >= 0.9 * most / mean
    assert sum(at >= 120 for at in outcome.refused) <= 0.15 * outcome.rate(120, 300) * 180


def test_an_unknown_limit_of_calls_in_flight_with_a_pause_after_each_refusal() -> None:
    outcome = run(InFlight(8, retry_after=1.0), 300)
    assert outcome.rate(0, 300) >= 0.9 * 8 / 0.2025
    assert len(outcome.refused) <= 0.02 * len(outcome.accepted)


class TokensAMinute:
    """A bucket of tokens, of which calls take different numbers."""

    retry_after = None

    def __init__(self, per_minute: float) -> None:
        self.per_second, self.most = per_minute / 60, per_minute
        self.level, self.at = per_minute, 0.0
        self.dice = random.Random(3)

    def accepts(self, now: float, in_flight: int) -> bool:
        self.level = min(self.most, self.level + (now - self.at) * self.per_second)
        self.at = now
        tokens = self.dice.uniform(500, 1_500)
        if self.level < tokens:
            return False
        self.level -= tokens
        return True


def test_an_unknown_limit_of_tokens_is_learned_as_a_rate_of_calls() -> None:
    outcome = run(TokensAMinute(600_000), 600)  # 10 calls a second of 1,000 tokens
    assert outcome.rate(120, 600) >= 0.9 * 10
    assert sum(at >= 120 for at in outcome.refused) <= 0.05 * outcome.rate(120, 600) * 480


@pytest.mark.parametrize("latency", [constant(0.2), varied(0.2)], ids=["constant", "varied"])
def test_a_limit_of_calls_in_flight_that_changes(latency: Latency) -> None:
    dice = random.Random(1)
    mean = sum(latency(dice) for _ in range(20_000)) / 20_000 + 0.0025
    low, high = InFlight(6), InFlight(24)

    class Changing:
        retry_after = None

        def accepts(self, now: float, in_flight: int) -> bool:
            return (high if 60 <= now < 240 else low).accepts(now, in_flight)

    outcome = run(Changing(), 360, latency=latency)
    assert outcome.rate(10, 60) >= 0.9 * 6 / mean
    assert outcome.rate(180, 240) >= 0.9 * 24 / mean
    assert outcome.rate(270, 360) >= 0.9 * 6 / mean
    assert sum(at >= 270 for at in outcome.refused) <= 0.05 * outcome.rate(270, 360) * 90


def test_a_limit_that_is_raised_is_found_and_one_that_falls_is_kept() -> None:
    low, high = TokenBucket(5, 5), TokenBucket(50, 50)
    outcome = run(low, 340, until=lambda now: low if now < 60 or now > 260 else high)
    assert outcome.rate(30, 60) >= 0.9 * 5
    assert outcome.rate(230, 260) >= 0.9 * 50
    assert outcome.rate(270, 340) >= 0.9 * 5
    assert sum(at >= 280 for at in outcome.refused) < 60


def test_a_provider_that_always_refuses_is_hardly_asked() -> None:
    outcome = run(InFlight(0), 600)
    assert not outcome.accepted
    assert len(outcome.refused) < 120
    assert len([at for at in outcome.refused if at > 120]) <= 480 * LOWEST_RATE + 2


def test_a_known_rate_is_met_without_a_single_refusal() -> None:
    outcome = run(SlidingWindow(600, 60), 300, rpm=600)
    assert not outcome.refused
    assert outcome.rate(0, 300) >= 0.95 * 10


def test_known_tokens_a_minute() -> None:
    clock = Clock()
    pace = Pace(8, tpm=60_000, clock=clock)
    started: list[tuple[float, float]] = []
    while clock.now < 120:
        wait = pace.wait()
        if wait:
            clock.now += wait
            continue
        permit = pace.start(tokens=500)
        started.append((clock.now, 2_000))
        clock.now += 0.001
        pace.answered(permit, tokens=2_000)  # the guess was low: what is really used counts
    used = sum(tokens for at, tokens in started if 60 <= at < 120)
    assert 0.9 * 60_000 <= used <= 60_000


def test_refusals_of_calls_under_way_are_one_event() -> None:
    clock = Clock()
    pace = Pace(32, clock=clock)
    for _ in range(32):
        pace.answered(pace.start())
    permits = [pace.start() for _ in range(32)]
    clock.now = 0.5
    for permit in reversed(permits):
        pace.refused(permit)
    assert pace.window.value == pytest.approx(32 * 0.9)
    assert pace.rate.value == math.inf
    assert pace.in_flight == 0


def test_retry_after_holds_everybody_and_other_failures_nobody() -> None:
    clock = Clock(100.0)
    pace = Pace(4, clock=clock)
    first, second = pace.start(), pace.start()
    pace.failed(second)
    assert pace.wait() == 0
    pace.refused(first, retry_after=7.0)
    assert pace.wait() == pytest.approx(7.0)
    clock.now += 6.9
    assert pace.wait() == pytest.approx(0.1)


def test_a_bound_falls_by_factors_and_rises_by_steps() -> None:
    bound = Bound(100.0, 1.0, 100.0)
    bound.rise(1.0)
    assert bound.value == 100.0
    bound.fall(1.0, 80.0)
    assert bound.value == pytest.approx(72.0)
    bound.fall(1.1, 72.0)
    assert bound.value == pytest.approx(36.0)  # nothing was answered in between
    bound.rise(2.1)
    assert bound.value == pytest.approx(40.0)  # several refusals may have been one event
    bound.rise(3.1)
    assert bound.value == pytest.approx(60.0)  # searching
    bound.fall(3.2, 54.0)
    start = bound.value
    assert start == pytest.approx(54 * 0.9)
    steps = []
    for second in range(1, 11):
        bound.rise(3.2 + second)
        steps.append(bound.value - start)
        start = bound.value
    assert steps == pytest.approx([54 * 0.1 / 10] * 10)
    assert bound.value == pytest.approx(54.0)


def test_a_limit_met_again_and_again_at_one_height_costs_less_each_time() -> None:
    bound, now = Bound(100.0, 1.0, 100.0), 0.0
    depths = []
    for _ in range(5):
        bound.fall(now, 50.0)
        depths.append(1 - bound.value / 50.0)
        for _ in range(20):
            now += 1.0
            bound.rise(now)
        assert bound.value > 50.0  # a limit that was raised is found
    assert depths == pytest.approx([0.1, 0.1, 0.05, 0.025, 0.025])
    bound.fall(now, 50.0)
    bound.rise(now + 1)
    before = bound.value
    bound.fall(now + 1.1, 50.0)  # so soon: the limit is lower than it was
    assert bound.value == pytest.approx(before * 0.95)


def test_a_meter_catches_up_with_late_timers_but_not_with_idleness() -> None:
    meter = Meter(10.0, slack=0.25)
    starts = []
    now = 0.0
    while now < 10.0:
        if meter.wait(now) <= 0:
            meter.take(now)
            starts.append(now)
        now += 0.037  # a timer that is always late
    assert len(starts) == pytest.approx(100, abs=4)
    assert meter.wait(100.0) == 0
    for _ in range(3):
        meter.take(100.0)
    assert meter.wait(100.0) > 0
