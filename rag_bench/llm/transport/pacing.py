"""How fast one provider may be asked: what is configured, and what its 429s teach.

Pure: no event loop, no HTTP, and the clock is given, so that hours pass in a test at once.

Two bounds are learned, each by additive increase and multiplicative decrease (Chiu and Jain 1989)
with a memory of where the limit was met (as CUBIC has, RFC 9438): a *window* of calls in flight and
a *rate* of starts. A 429 is blamed on the window if it came to a call that had more neighbours in
flight than nearly all calls that were answered lately, which is always so at a limit of concurrency
and soon no more so at a limit of requests; else on the rate, and then the window, which may have
been blamed wrongly before, is searched for anew. The wrong one blamed first costs one more 429.
How a bound falls and rises: `rag_bench.llm.transport.learned_limits`.

A bound rises only while it is what holds calls back; otherwise it would drift away unused.
Limits of tokens are learned as rates of calls, since the cases of a benchmark are alike.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from rag_bench.llm.transport.learned_limits import HARD_DECREASE, Bound, Levels

Clock = Callable[[], float]

LOWEST_RATE = 0.1  # calls a second: a provider that always refuses is tried every ten seconds
_MINUTE = 60.0  # seconds: what most limits are counted by
_SLACK = 0.1  # seconds of starts that may be caught up with after late timers
# A configured limit counts by the minute: the slack of half a second must fit into it.
_CONFIGURED_SLACK, _CONFIGURED_SHARE = 0.5, 0.99


@dataclass(frozen=True)
class Permit:
    """One call that has been started; hand it back with how it ended."""

    number: int
    in_flight: int  # with this one, when it was started
    tokens: float


@dataclass(frozen=True)
class Learned:
    """What 429s have taught, to be told to others who ask the same provider.

    Attributes:
        window: calls in flight at which it refused last; None: it never did for that.
        rate: starts a second at which it refused last; None: it never did for that.
        pause: seconds from now for which it asked not to be called.
    """

    window: float | None = None
    rate: float | None = None
    pause: float = 0.0


class Meter:
    """Evenly spaced starts (the generic cell rate algorithm): ``rate`` units a second."""

    def __init__(self, rate: float, slack: float) -> None:
        self.rate = rate
        self._slack = slack
        self._due = -math.inf

    def wait(self, now: float) -> float:
        """Return the seconds until the next start."""
        return max(0.0, self._due - now)

    def take(self, now: float, units: float = 1.0) -> None:
        """Start something of this size."""
        if self.rate < math.inf:
            self._due = max(self._due, now - self._slack) + units / self.rate

    def set_rate(self, rate: float) -> None:
        """Go on at another rate; what has been started already counts by the one before."""
        self.rate = rate

    def give_back(self, units: float) -> None:
        """Correct the size of what was started (negative: it was larger)."""
        if self.rate < math.inf:
            self._due -= units / self.rate

    def slow_down(self, now: float, rate: float, until: float) -> None:
        """Go on at a lower rate, after its first interval and not before ``until``.

        Nothing is caught up with after a pause: a burst would meet the limit again.
        """
        self.rate = rate
        self._due = max(now + 1 / rate, until)


class Pace:
    """Says when a provider's next call may start.

    Args:
        concurrency: calls in flight, at most.
        rpm: starts a minute, at most; None: not known.
        tpm: tokens a minute, prompt and completion, at most; None: not known.
        first_rate: starts a second after the first 429, at the least.
        clock: seconds; any origin.
    """

    def __init__(
        self,
        concurrency: int,
        rpm: float | None = None,
        tpm: float | None = None,
        first_rate: float = 2.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._clock = clock
        self._first_rate = first_rate
        self.window = Bound(float(concurrency), 1.0, float(concurrency))
        self.rate = Bound(math.inf, LOWEST_RATE, math.inf)
        self._starts = Meter(math.inf, _SLACK)
        self._requests = _configured(rpm)
        self._tokens = _configured(tpm)
        self.in_flight = 0
        self._paused_until = -math.inf
        self._issued = self._fell_at_number = 0
        self._recent: deque[float] = deque(maxlen=4096)  # starts of the last second, 429s left out
        self._levels = Levels()
        self._accepted: deque[list[float]] = deque()  # [second, how many], over the last minute
        self._first_start: float | None = None
        self._held_by_window = self._held_by_rate = -math.inf

    def set_ceiling(
        self, concurrency: int, rpm: float | None = None, tpm: float | None = None
    ) -> None:
        """Set what may be used at most from now on; at least one call may be in flight.

        Calls under way go on; what was learned stays.
        """
        self.window.cap(float(concurrency))
        self._requests.set_rate(_per_second(rpm))
        self._tokens.set_rate(_per_second(tpm))

    @property
    def learned(self) -> Learned:
        """What has been learned of the provider's limits so far, by this pace or from others."""
        pause = max(0.0, self._paused_until - self._clock())
        return Learned(self.window.learned, self.rate.learned, pause)

    def adopt(self, learned: Learned) -> None:
        """Use what others have learned; what they do not know stays as it is here."""
        now = self._clock()
        if learned.window is not None:
            self.window.adopt(now, learned.window)
        if learned.rate is not None:
            self.rate.adopt(now, learned.rate)
            self._starts.set_rate(self.rate.value)
        self._paused_until = max(self._paused_until, now + learned.pause)

    def rescale(self, factor: float) -> None:
        """Make what was learned so many times as large: another part of the limit is ours now."""
        self.window.scale(factor)
        self.rate.scale(factor)
        self._starts.set_rate(self.rate.value)

    def wait(self) -> float | None:
        """Return the seconds until a call may start: 0 now; None when one in flight has ended."""
        now = self._clock()
        if self.in_flight >= int(self.window.value):
            self._held_by_window = now
            return None
        paced = self._starts.wait(now)
        if paced > 0:
            self._held_by_rate = now
        return max(
            paced,
            self._requests.wait(now),
            self._tokens.wait(now),
            self._paused_until - now,
            0.0,
        )

    def start(self, tokens: float = 0.0) -> Permit:
        """Count a call that starts now; ``tokens`` is a guess, put right when it ends."""
        now = self._clock()
        self.in_flight += 1
        self._issued += 1
        self._recent.append(now)
        if self._first_start is None:
            self._first_start = now
        self._starts.take(now)
        self._requests.take(now)
        self._tokens.take(now, tokens)
        return Permit(self._issued, self.in_flight, tokens)

    def answered(self, permit: Permit, tokens: float | None = None) -> None:
        """Take a call back that the provider has accepted; ``tokens``: what it really took."""
        now = self._clock()
        self.in_flight -= 1
        if tokens is not None:
            self._tokens.give_back(permit.tokens - tokens)
        self._levels.note(now, permit.in_flight)
        if self._accepted and now - self._accepted[-1][0] < 1.0:
            self._accepted[-1][1] += 1
        else:
            self._accepted.append([now, 1])
        if permit.number <= self._fell_at_number:
            return  # it was accepted before the limit was met
        lately = max(1.0, 2.0 / self.rate.value)
        for bound, held in ((self.window, self._held_by_window), (self.rate, self._held_by_rate)):
            if now - held <= lately:
                bound.rise(now)
            else:
                bound.rest(now)
        self._starts.rate = self.rate.value

    def failed(self, permit: Permit) -> None:
        """Take a call back that ended without saying anything about limits."""
        self.in_flight -= 1

    def refused(self, permit: Permit, retry_after: float | None = None) -> None:
        """Take a call back that met a limit (429); ``retry_after``: seconds asked for."""
        now = self._clock()
        self.in_flight -= 1
        self._tokens.give_back(permit.tokens)
        if self._recent:
            self._recent.pop()
        if retry_after is not None:
            self._paused_until = max(self._paused_until, now + retry_after)
        if permit.number <= self._fell_at_number:
            return  # under way when the bound fell: the same event
        self._fell_at_number = self._issued
        if permit.in_flight >= 2 and permit.in_flight > self._levels.usual(now):
            self.window.fall(now, float(permit.in_flight), retry_after or 0.0)
            return
        while self._recent and self._recent[0] < now - 1.0:
            self._recent.popleft()
        guess = self.rate.value
        if guess == math.inf:
            guess = max(float(len(self._recent)), self._first_rate)
        elif self.rate.is_unsettled(now):
            # Of a limit by the second, this is the limit.
            guess = min(guess, max(float(len(self._recent)), guess * HARD_DECREASE))
        self.window.doubt()
        self.rate.fall(now, guess, retry_after or 0.0, self._lasting_rate(now))
        self._starts.slow_down(now, self.rate.value, self._paused_until)

    def _lasting_rate(self, now: float) -> float:
        """Return the calls accepted a second over the last minute; infinity before it is over."""
        while self._accepted and self._accepted[0][0] < now - _MINUTE:
            self._accepted.popleft()
        if self._first_start is None or now - self._first_start < _MINUTE or not self._accepted:
            return math.inf
        return sum(n for _, n in self._accepted) / _MINUTE


def _configured(per_minute: float | None) -> Meter:
    return Meter(_per_second(per_minute), _CONFIGURED_SLACK)


def _per_second(per_minute: float | None) -> float:
    return math.inf if per_minute is None else per_minute / 60 * _CONFIGURED_SHARE
