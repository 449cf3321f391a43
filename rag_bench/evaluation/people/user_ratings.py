"""Who rates: users' ratings are labels of those who felt like it, so their selection is shown."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.evaluation.precision import published
from rag_bench.evaluation.statistics import mean_metric, rate_interval, rate_metric
from rag_bench.evaluation.traffic.ratings import RatingScale
from rag_bench.evaluation.types import Metric

_LONGEST = 12

#: Pages that are not named: those of few answers, and those that no knowledge base has.
OTHER_PAGES = "other pages"


@dataclass(frozen=True)
class UserAnswer:
    """An answer that production gave; ``rating`` None: the user said nothing of it.

    ``similarity``: of the question and its nearest chunk; None: it was not encoded.
    """

    rating: float | None
    user: Hashable | None
    length: int
    month: str
    answered: bool
    page: str
    topic: str | None = None
    similarity: float | None = None


@dataclass(frozen=True)
class Contrast:
    """Rated answers beside all others by one measure; intervals are over users.

    ``ci_low``, ``ci_high``: of rated minus others, MOVER limits of the two intervals (Zou and
    Donner 2008). They take the two for independent: a user who rates some of theirs makes the
    interval wider than it need be.
    """

    measure: str
    rated: Metric
    others: Metric
    difference: float | None
    ci_low: float | None
    ci_high: float | None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "measure": self.measure,
            "rated": self.rated.to_json(),
            "others": self.others.to_json(),
            "difference": _number(self.difference),
            "ci_low": _number(self.ci_low),
            "ci_high": _number(self.ci_high),
        }


@dataclass(frozen=True)
class Group:
    """How many answers of a kind were rated; the interval is over users."""

    by: str
    group: str
    n: int
    n_rated: int
    interval: tuple[float | None, float | None]

    @property
    def share(self) -> float:
        """Of its answers, the rated ones."""
        return self.n_rated / self.n


@dataclass(frozen=True)
class Selection:
    """Which answers were rated, and by whom.

    ``busiest``: the share of all ratings by the tenth of users who rate most. ``share``: of the
    answers, the rated ones. ``contrasts``: rated answers beside the others.
    """

    n: int
    n_rated: int
    n_users: int
    n_raters: int
    busiest: float | None
    satisfied: float | None
    groups: Sequence[Group]
    share: Metric
    contrasts: Sequence[Contrast] = ()

    def lines(self) -> list[str]:
        """Return it in sentences."""
        if not self.n_rated:
            return ["Nobody rated an answer, so users' ratings say nothing."]
        found = [
            f"{self.n_rated:,} of {self.n:,} answers are rated, by {self.n_raters:,} of "
            f"{self.n_users:,} users."
        ]
        if self.busiest is not None:
            found.append(
                f"The tenth of users who rate most gave {self.busiest:.0%} of the ratings."
            )
        if self.satisfied is not None:
            found.append(f"Of the rated answers {self.satisfied:.0%} were rated as good.")
        found.append(
            "Users choose what they rate: no claim rests on ratings alone. Draw answers at random "
            "and label them to know how good they are."
        )
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "annotator_kind": "user",
            "n_answers": self.n,
            "n_rated": self.n_rated,
            "n_users": self.n_users,
            "n_raters": self.n_raters,
            "share_of_the_busiest_tenth": self.busiest,
            "satisfied": self.satisfied,
            "share_rated": self.share.to_json(),
            "rated_against_others": [one.as_json() for one in self.contrasts],
            "groups": [
                {
                    "by": one.by,
                    "group": one.group,
                    "n_answers": one.n,
                    "n_rated": one.n_rated,
                    "share_rated": one.share,
                    "ci_low": one.interval[0],
                    "ci_high": one.interval[1],
                }
                for one in self.groups
            ],
        }


def selection_of(answers: Sequence[UserAnswer], scale: RatingScale) -> Selection:
    """Return who rates how often, by length, month, page, topic and whether it was an answer."""
    rated = [one for one in answers if one.rating is not None]
    raters = Counter(one.user for one in rated if one.user is not None)
    most = sorted(raters.values(), reverse=True)
    verdicts = [v for one in rated if (v := scale.satisfied(one.rating)) is not None]
    ways: list[tuple[str, Callable[[UserAnswer], str]]] = [
        ("length", _by_length(answers)),
        ("month", lambda one: one.month),
        ("answered", lambda one: "answered" if one.answered else "refused or empty"),
        ("page", _by_page(answers)),
        ("topic", lambda one: "no topic" if one.topic is None else one.topic),
    ]
    groups: list[Group] = []
    for by, name in ways:
        groups += _groups(by, answers, name)
    return Selection(
        len(answers),
        len(rated),
        len({one.user for one in answers if one.user is not None}),
        len(raters),
        sum(most[: max(1, len(most) // 10)]) / sum(most) if len(most) >= 10 else None,
        sum(verdicts) / len(verdicts) if verdicts else None,
        groups,
        rate_metric([one.rating is not None for one in answers], clusters=_users(answers)),
        _contrasts(answers) if rated else [],
    )


def _users(answers: Sequence[UserAnswer]) -> list[Hashable]:
    """Return whose each answer is; without a user each counts as one of its own."""
    return [("answer", n) if one.user is None else one.user for n, one in enumerate(answers)]


def _contrasts(answers: Sequence[UserAnswer]) -> list[Contrast]:
    sides = [[one for one in answers if (one.rating is not None) is yes] for yes in (True, False)]
    made: dict[str, Callable[[Sequence[UserAnswer]], Metric]] = {
        "length": lambda of: mean_metric([float(one.length) for one in of], _users(of)),
        "answered": lambda of: rate_metric([one.answered for one in of], clusters=_users(of)),
        "similarity": lambda of: mean_metric(
            [one.similarity for one in of], _users(of), scale=(-1.0, 1.0)
        ),
        "on_a_topic": lambda of: rate_metric(
            [one.topic is not None for one in of], clusters=_users(of)
        ),
    }
    found = []
    for name, measure in made.items():
        if name == "similarity" and all(one.similarity is None for one in answers):
            continue
        if name == "on_a_topic" and all(one.topic is None for one in answers):
            continue
        rated, others = (measure(side) for side in sides)
        found.append(Contrast(name, rated, others, *_difference(rated, others)))
    return found


def _difference(a: Metric, b: Metric) -> tuple[float | None, float | None, float | None]:
    if a.value is None or b.value is None:
        return None, None, None
    difference = a.value - b.value
    if None in (a.ci_low, a.ci_high, b.ci_low, b.ci_high):
        return difference, None, None
    down = math.hypot(a.value - a.ci_low, b.ci_high - b.value)  # type: ignore[operator]
    up = math.hypot(a.ci_high - a.value, b.value - b.ci_low)  # type: ignore[operator]
    return difference, difference - down, difference + up


def _number(value: float | None) -> float | None:
    return None if value is None else published(value)


def _groups(
    by: str, answers: Sequence[UserAnswer], name: Callable[[UserAnswer], str]
) -> list[Group]:
    found: dict[str, list[UserAnswer]] = {}
    for one in answers:
        found.setdefault(name(one), []).append(one)
    groups = []
    if by == "length":  # from short to long, which their names do not say
        found = dict(sorted(found.items(), key=lambda item: min(one.length for one in item[1])))
    else:
        found = dict(sorted(found.items()))
    for group, mine in found.items():
        rated = [one.rating is not None for one in mine]
        interval = rate_interval(rated, _users(mine))
        groups.append(Group(by, group, len(mine), sum(rated), interval))
    return groups if len(groups) > 1 else []


def _by_length(answers: Sequence[UserAnswer]) -> Callable[[UserAnswer], str]:
    lengths = sorted(one.length for one in answers)
    if not lengths:
        return lambda one: ""
    first, second = (lengths[len(lengths) * part // 3] for part in (1, 2))

    def name(one: UserAnswer) -> str:
        if one.length < first:
            return f"below {first} letters"
        if one.length < second:
            return f"{first} to {second - 1} letters"
        return f"{second} letters or more"

    return name


def _by_page(answers: Sequence[UserAnswer]) -> Callable[[UserAnswer], str]:
    common = {page for page, _ in Counter(one.page for one in answers).most_common(_LONGEST)}
    return lambda one: (one.page or "no page") if one.page in common else OTHER_PAGES
