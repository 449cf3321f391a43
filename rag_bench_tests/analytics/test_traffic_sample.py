"""A sample of what users asked: who is in it, in which shares, and without personal data."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from rag_bench.analytics.traffic_sample import LoggedQuestion, masked, sample_traffic

MONTHS = {"2025-09": 60, "2025-10": 30, "2025-11": 10}


def log() -> list[LoggedQuestion]:
    """A hundred different questions in three months; in each, a third is of topic 1."""
    return [
        LoggedQuestion(f"вопрос {month} номер {n}", "ответ", month=month, topic=int(n % 3 == 0))
        for month, count in MONTHS.items()
        for n in range(count)
    ]


def test_months_and_topics_have_their_shares() -> None:
    found = sample_traffic(log(), 20, seed=7)
    assert sum(found.by_month.values()) == 20
    for month, expected in (("2025-09", 12), ("2025-10", 6), ("2025-11", 2)):
        assert abs(found.by_month[month] - expected) <= 1
    for month, expected in (("2025-09", 4), ("2025-10", 2)):
        topics = Counter(q.topic for q in found.questions if q.month == month)
        assert abs(topics[1] - expected) <= 1
    assert found.counts["different"] == 100
    assert found.counts["sampled"] == 20


def test_every_question_has_the_same_chance_over_all_seeds() -> None:
    times = Counter(
        q.question for seed in range(400) for q in sample_traffic(log(), 5, seed=seed).questions
    )
    assert sum(times.values()) == 2000
    # 20 each; a binomial of 400 draws at 1/20 lies within 4.4 standard deviations.
    assert all(abs(times[row.question] - 20) <= 19 for row in log())


def test_a_seed_is_one_sample_and_another_seed_another() -> None:
    first = sample_traffic(log(), 20, seed=1)
    assert sample_traffic(log(), 20, seed=1) == first
    assert sample_traffic(list(log()), 20, seed=2).questions != first.questions
    # All that there are, if there are no more; each once.
    everything = sample_traffic(log(), 1000, seed=1)
    assert len({q.question for q in everything.questions}) == 100


def test_a_row_more_changes_few_of_the_others() -> None:
    before = {q.question for q in sample_traffic(log(), 20, seed=1).questions}
    more = [*log(), LoggedQuestion("совсем другой вопрос", month="2025-11", topic=0)]
    after = {q.question for q in sample_traffic(more, 20, seed=1).questions}
    assert len(before & after) >= 18


def test_a_smaller_sample_is_the_beginning_of_a_larger_one() -> None:
    large = sample_traffic(log(), 40, seed=1).questions
    assert sample_traffic(log(), 20, seed=1).questions == large[:20]
    for n in (10, 20, 30):
        shares = Counter(question.month for question in large[:n])
        assert all(abs(shares[month] - n * count / 100) <= 1 for month, count in MONTHS.items())


def test_of_a_repeated_question_the_last_row_is_taken() -> None:
    rows = [
        LoggedQuestion("Где взять справку?", "В кассе.", month="2025-09", rating=1),
        LoggedQuestion("  где взять СПРАВКУ ", "В деканате.", month="2025-10", rating=5),
        LoggedQuestion("Ещё вопрос", month="2025-10"),
        LoggedQuestion("еще вопрос!!!", month="2025-10"),
    ]
    found = {q.key: q for q in sample_traffic(rows, 10, seed=0).questions}
    assert len(found) == 2
    certificate = found["где взять справку"]
    assert (certificate.answer, certificate.rating) == ("В деканате.", 5)
    assert (certificate.month, certificate.times_asked) == ("2025-10", 2)


def test_what_is_left_out_is_counted() -> None:
    rows = [
        LoggedQuestion("???", "ответ", month="2025-09"),
        LoggedQuestion("", "ответ", month="2025-09"),
        LoggedQuestion("когда каникулы", "Ответ не найден.", month="2025-09"),
        LoggedQuestion("когда сессия", " ", month="2025-09"),
        LoggedQuestion("когда стипендия", "25-го числа", month="2025-09"),
        LoggedQuestion("когда стипендия", "25-го числа", month="2025-10"),
        LoggedQuestion("без времени", "да"),
    ]
    found = sample_traffic(rows, 10, seed=0, months=["2025-09"], answered_only=True)
    assert [q.question for q in found.questions] == ["когда стипендия"]
    assert found.counts == {
        "rows": 7,
        "other_months": 2,
        "without_words": 2,
        "without_answer": 2,
        "repeated": 0,
        "different": 1,
        "sampled": 1,
    }
    [unknown] = sample_traffic(rows, 10, seed=0, months=["unknown"]).questions
    assert unknown.question == "без времени"
    with pytest.raises(ValueError, match="at least 1"):
        sample_traffic(rows, 0, seed=0)


def test_personal_data_is_masked_and_questions_that_then_are_one_are_taken_once() -> None:
    rows = [
        LoggedQuestion(f"мой номер +7 912 345-67-{n}, где справка?", f"Пишите a{n}@b.ru", month="m")
        for n in range(10, 20)
    ]
    rows += [LoggedQuestion("+7 912 345-67-89", "ответ", month="m"), LoggedQuestion("где зачётка")]
    found = sample_traffic(rows, 12, seed=3)
    assert len(found.questions) == 2  # a number and nothing else is no question
    text = " ".join(f"{q.question} {q.answer}" for q in found.questions)
    assert "912" not in text
    assert "@" not in text
    assert "[number]" in text
    assert "[e-mail]" in text


def test_a_text_without_personal_data_stays_as_it_is() -> None:
    text = "Приказ №\u00a05,  «Ёлка»\u200b"
    assert masked([text]) == [text]
    [shown] = masked([f"{text} a@b.ru"])
    assert "a@b.ru" not in shown


def test_an_answer_that_is_blank_is_none() -> None:
    row = LoggedQuestion("когда сессия", "  \n", month="m")
    [found] = sample_traffic([row], 1, seed=0).questions
    assert found == replace(row, answer=None)
