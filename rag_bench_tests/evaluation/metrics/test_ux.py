"""Dialogs, cache hits and answers to repeated questions: by hand, and against plain loops."""

import itertools
import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.evaluation.metrics.ux import UX_NAMES, dialog_metrics, unrelated_similarity
from rag_bench.evaluation.nearest import best_match, unit_vectors
from rag_bench.evaluation.traffic.dialogs import (
    DIALOG_GAP_SECONDS,
    SAME_QUESTION,
    Turn,
    agreement,
    dialogs_of,
    repeats_of,
)

NOON = datetime(2025, 9, 1, 12, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def direction(degrees: float) -> np.ndarray:
    """A unit vector in the plane; two of them have the cosine of the angle between."""
    angle = math.radians(degrees)
    return np.array([math.cos(angle), math.sin(angle)], dtype=np.float32)


def cos(degrees: float) -> float:
    return math.cos(math.radians(degrees))


# A student asks about the grant, follows it up, comes back next day; another asks the same later.
STORY = [
    (Turn(1, 7, at(0), True, answer="25-го числа", page="grant"), direction(0)),
    (Turn(2, 7, at(10), answer="на карту «Мир»", page="grant"), direction(20)),
    (Turn(3, 7, at(40), answer=None), direction(90)),  # exactly 30 minutes after: goes on
    (Turn(4, 7, at(71), answer="5-го числа", page="payment"), direction(0)),  # 31 minutes: new
    (Turn(5, 8, at(90), answer="25-го числа", page="archive"), direction(1)),
    (Turn(6, 8, None, True, answer="10 рублей", page="meals"), direction(89)),  # no time
    (Turn(7, None, at(95), answer="да", page="x"), direction(45)),  # no user
    (Turn(8, 8, at(96), answer="?", page="x"), None),  # no text
]
TURNS = [turn for turn, _ in STORY]
VECTORS = [vector for _, vector in STORY]


def test_the_story_by_hand() -> None:
    metrics, cases, repeats = dialog_metrics(TURNS, VECTORS, cache_threshold=0.9)
    # Rated: 1 (0 degrees) and 6 (89 degrees); none is compared with itself.
    assert [case.best_rated for case in cases] == pytest.approx(
        [cos(89), cos(20), cos(1), 1.0, cos(1), cos(89), cos(44), None], abs=1e-5
    )
    # Of those asked before only 1 is known; when 6 was asked is not.
    assert [case.best_earlier for case in cases] == pytest.approx(
        [None, cos(20), cos(90), 1.0, cos(1), None, cos(45), None], abs=1e-5
    )
    # 2, 3, 4 and 5 of the seven with text.
    hit = metrics["cache_hit_rate"]
    assert (hit.value, hit.n_scored, hit.n_expected) == (pytest.approx(4 / 7), 7, 8)
    # 1 was asked before anything was rated: a miss. 6 has no time, 8 no text.
    earlier = metrics["earlier_cache_hit_rate"]
    assert (earlier.value, earlier.n_scored, earlier.n_expected) == (0.5, 6, 8)
    assert (earlier.low_if_missing, earlier.high_if_missing) == (3 / 8, 5 / 8)

    # Dialogs: 1 2 3 | 4 | 5. What has no user, time or text is in none.
    assert [(case.dialog, case.turn) for case in cases] == [
        *((0, 1), (0, 2), (0, 3), (1, 1), (2, 1)),
        *((None, None), (None, None), (None, None)),
    ]
    kept = metrics["context_preservation"]
    assert (kept.n_scored, kept.n_expected) == (2, 2)
    assert kept.value == pytest.approx((cos(20) + cos(70)) / 2, abs=1e-6)
    assert metrics["context_preservation_baseline"].value == pytest.approx(
        (cos(1) + cos(19) + cos(89) + cos(1)) / 4, abs=1e-6
    )
    assert metrics["avg_turns"].value == pytest.approx(5 / 3)
    assert metrics["multi_turn_dialog_rate"].value == pytest.approx(1 / 3)
    follow = metrics["follow_up_rate"]
    assert (follow.value, follow.n_scored, follow.n_expected) == (pytest.approx(2 / 5), 5, 8)

    # 4 repeats 1 and was answered from another page in other words; 5 repeats 4 (the last time
    # that it was asked), with 1's words from a third page.
    assert [(pair.later, pair.earlier, pair.same_dialog) for pair in repeats] == [
        (3, 0, False),
        (4, 3, False),
    ]
    same = metrics["multi_turn_consistency"]
    assert (same.value, same.n_scored, same.n_expected) == (0.0, 2, 2)
    inside = metrics["within_dialog_consistency"]
    assert (inside.value, inside.n_scored, inside.n_expected) == (None, 0, 0)
    counts = ("n_questions", "n_users", "n_dialogs", "n_cache_entries")
    assert [metrics[name].value for name in counts] == [8, 2, 3, 2]


def test_consistency_is_no_copy_of_context_preservation() -> None:
    """A dialog that never leaves its subject, in which the same question gets two answers."""
    turns = [
        Turn(1, 1, at(0), answer="940 рублей", page="dorm"),
        Turn(2, 1, at(1), answer="бесплатно", page="other"),
    ]
    metrics, *_ = dialog_metrics(turns, [direction(0), direction(0)], cache_threshold=0.85)
    assert metrics["context_preservation"].value == pytest.approx(1.0)
    assert metrics["multi_turn_consistency"].value == 0.0
    assert metrics["within_dialog_consistency"].value == 0.0


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        (("25-го", "grant"), ("двадцать пятого", "grant"), True),  # one source, other words
        (("25-го", "grant"), ("25-го", "archive"), True),  # one text, other page
        (("25-го", "grant"), ("5-го", "archive"), False),
        (("25-го", None), ("5-го", None), False),  # no page is not the same page
        (("25-го", "grant"), (None, None), False),  # once answered, once not
        ((None, None), ("25-го", "grant"), False),
        ((None, None), (None, None), None),  # nothing to compare
    ],
)
def test_agreement(
    earlier: tuple[str | None, str | None],
    later: tuple[str | None, str | None],
    expected: bool | None,
) -> None:
    first, second = (
        Turn(n, 1, at(n), answer=a, page=p) for n, (a, p) in enumerate((earlier, later))
    )
    assert agreement(first, second) is expected


