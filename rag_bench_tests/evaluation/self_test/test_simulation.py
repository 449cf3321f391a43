"""A self-test tells what keeps its promise from what does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from scipy.stats import binomtest

from rag_bench.evaluation.self_test.cells import all_cells
from rag_bench.evaluation.self_test.power import power, worlds
from rag_bench.evaluation.self_test.simulation import Cell, Held, Seen, simulate
from rag_bench.evaluation.self_test.worlds import Pages


def interval(share: float) -> Cell:
    """An interval that holds the truth with this chance."""
    return Cell("an interval", f"held {share}", 0.95, lambda rng: bool(rng.random() < share))


def test_an_interval_that_is_too_narrow_is_found_and_a_good_one_is_not() -> None:
    bad, good = simulate([interval(0.92), interval(0.95)], runs=2000)
    assert (bad.verdict, bad.is_kept) == ("too narrow", False)
    assert (good.verdict, good.is_kept) == ("holds", True)


def test_the_words_by_hand() -> None:
    # Of 2,000 looks at 95 %, three standard errors are 1.46 points.
    cell = interval(0.95)
    assert Held(cell, 2000, 2000, 1900).error == pytest.approx(0.004873, abs=1e-6)
    said = {
        share: Held(cell, 2000, 2000, int(2000 * share)).verdict for share in (0.93, 0.94, 0.97)
    }
    assert said == {0.93: "too narrow", 0.94: "holds", 0.97: "wider than promised"}
    assert Held(replace(cell, at_least=True), 2000, 2000, 1940).verdict == "holds"
    marked = Held(replace(cell, outside="few pages"), 2000, 2000, 1800)
    assert (marked.verdict, marked.is_kept) == ("marked", True)
    nothing = Held(cell, 2000, 0, 0)
    assert (nothing.share, nothing.verdict, nothing.is_kept) == (None, "nothing claimed", False)
    test = replace(cell, promised=0.05)
    assert Held(test, 2000, 2000, 160).verdict == "cries too often"
    assert Held(test, 2000, 2000, 100).verdict == "holds"
    assert Held(test, 2000, 2000, 20).verdict == "more careful than promised"


def test_a_line_does_not_depend_on_those_beside_it() -> None:
    alone = list(simulate([interval(0.92)], runs=200, seed=5))
    among = list(simulate([interval(0.95), interval(0.92)], runs=200, seed=5))
    assert alone[0].held == among[1].held
    with pytest.raises(ValueError, match="one name"):
        list(simulate([interval(0.92), interval(0.92)], runs=1))


def test_cells_of_one_look_are_answered_by_the_same_worlds() -> None:
    seen: list[float] = []

    def look(rng: np.random.Generator) -> dict[str, Seen]:
        seen.append(float(rng.random()))
        return {"low": seen[-1] < 0.95, "off": seen[-1] - 0.5, "none": None}

    shared = Cell("an interval", "one world", 0.95, look, part="low", drawn_as="a look")
    off = replace(shared, group="an estimate", promised=0.0, kind="estimate", part="off")
    none = replace(shared, group="nothing", part="none")
    found = list(simulate([shared, off, none], runs=400))
    assert len(seen) == 400
    assert [one.held for one in found[:2]] == pytest.approx(
        [sum(u < 0.95 for u in seen), sum(u - 0.5 for u in seen)]
    )
    assert found[2].verdict == "nothing claimed"
    # Uniform about its middle: off by nothing, with the error of the mean of so many.
    assert found[1].verdict == "holds"
    assert found[1].error == pytest.approx((1 / 12 / 400) ** 0.5, rel=0.1)
    [biased] = simulate([replace(off, look=lambda rng: {"off": float(rng.random())})], runs=400)
    assert (biased.verdict, biased.is_kept) == ("off", False)
    allowed = replace(biased.cell, tolerance=0.6)
    assert replace(biased, cell=allowed).verdict == "holds"
    low = replace(biased, held=-biased.held, cell=replace(biased.cell, at_least=True))
    assert (low.verdict, replace(low, held=biased.held).verdict) == ("holds", "off")


def test_a_plan_that_sees_less_than_it_says_is_found() -> None:
    plan = Cell("a plan", "here", 0.8, lambda rng: None, at_least=True, kind="power")
    assert Held(plan, 2000, 2000, 1500).verdict == "sees less than promised"
    assert not Held(plan, 2000, 2000, 1500).is_kept
    assert Held(plan, 2000, 2000, 1580).verdict == "holds"
    assert Held(plan, 2000, 2000, 1800).verdict == "holds"
    assert Held(replace(plan, at_least=False), 2000, 2000, 1800).is_kept


@pytest.mark.once  # shares of many worlds, which no last bit moves
def test_every_published_kind_of_interval_is_tried_and_none_is_far_off() -> None:
    runs = 40
    found = list(simulate(all_cells(), runs=runs))
    for held in found:
        cell = held.cell
        assert held.claimed > runs / 2, cell.name
        assert held.share is not None
        if cell.what == "estimate":
            assert held.share < cell.tolerance + 5 * held.error, cell.name
            assert cell.at_least or -held.share < cell.tolerance + 5 * held.error, cell.name
            continue
        # So few looks only catch what is far off; the command makes two thousand.
        bad: Literal["less", "greater"] = "greater" if cell.what == "test" else "less"
        worst = cell.promised + cell.tolerance * (1 if bad == "greater" else -1)
        chance = binomtest(round(held.held), held.claimed, worst, bad).pvalue
        assert chance > 1e-4 or cell.outside, cell.name
    groups = " ".join(held.cell.group for held in found)
    for kind in (
        *("mean of grades", "mean latency", "rate of", "p95", "weighted to the traffic"),
        *("between paired rates", "between paired grades", "paired test", "Shapley", "Holm"),
        *("stated to be found", "gate that fails", "gate that passes"),
        *("F1", "Cohen's kappa", "Krippendorff's alpha", "AUC", "balanced accuracy"),
        *("rank correlation", "severity", "prediction-powered", "Rogan-Gladen", "err otherwise"),
        *("ranks of all models", "probability of the first", "lead of the first", "told from"),
        *("canary's alarm", "carried over a bridge"),
    ):
        assert kind in groups, kind


def test_power_of_independent_questions_is_connors() -> None:
    # Facts of the literature: 626 pairs see 5 points with power .8 where 20 % are discordant.
    [seen] = power([(Pages(626, 1, 0.0), 0.20)], runs=400)
    assert seen.share == pytest.approx(0.8, abs=0.06)


def test_alike_pages_cost_power_and_no_drop_is_seldom_seen() -> None:
    alone, alike = power([(Pages(40, 5, 0.0), 0.3), (Pages(40, 5, 0.2), 0.3)], runs=300)
    assert alone.share > alike.share
    [none] = power([(Pages(40, 5, 0.1), 0.3)], runs=300, difference=-1e-12)
    assert none.share < 0.07
    assert len(worlds()) == len({f"{pages} {share}" for pages, share in worlds()}) == 24


def test_the_same_seed_gives_the_same() -> None:
    cells = [cell for cell in all_cells() if cell.group.startswith("mean")][:2]
    first, again = (list(simulate(cells, runs=20, seed=3)) for _ in range(2))
    assert [one.held for one in first] == [one.held for one in again]
    rng = np.random.default_rng(0)
    assert isinstance(cells[0].look(rng), bool)
