"""Where a limit is learned: one bound that falls at a 429 and rises with answers.

Pure, like the pace that has two of them (`rag_bench.llm.transport.pacing`). A bound

* falls once for all calls that were under way when it fell: their 429s are one event;
* first searches: it halves until something is answered, goes back once to half of where it was,
  then doubles by the second until the next 429;
* then is a saw: a fall to 0.9, back at its last peak after 10 s (or 30 calls, or 40 times the
  pause asked for, if that is longer), then on by a tenth in that time. A peak that is met again is
  nearly the limit: the next fall is half as deep, to 0.975 at last; one that is refused soon after
  a fall is not: the next is twice as deep, to 0.9, from what was accepted within the last second
  if that is less. Each 15 s beyond the peak without a 429 double the slope, so that a limit that
  was raised is found.

A limit that counts by the minute can let a burst through and then refuse everything for a while,
so after several falls with nothing answered in between, the peak to return to is what was accepted
a second over the last minute.
"""

from __future__ import annotations

import math
from collections import Counter

DECREASE = 0.9
LEAST_DECREASE = 0.975  # of a limit that was met several times at one height
HARD_DECREASE = 0.5  # nothing was answered since the last fall
RECOVERY = 10.0  # seconds from a fall back to the last peak
_RECOVERY_CALLS = 30  # at low rates: so many calls, if they take longer
_RECOVERY_PAUSES = 40  # so many times the pause that a 429 asks for, if that is longer
_DOUBLING = 15.0  # seconds beyond the last peak until the slope doubles
_SEARCH_STEP = 1.5  # the most that one answered call may add to a searching bound
_PROVEN_FOR = 30.0  # seconds for which an answered call proves its number of neighbours
_FEW = 0.03  # of the answered calls may have had more neighbours by chance


class Bound:
    """One learned bound: ``value`` never leaves ``lowest`` to ``highest``."""

    def __init__(self, value: float, lowest: float, highest: float) -> None:
        self.value = value
        self._lowest, self._highest = lowest, highest
        self._searching = True
        self._rose = False  # since the last fall
        self._returned = False  # once, while searching
        self._peak = value
        self._slope = self._slope_beyond = 0.0
        self._period = RECOVERY
        self._depth = 1 - DECREASE  # of the next fall
        self._fell_at = self._rose_at = self._passed_peak_at = -math.inf

    def fall(self, now: float, start: float, pause: float = 0.0, lasting: float = math.inf) -> None:
        """Fall from ``start``, which is the present value or a better guess of the limit.

        ``pause``: the seconds that this 429 costs everybody; ``lasting``: what was got over a
        longer time, if that is known.
        """
        first = self._fell_at == -math.inf
        again = not first and not self._rose
        if not first:
            # What holds for long is nearly the limit; what is refused soon was too high.
            depth = self._depth * 2 if self.is_unsettled(now) else self._depth / 2
            self._depth = min(max(depth, 1 - LEAST_DECREASE), 1 - DECREASE)
        if self._rose and not first:
            self._searching = False
        self._peak = min(self._peak, lasting) if again else min(self.value, start)
        factor = HARD_DECREASE if again else 1 - self._depth
        self.value = max(self._lowest, min(self.value, start) * factor)
        self._period = max(RECOVERY, _RECOVERY_CALLS / self._peak, _RECOVERY_PAUSES * pause)
        self._slope = max(self._peak - self.value, self._depth * self._peak) / self._period
        self._slope_beyond = (1 - DECREASE) * self._peak / self._period
        self._fell_at = self._rose_at = self._passed_peak_at = now
        self._rose = False

    def rise(self, now: float) -> None:
        """Rise a little: a call was answered while this bound held others back."""
        if self._fell_at == -math.inf:
            return
        first, self._rose = not self._rose, True
        passed, self._rose_at = now - self._rose_at, now
        if self._searching and first and not self._returned:
            # What was refused several times at once may have been one event.
            self._returned = True
            value = max(self.value, self._peak * HARD_DECREASE)
        elif self._searching:
            value = self.value * min(2.0**passed, _SEARCH_STEP)
        elif first and self.value < self._peak * HARD_DECREASE:
            value = self._peak * HARD_DECREASE  # it answers again after several falls
        else:
            slope = self._slope
            if self.value < self._peak:
                self._passed_peak_at = now
            else:
                periods = math.floor((now - self._passed_peak_at) / _DOUBLING)
                slope = self._slope_beyond * 2.0 ** min(periods, 30)
            value = self.value + min(slope * passed, self.value * (_SEARCH_STEP - 1))
        self.value = min(value, self._highest)

    @property
    def learned(self) -> float | None:
        """The limit as it was met last; None: never."""
        return None if self._fell_at == -math.inf else self._peak

    def adopt(self, now: float, limit: float) -> None:
        """Take a limit over from somebody who met it, as if it had been met here."""
        if self._fell_at == -math.inf:
            self._fell_at = self._rose_at = self._passed_peak_at = now
            self._searching, self._rose = False, True
        self._peak = max(self._lowest, min(limit, self._highest))
        self.value = min(self.value, self._peak)
        self._period = max(RECOVERY, _RECOVERY_CALLS / self._peak)
        self._slope = self._slope_beyond = (1 - DECREASE) * self._peak / self._period

    def cap(self, highest: float) -> None:
        """Set the highest value that may be; where no limit was met it is the value, too."""
        self._highest = max(self._lowest, highest)
        if self._fell_at == -math.inf:
            self.value = self._highest
        self.value = min(self.value, self._highest)

    def scale(self, factor: float) -> None:
        """Make what was learned so many times as large: another part of the limit is ours now."""
        if self._fell_at == -math.inf:
            return
        self._peak = max(self._lowest, min(self._peak * factor, self._highest))
        self.value = max(self._lowest, min(self.value * factor, self._highest))
        self._slope *= factor
        self._slope_beyond *= factor

    def is_unsettled(self, now: float) -> bool:
        """Whether the limit is searched still, or was met again too soon to be where it was."""
        return self._searching or now - self._fell_at < self._period / 2

    def doubt(self) -> None:
        """Search anew: a call was refused for another reason, with no more than were allowed."""
        if self._fell_at != -math.inf:
            self._searching = True

    def rest(self, now: float) -> None:
        """Let time pass without a rise: another bound held the calls back."""
        self._rose_at = now


class Levels:
    """With how many neighbours in flight calls were answered lately."""

    def __init__(self) -> None:
        self._now: Counter[int] = Counter()
        self._before: Counter[int] = Counter()
        self._since = -math.inf

    def note(self, now: float, level: int) -> None:
        """Count an answered call that had so many in flight, itself included."""
        self._turn(now)
        self._now[level] += 1

    def usual(self, now: float) -> int:
        """Return the level that all but a few did not pass; 0 where nothing was answered.

        At a limit of calls in flight one more is accepted now and then, as another ends while it
        is on its way.
        """
        self._turn(now)
        counts = self._now + self._before
        few = counts.total() * _FEW
        for level in sorted(counts, reverse=True):
            few -= counts[level]
            if few < 0:
                return level
        return 0

    def _turn(self, now: float) -> None:
        if now - self._since > _PROVEN_FOR / 2:
            stale = now - self._since > _PROVEN_FOR
            self._before = Counter() if stale else self._now
            self._now, self._since = Counter(), now