def test_a_new_dialog_begins_after_the_gap_or_on_demand() -> None:
    gap = DIALOG_GAP_SECONDS / 60
    turns = [
        Turn(1, 1, at(0)),
        Turn(2, 1, at(gap), ends_dialog=True),
        Turn(3, 1, at(gap + 1)),
        Turn(4, 2, at(gap + 1)),
        Turn(5, 1, at(2 * gap + 1.02)),
        # The same moment as the last, in another zone of time.
        Turn(6, 1, at(2 * gap + 1.02).astimezone(timezone(timedelta(hours=5)))),
    ]
    assert dialogs_of(turns) == [[0, 1], [2], [4, 5], [3]]
    assert dialogs_of(turns[::-1]) == [[5, 4], [3], [1, 0], [2]]
    assert dialogs_of(turns, gap_seconds=1e9) == [[0, 1], [2, 4, 5], [3]]
    assert dialogs_of([]) == []


@pytest.mark.parametrize("turns", [[], [Turn(1), Turn(2, 5)], [Turn(1, 5, at(0))]])
def test_what_cannot_be_known_is_undefined(turns: Sequence[Turn]) -> None:
    """No rows; rows without text; one lonely question in a snapshot without ratings."""
    vectors = [direction(0) if turn.asked_at else None for turn in turns]
    metrics, cases, repeats = dialog_metrics(turns, vectors, cache_threshold=0.85)
    assert len(cases) == len(turns)
    assert repeats == []
    for name in (
        *("cache_hit_rate", "earlier_cache_hit_rate", "context_preservation"),
        *("multi_turn_consistency", "within_dialog_consistency", "context_preservation_baseline"),
    ):
        assert metrics[name].value is None
        assert metrics[name].n_scored == 0
        assert metrics[name].to_json()["value"] is None
    assert metrics["cache_hit_rate"].n_expected == len(turns)
    assert metrics["n_questions"].value == (len(turns) or None)


def test_equal_times_are_not_earlier() -> None:
    turns = [Turn(1, 1, at(0), True), Turn(2, 2, at(0), True)]
    metrics, *_ = dialog_metrics(turns, [direction(0)] * 2, cache_threshold=0.85)
    assert metrics["cache_hit_rate"].value == 1.0
    assert metrics["earlier_cache_hit_rate"].value == 0.0
    assert metrics["multi_turn_consistency"].n_expected == 0


def test_ties_take_the_first_entry_and_the_own_one_never_counts() -> None:
    entries = np.stack([direction(10), direction(0), direction(0)]).astype(float)
    question = direction(0)[None, :].astype(float)
    cosines, which = best_match(question, entries)
    assert (which[0], cosines[0]) == (1, 1.0)
    assert best_match(question, entries, own=np.array([1]))[1][0] == 2
    assert best_match(question, entries, first=np.array([1]))[1][0] == 0
    none, nothing = best_match(question, entries, first=np.array([0]))
    assert np.isnan(none[0])
    assert nothing[0] == -1
    assert best_match(question, entries[:0])[1][0] == -1


def test_vectors_without_a_direction_are_refused() -> None:
    for bad in (np.zeros((1, 2)), np.array([[np.nan, 1.0]]), np.ones(3)):
        with pytest.raises(ValueError, match=r"vector|matrix"):
            unit_vectors(bad)
    with pytest.raises(ValueError, match="1 turns but 0 vectors"):
        dialog_metrics([Turn(1)], [], cache_threshold=0.5)


def test_every_metric_is_in_the_catalogue() -> None:
    assert {name for name, spec in CATALOGUE.items() if "ux" in spec.tiers} == set(UX_NAMES)
    made, *_ = dialog_metrics(TURNS, VECTORS, cache_threshold=0.9)
    for name, metric in made.items():
        assert metric.scale == CATALOGUE[name].scale


# Against plain loops over random rows ------------------------------------------------------------

