"""Who rates answers: counts by hand."""

import pytest

from rag_bench.evaluation.people.user_ratings import UserAnswer, selection_of
from rag_bench.evaluation.traffic.ratings import FIVE, NONE


def _answers() -> list[UserAnswer]:
    """Of 120 answers to 20 users every fourth is rated; the first user rates all of theirs."""
    found = []
    for n in range(120):
        user = n % 20
        rated = user == 0 or n % 4 == 1
        rating = (5.0 if n % 3 else 1.0) if rated else None
        found.append(
            UserAnswer(rating, user, 10 * (n % 30), f"2026-0{1 + n % 2}", n % 5 > 0, "page", "7")
        )
    return found


def test_counts_are_those_by_hand() -> None:
    answers = _answers()
    found = selection_of(answers, FIVE)
    rated = [one for one in answers if one.rating is not None]
    assert (found.n, found.n_rated, found.n_users) == (120, len(rated), 20)
    assert found.n_raters == len({one.user for one in rated})
    assert found.satisfied == pytest.approx(sum(one.rating == 5 for one in rated) / len(rated))
    by_month = {one.group: one for one in found.groups if one.by == "month"}
    assert by_month["2026-02"].n == 60
    assert by_month["2026-02"].n_rated == sum(one.month == "2026-02" for one in rated)
    low, high = by_month["2026-02"].interval
    assert low is not None
    assert low < by_month["2026-02"].share < high
    assert not [one for one in found.groups if one.by in ("page", "topic")], "there is one of each"
    assert sum(one.n for one in found.groups if one.by == "length") == 120


def test_the_busiest_users_are_told_of() -> None:
    answers = [UserAnswer(5.0, 0, 1, "m", True, "") for _ in range(30)]
    answers += [UserAnswer(5.0, n, 1, "m", True, "") for n in range(1, 10)]
    found = selection_of(answers, FIVE)
    assert found.busiest == pytest.approx(30 / 39)
    assert any("77%" in line for line in found.lines())
    assert any("no claim rests on ratings alone" in line for line in found.lines())


def test_without_ratings_nothing_is_claimed() -> None:
    found = selection_of([UserAnswer(None, 1, 1, "m", True, "")], NONE)
    assert found.satisfied is None
    assert found.lines() == ["Nobody rated an answer, so users' ratings say nothing."]
    assert found.as_json()["n_rated"] == 0
    assert selection_of([], NONE).groups == []
