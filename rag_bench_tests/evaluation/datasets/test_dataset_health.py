"""What a set of questions covers, gives away, and can still tell: cases counted by hand."""

from __future__ import annotations

import pytest

from rag_bench.evaluation.datasets.health import (
    Asked,
    coverage,
    discrimination,
    leak_of,
    leakage,
    topic_coverage,
)

CHUNK = "Стипендия выплачивается до 25-го числа каждого месяца на карту студента."


def test_a_copied_question_is_told_from_one_in_other_words() -> None:
    copied = leak_of("Стипендия выплачивается до 25-го числа каждого месяца?", CHUNK)
    own = leak_of("Когда приходят деньги учащимся?", CHUNK)
    assert copied is not None
    assert own is not None
    assert (copied.run, copied.copied) == (copied.n_words, True)
    assert (own.run, own.copied) == (0, False)
    assert copied.overlap == 1.0
    assert own.overlap == 0.0


def test_a_run_is_of_words_in_a_row() -> None:
    leak = leak_of("one two X three four five", "one two three four five")
    assert leak is not None
    assert (leak.run, leak.n_words) == (3, 6)
    assert not leak.copied
    short = leak_of("one two", "one two three")
    assert short is not None
    assert not short.copied, "two words that stand anywhere are no copy"


def test_leaks_are_counted_by_language_and_withheld_without_spaces() -> None:
    found = leakage(
        [
            Asked("1", "Стипендия выплачивается до 25-го числа каждого месяца?", [CHUNK], "p"),
            Asked("2", "Когда приходят деньги учащимся?", [CHUNK], "q"),
            Asked("3", "When is the grant paid out?", ["Money comes on the 25th."], "r"),
            Asked("4", "奖学金什么时候发放", ["奖学金每月25日发放"], "s"),
            Asked("5", "no chunk", [], "t"),
        ]
    )
    assert found["withheld"] == 1
    assert found["by_language"]["ru"]["copied_rate"]["value"] == 0.5
    assert found["by_language"]["ru"]["lexical_overlap"]["n_scored"] == 2
    assert found["by_language"]["en"]["copied_rate"]["value"] == 0.0
    assert [one["id"] for one in found["copied"]] == ["1"]


def test_items_that_tell_nothing_are_named_and_the_ceiling_is_the_best_of_each() -> None:
    items = [("1", "a"), ("2", "b"), ("3", "c"), ("4", "d"), ("5", "e")]
    scores = {
        "m": {"1": 5.0, "2": 1.0, "3": 4.0, "4": 3.5, "5": 5.0},
        "n": {"1": 4.0, "2": 2.0, "3": 1.0, "4": 4.5},
    }
    found = discrimination(items, scores)
    assert found.all_right == ["1"]
    assert found.all_wrong == ["2"]
    assert found.telling == ["3", "4"]
    assert found.unmeasured == ["5"]
    assert (found.best_model, found.best.value) == ("m", pytest.approx(3 / 5))
    assert found.ceiling.value == pytest.approx(4 / 5)
    assert not found.exhausted
    assert discrimination(items, {"m": {i: 5.0 for i, _ in items}}).exhausted
    nothing = discrimination(items, {})
    assert (nothing.best_model, nothing.best.value, len(nothing.unmeasured)) == (None, None, 5)


def test_coverage_counts_what_is_there_and_names_what_is_gone() -> None:
    assert coverage(["a", "b", "x"], ["a", "b", "c", "d"]) == {
        "covered": 2,
        "all": 4,
        "share": 0.5,
        "gone": ["x"],
    }
    assert coverage([], [])["share"] is None


def test_topics_are_weighed_by_traffic() -> None:
    found = topic_coverage({"grants": 60, "exams": 30, "gym": 10}, {"grants": 4, "gym": 1}, 2)
    assert found["traffic_covered"] == pytest.approx(0.7)
    assert (found["covered"], found["all"], found["outside"]) == (2, 3, 2)
    assert [row["topic"] for row in found["topics"]] == ["grants", "exams", "gym"]