rows = st.lists(
    st.builds(
        Turn,
        key=st.just(0),
        user=st.none() | st.integers(1, 3),
        asked_at=st.none() | st.integers(0, 200).map(at),
        rated_5=st.booleans(),
        ends_dialog=st.booleans(),
        answer=st.sampled_from([None, "да", "нет"]),
        page=st.sampled_from([None, "a", "b"]),
    ),
    max_size=25,
)


def numbered(turns: Sequence[Turn]) -> list[Turn]:
    return [
        Turn(n, t.user, t.asked_at, t.rated_5, t.ends_dialog, t.answer, t.page)
        for n, t in enumerate(turns)
    ]


def random_vectors(n: int, seed: int) -> np.ndarray:
    """Few directions, so that questions repeat."""
    rng = np.random.default_rng(seed)
    kinds = rng.normal(size=(4, 6))
    return unit_vectors(kinds[rng.integers(0, 4, size=n)] + rng.normal(scale=0.05, size=(n, 6)))


@settings(max_examples=60, deadline=None)
@given(rows, st.integers(0, 1000))
def test_hits_and_repeats_are_those_of_plain_loops(given_rows: list[Turn], seed: int) -> None:
    turns = numbered(given_rows)
    vectors = random_vectors(len(turns), seed)
    metrics, cases, repeats = dialog_metrics(turns, list(vectors), cache_threshold=0.9)
    for position, (turn, case) in enumerate(zip(turns, cases, strict=True)):
        others = [p for p, t in enumerate(turns) if t.rated_5 and p != position]
        expected = max((float(vectors[p] @ vectors[position]) for p in others), default=None)
        assert case.best_rated == pytest.approx(expected, abs=1e-6)
        before = [
            p
            for p in others
            if turn.asked_at and (asked := turns[p].asked_at) and asked < turn.asked_at
        ]
        expected = max((float(vectors[p] @ vectors[position]) for p in before), default=None)
        assert case.best_earlier == pytest.approx(expected, abs=1e-6)
        same = [
            p
            for p, other in enumerate(turns)
            if turn.asked_at
            and other.asked_at
            and other.asked_at < turn.asked_at
            and vectors[p] @ vectors[position] >= SAME_QUESTION
        ]
        last = max(same, key=lambda p: (turns[p].asked_at, p), default=None)
        assert [p.earlier for p in repeats if p.later == position] == (
            [] if last is None else [last]
        )
    for metric in metrics.values():
        assert metric.n_scored <= metric.n_expected
        if metric.value is not None and metric.ci_low is not None and metric.ci_high is not None:
            assert metric.ci_low <= metric.value <= metric.ci_high


@settings(max_examples=60, deadline=None)
@given(rows, st.randoms(use_true_random=False))
def test_dialogs_split_each_users_questions_whatever_the_order(
    given_rows: list[Turn], dice: random.Random
) -> None:
    turns = numbered(given_rows)
    dialogs = dialogs_of(turns)
    placed = sorted(position for dialog in dialogs for position in dialog)
    assert placed == [p for p, t in enumerate(turns) if t.user is not None and t.asked_at]
    for dialog in dialogs:
        assert len({turns[p].user for p in dialog}) == 1
        for a, b in itertools.pairwise(dialog):
            gap = turns[b].asked_at - turns[a].asked_at  # type: ignore[operator]
            assert timedelta(0) <= gap <= timedelta(minutes=30)
            assert not turns[a].ends_dialog
    shuffled = list(turns)
    dice.shuffle(shuffled)
    again = [[shuffled[p].key for p in dialog] for dialog in dialogs_of(shuffled)]
    assert again == dialogs


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), max_size=20), st.integers(0, 1000))
def test_the_baseline_is_the_mean_over_pairs_of_different_users(
    users: list[int], seed: int
) -> None:
    vectors = random_vectors(len(users), seed)
    pairs = [
        float(vectors[a] @ vectors[b])
        for a, b in itertools.combinations(range(len(users)), 2)
        if users[a] != users[b]
    ]
    expected = sum(pairs) / len(pairs) if pairs else None
    assert unrelated_similarity(vectors, users) == pytest.approx(expected, abs=1e-6)


def test_blocks_do_not_change_the_result() -> None:
    """More rows than a block holds: the pairs are those of one matrix."""
    n = 1300
    rng = np.random.default_rng(3)
    kinds = rng.normal(size=(200, 8))
    vectors = unit_vectors(kinds[rng.integers(0, 200, size=n)])
    turns = [Turn(i, i % 50, at(int(rng.integers(0, 5000)))) for i in range(n)]
    found = {p.later: p.earlier for p in repeats_of(turns, vectors, [])}
    times = np.array([t.asked_at.timestamp() for t in turns])  # type: ignore[union-attr]
    for position in range(0, n, 37):
        same = (vectors @ vectors[position] >= SAME_QUESTION) & (times < times[position])
        candidates = np.flatnonzero(same)
        if not len(candidates):
            assert position not in found
        else:
            best = max(candidates, key=lambda p: (times[p], p))
            assert found[position] == best
