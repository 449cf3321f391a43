"""Which model is first, and what may not decide it: failures, leniency, other models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.judge_requirements import failed_requirements
from rag_bench.evaluation.ranking import Cell, Ranking, percent, rank

JUDGES = ("strict", "lenient", "noisy")


def cell(scores: Mapping[str, float], n_expected: int, worst: float = 1.0) -> Cell:
    mean = float(np.mean(list(scores.values()))) if scores else None
    return Cell(mean, len(scores), n_expected, dict(scores), worst)


def cases(values: Sequence[float], missing: Sequence[int] = ()) -> dict[str, float]:
    return {f"c{n:03d}": float(v) for n, v in enumerate(values) if n not in missing}


def pages(n: int, per_page: int = 2) -> dict[str, str]:
    return {f"c{k:03d}": f"p{k // per_page}" for k in range(n)}


def order(found: Ranking, only: Sequence[str] | None = None) -> list[str]:
    return [s.model for s in found.standings if only is None or s.model in only]


# Missing cases ----------------------------------------------------------------------------------


def test_who_fails_where_it_is_hard_does_not_win() -> None:
    # Scores fall with the case's number; the survivor has none for the hardest fifth.
    best = 5 - np.arange(50) * 0.06
    survivor = best - 0.2
    cells = {
        ("best", "j"): cell(cases(best), 50),
        ("survivor", "j"): cell(cases(survivor, range(40, 50)), 50),
    }
    assert cells["survivor", "j"].mean > cells["best", "j"].mean
    found = rank(cells, pages(50), judges=["j"])
    assert [(s.model, s.rank) for s in found.standings] == [("best", 1), ("survivor", None)]
    assert "40 of 50 cases have a score by j (80 %; 95 % are needed)" in found.standings[1].reason
    # It is not part of what the others are compared on, either.
    assert found.n_common == 50


def test_within_five_per_cent_missing_models_are_compared_on_common_cases() -> None:
    best = 5 - np.arange(100) * 0.03
    cells = {
        ("best", "j"): cell(cases(best), 100),
        ("survivor", "j"): cell(cases(best - 0.02, range(96, 100)), 100),
    }
    assert cells["survivor", "j"].mean > cells["best", "j"].mean
    found = rank(cells, pages(100), judges=["j"])
    assert order(found) == ["best", "survivor"]
    assert (found.n_common, found.n_cases) == (96, 100)
    assert found.standings[1].behind.difference.n_scored == 96


def test_unranked_models_are_ordered_by_their_worst() -> None:
    level = np.full(20, 4.0)
    cells = {
        ("whole", "j"): cell(cases(np.full(20, 2.0)), 20),
        ("half", "j"): cell(cases(level, range(10)), 20),  # (10 * 4 + 10 * 1) / 20 = 2.5
        ("most", "j"): cell(cases(level - 1, range(2)), 20),  # (18 * 3 + 2 * 1) / 20 = 2.8
        ("none", "j"): Cell(None, 0, 20),
    }
    assert cells["half", "j"].mean_at_worst == pytest.approx(2.5)
    found = rank(cells, pages(20), judges=["j"], models=["absent"])
    assert order(found) == ["whole", "most", "half", "none", "absent"]
    assert [s.rank for s in found.standings] == [1, None, None, None, None]


def test_a_judge_that_cannot_read_its_own_replies_is_the_one_to_go() -> None:
    level = np.tile([3.0, 4.0, 5.0], 20)
    cells = {}
    for model, shift in (("a", 0.0), ("b", -0.5)):
        cells[model, "good"] = cell(cases(level + shift), 60)
        cells[model, "broken"] = cell(cases(level - shift, range(0, 60, 7)), 60)
    found = rank(cells, pages(60), judges=["broken", "good"])
    assert order(found) == ["a", "b"]
    assert found.judges == ["good"]
    assert found.left_out == {"broken": "it scored at most 85 % of any model's cases"}


def test_a_judge_that_scored_only_some_models_does_not_count() -> None:
    level = np.tile([3.0, 4.0, 5.0], 20)
    cells = {(m, "main"): cell(cases(level - n * 0.1), 60) for n, m in enumerate("abc")}
    cells["c", "extra"] = cell(cases(np.full(60, 5.0)), 60)
    found = rank(cells, pages(60), judges=["extra", "main"])
    assert order(found) == ["a", "b", "c"]
    assert found.left_out == {"extra": "it scored 1 of 3 models"}


def test_where_all_judges_fail_all_count() -> None:
    cells = {("a", j): cell(cases([3, 4, 5, 4]), 4) for j in ("x", "y")}
    found = rank(cells, pages(4), judges=["x", "y"], failed_judges={"x": "bad", "y": "bad"})
    assert (found.judges, found.left_out) == (["x", "y"], {})
    one = rank(cells, pages(4), judges=["x", "y"], failed_judges={"x": "bad"})
    assert (one.judges, one.left_out) == (["y"], {"x": "bad"})


# Scales and other models ------------------------------------------------------------------------


def drawn(seed: int, models: Sequence[str], n: int = 40) -> dict[tuple[str, str], Cell]:
    """Judges that disagree: each has a severity, a spread and opinions of its own."""
    rng = np.random.default_rng(seed)
    hard = rng.normal(size=n)
    cells = {}
    for j, judge in enumerate(JUDGES):
        for model in models:
            own = np.random.default_rng([seed, j, int(model[1:])])
            taste = own.normal(scale=0.4)
            raw = 3.5 + 0.5 * j + (0.4 + j) * (taste + hard + own.normal(size=n))
            cells[model, judge] = cell(cases(np.clip(np.round(raw, 2), -20, 20)), n, -20)
    return cells


@given(st.integers(0, 10_000), st.integers(3, 7))
@settings(deadline=None, max_examples=40)
def test_another_model_never_turns_two_others_where_spreads_are_the_judges_own(
    seed: int, n_models: int
) -> None:
    names = [f"m{k}" for k in range(n_models)]
    spreads = {"strict": 0.7, "lenient": 1.3, "noisy": 2.1}
    everyone = rank(drawn(seed, names), pages(40), judges=JUDGES, spreads=spreads)
    assert everyone.independent
    for left in range(1, n_models):
        some = rank(drawn(seed, names[:left]), pages(40), judges=JUDGES, spreads=spreads)
        assert order(everyone, names[:left]) == order(some)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=40)
def test_without_them_it_can_only_where_the_judges_disagree(seed: int) -> None:
    names = [f"m{k}" for k in range(6)]
    cells = drawn(seed, names)
    everyone = rank(cells, pages(40), judges=JUDGES)
    assert not everyone.independent
    for a in names:
        for b in names:
            if all(cells[a, j].mean > cells[b, j].mean for j in JUDGES):
                found = order(everyone, [a, b])
                assert found == [a, b]
                pair = {key: value for key, value in cells.items() if key[0] in (a, b)}
                assert order(rank(pair, pages(40), judges=JUDGES)) == [a, b]


def test_the_mean_rank_would_turn_and_this_does_not() -> None:
    """a is far ahead by one judge and a little behind by the other; c and d squeeze between."""
    n = 20
    noise = np.tile([-1.0, 1.0], n // 2)

    def made(**means: tuple[float, float]) -> dict[tuple[str, str], Cell]:
        return {
            (model, judge): cell(cases(noise + value), n)
            for model, values in means.items()
            for judge, value in zip(("x", "y"), values, strict=True)
        }

    two = {"a": (5.0, 3.0), "b": (3.0, 3.4)}
    four = {**two, "c": (2.0, 3.1), "d": (1.0, 3.2)}
    spreads = {"x": 1.0, "y": 1.0}
    for found in (two, four):
        ranking = rank(made(**found), pages(n), judges=["x", "y"], spreads=spreads)
        assert order(ranking, ["a", "b"]) == ["a", "b"]
    # By mean rank a and b are level among two (1.5), and b leads among four (1.5 to 2.5).
    ranks = {m: np.mean([sum(v[k] >= four[m][k] for v in four.values()) for k in (0, 1)])
             for m in two}  # fmt: skip
    assert ranks["b"] < ranks["a"]


def test_a_judge_with_a_wide_scale_counts_no_more_than_another() -> None:
    n = 40
    noise = np.tile([-1.0, 1.0], n // 2)
    cells = {
        ("a", "wide"): cell(cases(50 + 10 * noise + 1), n),
        ("b", "wide"): cell(cases(50 + 10 * noise), n),
        ("a", "fine"): cell(cases(3 + 0.1 * noise), n),
        ("b", "fine"): cell(cases(3 + 0.1 * noise + 0.05), n),
    }
    # By raw means a leads by 0.95: by 0.1 of wide's spread, and it is behind by half of fine's.
    assert order(rank(cells, pages(n), judges=["wide", "fine"])) == ["b", "a"]


def test_leniency_moves_nothing() -> None:
    names = [f"m{k}" for k in range(5)]
    cells = drawn(3, names)
    lifted = {
        (m, j): cell({c: s + (7 if j == "lenient" else 0) for c, s in found.scores.items()}, 40)
        for (m, j), found in cells.items()
    }
    assert order(rank(cells, pages(40), judges=JUDGES)) == order(
        rank(lifted, pages(40), judges=JUDGES)
    )


def test_equal_models_are_decided_by_the_next_measure_then_by_name() -> None:
    thirds = [1 / 3, 2 / 3, 1.0, 4 / 3] * 5
    turned = thirds[::-1]  # the same sum in another order: other last bits
    cells = {
        ("b", "j"): cell(cases(thirds), 20), ("a", "j"): cell(cases(turned), 20),
        ("z", "j"): cell(cases(thirds), 20),
    }  # fmt: skip
    assert order(rank(cells, pages(20), judges=["j"])) == ["a", "b", "z"]
    then = {"a": [1.0], "b": [1.0], "z": [1.1]}
    assert order(rank(cells, pages(20), judges=["j"], then_by=then)) == ["z", "a", "b"]


# Who cannot be told from the first --------------------------------------------------------------


def test_the_near_is_tied_and_the_far_is_not() -> None:
    rng = np.random.default_rng(5)
    hard = rng.normal(size=80)
    first = 3.5 + hard * 0.5
    cells = {
        ("first", "j"): cell(cases(first), 80),
        ("near", "j"): cell(cases(first - 0.02 + rng.normal(scale=0.5, size=80)), 80),
        ("far", "j"): cell(cases(first - 1.0 + rng.normal(scale=0.5, size=80)), 80),
    }
    found = rank(cells, pages(80), judges=["j"])
    assert {s.model: s.tied for s in found.standings[1:]} == {"near": True, "far": False}
    assert found.standings[0].tied is None
    far = next(s for s in found.standings if s.model == "far")
    assert far.behind.difference.ci_low > 0
    assert far.behind.n_clusters == 40
    assert far.p_adjusted >= far.behind.p_value
    assert found.n_clusters == 40


def test_one_page_tells_nothing_apart() -> None:
    cells = {
        ("a", "j"): cell(cases([5] * 19 + [4]), 20),
        ("b", "j"): cell(cases([1] * 20), 20),
    }
    found = rank(cells, pages(20, per_page=20), judges=["j"])
    assert found.standings[1].tied


def test_without_cases_means_decide_and_nothing_is_said_of_chance() -> None:
    cells = {("a", "j"): Cell(3.0, 20, 20), ("b", "j"): Cell(4.0, 20, 20)}
    found = rank(cells, {}, judges=["j"])
    assert order(found) == ["b", "a"]
    assert [s.tied for s in found.standings] == [None, None]
    assert found.n_common == 0
    assert rank({}, {}, judges=["j"]).standings == []


def test_a_share_is_rounded_down() -> None:
    assert [percent(x) for x in (0.9499, 0.95, 1.0, 0.29)] == ["94 %", "95 %", "100 %", "29 %"]


# Judges -----------------------------------------------------------------------------------------


def measured(value: float | None, low: float | None = None, high: float | None = None) -> dict:
    return {"value": value, "ci_low": low, "ci_high": high}


@pytest.mark.parametrize(
    ("metrics", "fails"),
    [
        ({}, None),
        ({"error_rate": measured(0.2, 0.12, 0.3)}, "often cannot be used"),
        ({"error_rate": measured(0.06, 0.02, 0.12)}, None),  # may well be within the limit
        ({"error_rate": measured(0.06)}, "at most 0.05"),
        ({"constructed_auc": measured(0.6, 0.5, 0.7)}, "tells good from bad: constructed_auc 0.60"),
        ({"constructed_auc": measured(0.6, 0.45, 0.8)}, None),
        # What people say goes first.
        (
            {"label_auc": measured(0.9, 0.8, 1), "constructed_auc": measured(0.5, 0.4, 0.6)},
            None,
        ),
        (
            {"label_auc": measured(None), "constructed_auc": measured(0.5, 0.4, 0.6)},
            "constructed_auc",
        ),
        ({"decision_flip_rate": measured(0.4, 0.3, 0.5)}, "changes its mind"),
        ({"score_collapse": measured(1.0, 0.97, 1.0)}, "the same score"),
    ],
)
def test_what_a_judge_fails_by(metrics: dict, fails: str | None) -> None:
    found = failed_requirements(metrics)
    assert len(found) == (fails is not None)
    assert fails is None or fails in found[0]
