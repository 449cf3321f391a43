"""Each place of the tree by a case made for it, and the counts by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag_bench.evaluation.failures.tree import PLACES, Answered, counted, holds, place_of

GOOD = Answered(
    "q",
    in_scope=True,
    relevant=frozenset({"c1"}),
    there=frozenset({"c1"}),
    found=frozenset({"c1", "c2"}),
    given=frozenset({"c1", "c2"}),
    cited=frozenset({"c1"}),
    answer="Стипендию платят 25-го числа.",
    refused=False,
    reference="25-го числа",
    score=1.0,
)
BAD = replace(GOOD, score=0.25)
NONE: frozenset[str] = frozenset()
CASES = {
    "no_answer": replace(BAD, answer=None),
    "answered_what_nobody_can": replace(GOOD, in_scope=False),
    "no_page": replace(BAD, there=NONE),
    "not_retrieved": replace(BAD, found=frozenset({"c2"}), given=frozenset({"c2"})),
    "cut_off": replace(BAD, given=frozenset({"c2"})),
    "refused": replace(BAD, refused=True),
    "ignored": replace(BAD, cited=frozenset({"c2"})),
    "misread": replace(BAD, answer="Её платят первого."),
    "judge_alone": BAD,
    "unknown": replace(BAD, relevant=NONE, there=NONE),
}


@pytest.mark.parametrize("place", PLACES)
def test_every_place_has_its_case(place: str) -> None:
    assert place_of(CASES[place]) == place


def test_what_did_not_fail_has_no_place() -> None:
    assert place_of(GOOD) is None
    assert place_of(replace(GOOD, score=0.75)) is None
    assert place_of(replace(GOOD, score=None)) is None  # nobody has said that it is bad
    assert place_of(replace(GOOD, in_scope=False, refused=True)) is None
    # A refusal of what could be answered fails whatever a judge thinks of it.
    assert place_of(replace(GOOD, refused=True, score=None)) == "refused"
    assert place_of(replace(GOOD, refused=True, score=1.0, given=NONE, found=NONE)) == (
        "not_retrieved"
    )


def test_failures_are_counted_once_and_by_what_users_ask() -> None:
    made = [replace(case, case_id=name) for name, case in CASES.items()]
    made[2] = replace(made[2], weight=9.0)
    made += [replace(GOOD, case_id=f"good{n}") for n in range(10)]
    found = counted(made)
    assert [one.place for one in found] == list(PLACES)
    assert all(one.share == pytest.approx(1 / 20) for one in found)
    by_place = {one.place: one for one in found}
    assert by_place["no_page"].traffic_share == pytest.approx(9 / 28)
    assert by_place["misread"].traffic_share == pytest.approx(1 / 28)
    assert by_place["no_page"].cases == ["no_page"]
    assert counted([]) == []


def test_a_reference_is_held_by_its_words() -> None:
    assert holds("Платят 25-го ЧИСЛА каждого месяца", "25-го числа")
    assert not holds("Платят раз в месяц", "25-го числа")
    assert holds("ответ: %", "%")
    assert not holds("ответ", "%")
