"""The users' domain by hand: answers, scores, words, slang, months."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from rag_bench.analytics.domain import (
    SLANG,
    UNKNOWN_MONTH,
    domain,
    every_month,
    most_common,
    slang_counts,
    typical_words,
)
from rag_bench.analytics.traffic import Asked

QUESTIONS = [
    Asked("1", "Когда стипендия?", "25-го", 5, 1, "2025-09"),
    Asked("2", "когда стипендия", "Ответ не найден.", 1, 1, "2025-09"),
    Asked("3", "Где пара у препода?", None, None, 2, None),
    Asked("4", "Сломан аппарат, стипендия не пришла", "Ждите", 5, 3, "2025-08"),
]


def test_the_seeds_fields_by_hand() -> None:
    found = domain(QUESTIONS).result
    expected = {
        "total_questions": 4,
        "distinct_questions": 3,
        "users": 3,
        "with_answers": 2,
        "without_answers": 2,
        "refusal_texts": 1,
        "with_answers_rate": 0.5,
        "scored_questions": 3,
        "score_distribution": {"1": 1, "5": 2},
        "score_5_questions": 2,
        "score_1_questions": 1,
        "avg_question_length": (16 + 15 + 19 + 35) / 4,
    }
    assert {name: found[name] for name in expected} == expected
    assert list(found["questions_per_month"].items()) == [
        *(("2025-08", 1), ("2025-09", 2), ("unknown", 1)),
    ]
    assert found["top_tokens_all"][0] == ["стипендия", 3]
    assert found["top_tokens_without_answers"] == [
        *(["пара", 1], ["препода", 1], ["стипендия", 1]),
    ]
    assert ["аппарат", 1] in found["top_tokens_with_answers"]
    slang = found["slang_indicator_counts"]
    assert {word: n for word, n in slang.items() if n} == {"пара": 1, "препод": 1}


def test_metrics_say_what_they_rest_on() -> None:
    metrics = domain(QUESTIONS).metrics
    assert (metrics["satisfied_rate"].value, metrics["satisfied_rate"].n_scored) == (
        pytest.approx(2 / 3),
        3,
    )
    assert metrics["with_answers_rate"].n_scored == 4
    assert metrics["with_answers_rate"].ci_low < 0.5 < metrics["with_answers_rate"].ci_high
    unrated = domain([Asked("1", "где?")]).metrics["satisfied_rate"]
    assert (unrated.value, unrated.n_scored) == (None, 0), "undefined is not 0"


def test_no_questions_is_an_error() -> None:
    with pytest.raises(ValueError, match="no questions"):
        domain([])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("сколько пар завтра, на паре буду", {"пара"}),
        ("аппарат, параметр, пари, парад, пароль", set()),
        ("Сессии и сессию; сессионный", {"сессия"}),
        ("преподаватель преподаёт", set()),
        ("у преподов и препа", {"препод"}),
        ("СТИПУХУ!", {"стипуха"}),
        ("стипендию, стипендиальная", set()),
        ("стипу дали", {"стипа"}),
        ("на пересдаче, пересдач", {"пересдача"}),
        ("хвостов нет, хвостики", {"хвост"}),
        ("из общаги в общежитие", {"общага"}),
        ("зачётку и зачеток", {"зачётка"}),
        ("академия, академический", set()),
        ("ушёл в академ", {"академ"}),
        ("студаки в универе", {"студак", "универ"}),
        ("университет", set()),
        ("сессия-пересдача", {"сессия", "пересдача"}),
        ("допсы, допсессия", {"допса"}),
    ],
)
def test_slang_is_whole_words_with_their_endings(text: str, words: set[str]) -> None:
    counts = slang_counts([text, text])
    assert counts == {word: 2 * (word in words) for word in SLANG}, "once per text"


def test_equal_counts_are_in_alphabetical_order() -> None:
    assert most_common(Counter({"б": 1, "а": 1, "в": 2}), 2) == [["в", 2], ["а", 1]]


def test_typical_words_against_the_formula_written_out() -> None:
    here = Counter({"пропуск": 40, "стипендия": 60})
    there = Counter({"пропуск": 10, "стипендия": 190})
    a = 40 + 500 * 50 / 300
    b = 10 + 500 * 50 / 300
    delta = math.log(a / (100 + 500 - a)) - math.log(b / (200 + 500 - b))
    z = delta / math.sqrt(1 / a + 1 / b)
    assert typical_words(here, there) == [["пропуск", 40, round(z, 2)]]
    assert typical_words(there, here)[0][0] == "стипендия"
    assert typical_words(Counter(), there) == []


def test_months_without_a_question_are_seen() -> None:
    counts = {"2025-11": 3, "2026-02": 1, UNKNOWN_MONTH: 2}
    assert list(every_month(counts).items()) == [
        *(("2025-11", 3), ("2025-12", 0), ("2026-01", 0), ("2026-02", 1), (UNKNOWN_MONTH, 2))
    ]
    assert every_month({UNKNOWN_MONTH: 2}) == {UNKNOWN_MONTH: 2}
    assert every_month({}) == {}
    wrong_clock = {"1970-01": 1, "2026-02": 1}
    assert every_month(wrong_clock) == wrong_clock
