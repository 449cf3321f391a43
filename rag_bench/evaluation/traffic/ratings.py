"""Which scale users rated on, told from the ratings themselves. The one place that knows.

A rating counts as satisfied in the top fifth of its scale: 5 of 1 to 5, 9 and 10 of 1 to 10, a
thumb up, more than 80 percent. Where the scale is not sure, nothing is computed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Share of ratings that must lie on a scale; the others are strays and count as no rating.
_LEAST_FIT = 0.99


@dataclass(frozen=True)
class RatingScale:
    """A scale of ratings.

    Attributes:
        name: as the setting has it; ``unknown``, ``none``: nothing is computed.
        low, high: its ends.
        no_opinion: a value between that says neither, and counts as no rating.
        note: what to tell people, if it is not the usual scale.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    no_opinion: float | None = None
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether ratings can be judged."""
        return self.high > self.low

    @property
    def ends(self) -> tuple[float, float] | None:
        """The scale of a mean; None where it is not known."""
        return (self.low, self.high) if self.known else None

    def rating(self, score: float | None) -> float | None:
        """Return a rating that is on the scale, else None. Of an unknown scale all are."""
        if score is None or (self.known and not self.low <= score <= self.high):
            return None
        return None if score == self.no_opinion else score

    def satisfied(self, score: float | None) -> bool | None:
        """Whether the user was satisfied; None without a rating, or where the scale is unknown."""
        rated = self.rating(score)
        if rated is None or not self.known:
            return None
        # The top fifth; compared without dividing, which would be a matter of float bits.
        return (rated - self.low) * 5 > (self.high - self.low) * 4


_ZERO = "0 says neither and counts as no rating"
SCALES: Mapping[str, RatingScale] = {
    scale.name: scale
    for scale in (
        RatingScale("1-5", 1, 5),
        RatingScale("0-5", 0, 5, note="ratings are from 0 to 5; satisfied is 5"),
        RatingScale("1-10", 1, 10, note="ratings are from 1 to 10; satisfied is 9 or 10"),
        RatingScale("0-10", 0, 10, note="ratings are from 0 to 10; satisfied is 9 or 10"),
        RatingScale("thumbs", -1, 1, 0, f"ratings are thumbs, 1 up and -1 down; {_ZERO}"),
        RatingScale("0-1", 0, 1, note="ratings are from 0 to 1; satisfied is above 0.8"),
        RatingScale("percent", 0, 100, note="ratings are percent; satisfied is above 80"),
    )
}
FIVE = SCALES["1-5"]
NONE = RatingScale("none", note="nobody rated an answer")


def recognise(counts: Mapping[float, int]) -> RatingScale:
    """Return the scale of these ratings (value -> how often), with a note for people.

    A scale is taken only if its best value was given, so that "nobody was satisfied" is never said
    because a scale ends sooner; ratings that are all alike tell none, except all 5.
    """
    counts = {float(value): n for value, n in counts.items() if n}
    if not counts:
        return NONE
    values = set(counts)
    total = sum(counts.values())

    def fits(low: float, high: float, step: float) -> bool:
        on = sum(n for v, n in counts.items() if low <= v <= high and (v / step).is_integer())
        return on >= _LEAST_FIT * total

    found: RatingScale | None = None
    if values <= {-1.0, 0.0, 1.0} and -1.0 in values:
        found = SCALES["thumbs"]
    elif (min(values) >= 0 and max(values) <= 1) and len(values) > 1:
        found = SCALES["0-1"]
    elif 5.0 in values and fits(1, 5, 0.5):
        found = FIVE
    elif 5.0 in values and fits(0, 5, 0.5):
        found = SCALES["0-5"]
    elif 10.0 in values and fits(1, 10, 0.5):
        found = SCALES["1-10"]
    elif 10.0 in values and fits(0, 10, 0.5):
        found = SCALES["0-10"]
    elif min(values) >= 0 and 50 < max(values) <= 100:
        found = SCALES["percent"]
    if found is None:
        shown = ", ".join(f"{value:g}" for value in sorted(values)[:8])
        more = ", ..." if len(values) > 8 else ""
        return RatingScale(
            "unknown",
            note=f"the ratings ({shown}{more}) tell no scale for sure, so nothing is computed from "
            f"them; name it by RAG_BENCH_RATINGS ({', '.join(SCALES)})",
        )
    strays = sum(n for value, n in counts.items() if not found.low <= value <= found.high)
    if not strays:
        return found
    off = f"{strays:,} ratings are not from {found.low:g} to {found.high:g} and count as none"
    note = f"{found.note}; {off}" if found.note else off
    return RatingScale(found.name, found.low, found.high, found.no_opinion, note)


@dataclass(frozen=True)
class RatedScores:
    """How the answers that users gave one rating were scored.

    Attributes:
        rating: on the users' scale.
        counts: answers by score.
        n_unscored: answers that have no score.
    """

    rating: float
    counts: Mapping[int, int]
    n_unscored: int

    @property
    def n(self) -> int:
        """Answers with this rating."""
        return sum(self.counts.values()) + self.n_unscored


def scores_by_rating(
    rated: Iterable[tuple[float | None, int | float | None]],
) -> list[RatedScores]:
    """Return how often each score stands beside each rating, best rating first.

    Counts and nothing else: users rate whom they like, and when they are cross, so what it says of
    a judge is for a calibration to find out.

    Args:
        rated: the user's rating and the judge's score of each answer, None for what is not there.
    """
    found: dict[float, Counter[int | None]] = {}
    for rating, score in rated:
        if rating is not None:
            counts = found.setdefault(float(rating), Counter())
            counts[None if score is None else round(score)] += 1
    return [
        RatedScores(
            rating,
            dict(sorted(_scored(counts).items())),
            counts[None],
        )
        for rating, counts in sorted(found.items(), reverse=True)
    ]


def _scored(counts: Mapping[int | None, int]) -> dict[int, int]:
    return {score: n for score, n in counts.items() if score is not None}
