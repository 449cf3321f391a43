"""Containment of word shingles, against counts by hand."""

from __future__ import annotations

from rag_bench.evaluation.text.containment import Containment, shingles

RULES = "Справку об обучении выдаёт деканат в течение трёх рабочих дней после заявки"
HOSTEL = "Заявление на место в общежитии подают до первого сентября через личный кабинет"


def test_shingles_are_runs_of_three_folded_words() -> None:
    assert shingles("Ещё раз: ОБЩЕЖИТИЕ, пожалуйста!") == {
        ("еще", "раз", "общежитие"),
        ("раз", "общежитие", "пожалуйста"),
    }
    assert shingles("два слова") == frozenset()


def test_a_part_of_a_text_is_contained_in_it() -> None:
    part = "справку об обучении выдает деканат в течение"
    assert Containment([HOSTEL, RULES]).nearest(part, 0.6) == (1, 1.0)


def test_similarity_is_shared_shingles_by_those_of_the_shorter() -> None:
    # 8 words, 6 shingles; the last two words differ, so 4 of them are shared.
    text = "Справку об обучении выдаёт деканат в понедельник утром"
    assert Containment([HOSTEL, RULES]).nearest(text, 0.6) == (1, 0.666667)


def test_of_texts_that_are_alike_that_which_shares_most_is_meant() -> None:
    heading = "Справку об обучении выдаёт деканат в"  # 4 shingles, all in the whole text
    found = Containment([heading, RULES]).nearest(RULES + " " + HOSTEL, 0.6)
    assert found == (1, 1.0)


def test_too_short_a_text_is_like_nothing() -> None:
    assert Containment([RULES]).nearest("Справку об обучении", 0.1) is None
    assert Containment(["Справку об обучении"]).nearest(RULES, 0.1) is None


def test_only_some_places_may_count() -> None:
    both = Containment([RULES, RULES])
    assert both.nearest(RULES, 0.6) == (0, 1.0)
    assert both.nearest(RULES, 0.6, among=[1]) == (1, 1.0)
    assert both.nearest(HOSTEL, 0.6) is None


def test_without_any_above_the_threshold_the_nearest_is_told() -> None:
    text = "Справку об обучении выдаёт деканат в понедельник утром"
    assert Containment([RULES]).nearest(text, 0.9) == (0, 0.666667)
