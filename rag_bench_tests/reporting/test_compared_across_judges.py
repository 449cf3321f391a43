"""Two judges and a bridge, planted in the store: what a comparison, the gate and a baseline say."""

from __future__ import annotations

from typing import Any

import pytest
from judged_twice import AFTER, BEFORE, COMMAND, MODEL, NEW, OLD, QUALITY, bridged, gold, scored
from sqlalchemy import Engine

from rag_bench.reporting.compared.comparing import compare
from rag_bench.reporting.compared.gate import gate
from rag_bench.reporting.compared.pinned import against_baseline, lines, pin
from rag_bench.reporting.compared.policy import DEFAULT_RULES
from rag_bench.reporting.compared.text import whole


def test_without_a_bridge_no_word_is_said_and_the_command_is(engine: Engine) -> None:
    data = gold(engine)
    a = scored(engine, data, OLD, 0.0, BEFORE)
    b = scored(engine, data, NEW, -0.5, AFTER)
    found = compare(engine, str(a), str(b))
    [one] = found.metrics
    assert (found.verdict, one.decision.word, one.p_adjusted) == (
        "cannot tell",
        "cannot tell",
        None,
    )
    assert COMMAND in str(one.decision.reason)
    # The difference is told all the same; of cases nothing is said to have got worse.
    assert one.comparison.difference.value == pytest.approx(-0.5)
    assert (found.worse, found.better, found.n_tests) == ([], [], 0)
    assert COMMAND in whole(found.as_json())
    assert found.as_json()["metrics"][0]["across_bridge"] is None
    held = gate(engine, str(a), str(b), DEFAULT_RULES)
    assert held.outcome == "held"
    assert COMMAND in str(held.metrics[0].reason)
    # As sides of models the judge is in the names; they are held against each other all the same.
    models = gate(engine, f"settings:{BEFORE}", f"settings:{AFTER}", DEFAULT_RULES)
    assert [one.metric.name for one in models.metrics] == [f"3.{QUALITY} of {MODEL} by {NEW}"]
    assert COMMAND in str(models.metrics[0].reason)


def test_what_the_new_judge_only_sees_stricter_did_not_get_worse(engine: Engine) -> None:
    data = gold(engine)
    a = scored(engine, data, OLD, 0.0, BEFORE)
    b = scored(engine, data, NEW, -0.5, AFTER)
    link = bridged(engine)
    found = compare(engine, str(a), str(b))
    [one] = found.metrics
    error = link.error_at(4.0)
    assert error > 0.05
    assert one.a == pytest.approx(link.carried(4.0), abs=1e-9)
    assert one.comparison.difference.value == pytest.approx(3.5 - link.carried(4.0), abs=1e-6)
    low, high = one.comparison.difference.ci_low, one.comparison.difference.ci_high
    assert low is not None
    assert high is not None
    assert (high - low) / 2 >= 1.95 * error, "the link's error is in the interval"
    assert one.decision.word != "got worse"
    said = found.as_json()["metrics"][0]["across_bridge"]
    assert {n: said[n] for n in ("from", "to", "side", "own_mean")} == {
        "from": OLD,
        "to": NEW,
        "side": "a",
        "own_mean": 4.0,
    }
    assert said["link_error"] == pytest.approx(error, abs=1e-4)
    assert "across a bridge" in whole(found.as_json())
    assert found.worse == [], "a bridge says nothing of single cases"
    # The other way round the other side crosses, to the same scale.
    turned = compare(engine, str(b), str(a)).metrics[0]
    assert (turned.carried_side, turned.b) == ("b", one.a)
    assert turned.comparison.difference.value == pytest.approx(
        -(one.comparison.difference.value or 0)
    )


@pytest.mark.parametrize(("by", "word"), [(-1.5, "got worse"), (0.5, "no worse than the margin")])
def test_a_true_change_is_seen_across_the_bridge(engine: Engine, by: float, word: str) -> None:
    data = gold(engine)
    scored(engine, data, OLD, 0.0, BEFORE)
    scored(engine, data, NEW, by, AFTER)
    bridged(engine)
    sides = (f"model:{MODEL}@{BEFORE}", f"model:{MODEL}@{AFTER}")
    found = gate(engine, *sides, DEFAULT_RULES)
    [one] = found.metrics
    assert (one.metric.name, one.metric.decision.word) == (f"3.{QUALITY} by {NEW}", word)
    assert found.outcome == ("failed" if by < 0 else "passed")
    assert found.as_json()["metrics"][0]["across_bridge"]["from"] == OLD
    assert "across a bridge" in "\n".join(found.lines())


def test_baselines_cross_with_the_mark_and_only_where_the_old_judge_is_gone(engine: Engine) -> None:
    data = gold(engine)
    a = scored(engine, data, OLD, 0.0, BEFORE)
    pin(engine, f"settings:{BEFORE}", why="released")
    b = scored(engine, data, NEW, -1.5, AFTER)
    without = against_baseline(engine, AFTER)
    assert without is not None
    assert [cell.label for cell in without.cells] == [f"tier 3 answers of {MODEL}"]
    assert COMMAND in without.alone[0]
    bridged(engine)
    found = against_baseline(engine, AFTER)
    assert found is not None
    cell = found.cells[-1]
    assert (cell.a, cell.b, cell.across, found.verdict) == (a, b, OLD, "got worse")
    assert f"got worse, across the bridge from {OLD}" in "\n".join(lines(found))
    assert found.as_json()["cells"][-1]["across_bridge_from"] == OLD
    # Where the old judge still scores, it is held against itself, and the new one is an addition.
    scored(engine, data, OLD, 0.0, AFTER)
    both = against_baseline(engine, AFTER)
    assert both is not None
    assert [cell.across for cell in both.cells] == [None, None]
    assert len(both.alone) == 1


def test_what_no_bridge_links_says_so(engine: Engine) -> None:
    data = gold(engine)
    ragas = "ragas_faithfulness"
    of: dict[str, Any] = {"kind": "ragas", "name": ragas}
    a = scored(engine, data, OLD, -4.5, BEFORE, **of)
    b = scored(engine, data, NEW, -4.6, AFTER, **of)
    bridged(engine)
    [one] = compare(engine, str(a), str(b)).metrics
    assert "a bridge links rubrics only" in str(one.decision.reason)
    # What a judge does not score needs no bridge.
    plain = {**of, "name": "rougeL_f"}
    c, d = (scored(engine, data, judge, -4.5, BEFORE, **plain) for judge in (OLD, NEW))
    found = compare(engine, str(c), str(d))
    assert (found.b.two_judges, found.n_tests) == ({}, 1)
