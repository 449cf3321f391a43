"""The generated traffic has the shape that it imitates, is the same everywhere, and reads well."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from statistics import mean, median

import pytest

from rag_bench.demo import shape
from rag_bench.demo.answers import Answerer, sentences
from rag_bench.demo.corpus import Corpus, Page, Phrasing
from rag_bench.demo.dice import Dice
from rag_bench.demo.traffic import DEFAULT_ROWS, Exchange, generate_traffic
from rag_bench.demo.variation import misspell, vary
from rag_bench.errors import RagBenchError

CYRILLIC, LATIN = re.compile("[а-яё]", re.I), re.compile("[a-z]", re.I)


def test_the_corpus_is_large_enough(corpus: Corpus, phrasings: Sequence[Phrasing]) -> None:
    assert len(corpus.pages) >= 40
    assert corpus.n_chunks >= 120
    assert len({phrasing.text for phrasing in phrasings}) >= 600
    assert len({text for _, text in corpus.chunks()}) == corpus.n_chunks
    languages = Counter(page.lang for page in corpus.pages)
    assert languages["ru"] > languages["en"] > 0
    # Believable texts, not a template with a number in it: no two share most of their words.
    masked = Counter(re.sub(r"\d+", "#", text) for _, text in corpus.chunks())
    assert masked.most_common(1)[0][1] == 1


def test_rows_are_numbered_by_time(traffic: Sequence[Exchange]) -> None:
    assert [row.id for row in traffic] == list(range(1, DEFAULT_ROWS + 1))
    times = [row.created_at for row in traffic]
    n_untimed = shape.apportion(DEFAULT_ROWS, shape.MONTHS)[None]
    assert times[:n_untimed] == [None] * n_untimed
    timed = times[n_untimed:]
    assert None not in timed
    assert timed == sorted(timed)  # type: ignore[type-var]


def test_months_have_their_exact_share(traffic: Sequence[Exchange]) -> None:
    found = Counter(
        (row.created_at.year, row.created_at.month) if row.created_at else None for row in traffic
    )
    assert found == shape.apportion(DEFAULT_ROWS, shape.MONTHS)
    assert found[(2024, 2)] == pytest.approx(496 * DEFAULT_ROWS / 5183, abs=1)
    newest = max(row.created_at for row in traffic if row.created_at)
    assert (newest.year, newest.month) == (2026, 2)
    assert newest.day <= 12


def test_texts_repeat_as_often_as_in_real_traffic(traffic: Sequence[Exchange]) -> None:
    distinct = len({row.question for row in traffic})
    assert distinct / len(traffic) > 0.65
    repeats = len(traffic) - distinct
    assert repeats / len(traffic) == pytest.approx(697 / 5183, abs=0.005)
    # The bot lower-cases; that alone must not be what makes rows differ.
    assert len({row.question.lower() for row in traffic}) / len(traffic) > 0.8


def test_every_phrasing_that_is_used_is_used_in_many_forms(traffic: Sequence[Exchange]) -> None:
    by_topic = Counter(row.topic for row in traffic if row.topic)
    counts = [count for _, count in by_topic.most_common()]
    # Skewed, but no topic is forgotten.
    assert counts[0] > 4 * median(counts)
    assert sum(counts[:5]) > 0.3 * len(traffic)
    assert min(counts) >= 10


def test_answers_have_their_shares(traffic: Sequence[Exchange]) -> None:
    answered = [row for row in traffic if row.answer]
    assert len(answered) / len(traffic) == pytest.approx(2990 / 5183, abs=0.001)
    not_found = [row for row in answered if row.answer == "Ответ не найден."]
    assert len(not_found) == pytest.approx(88, abs=2)
    for row in traffic:
        assert (row.answer == "") == (row.page_url is None)
    uncovered = [row for row in traffic if row.page is None]
    assert len(uncovered) > 200
    assert sum(row.answer != "" for row in uncovered) < 0.15 * len(uncovered)


def test_answers_are_the_pages_own_sentences(corpus: Corpus, traffic: Sequence[Exchange]) -> None:
    by_url = {page.url: page for page in corpus.pages}
    urls = {row.page_url for row in traffic if row.page_url}
    assert len(urls) > 0.9 * len(corpus.pages)
    right = 0
    answered = [row for row in traffic if row.answer and row.answer != "Ответ не найден."]
    for row in answered:
        page = by_url[str(row.page_url)]
        own = " ".join(" ".join(page.chunks).split())
        text = row.answer.removeprefix("Здравствуйте! ").split(" Подробнее — на странице")[0]
        first = max(re.split(r"[.;:]", text), key=len).strip()
        assert first in own, row
        assert len(row.answer) < 600
        right += page.slug == row.page
    assert right / len(answered) == pytest.approx(0.86, abs=0.05)


def test_few_rows_are_rated(traffic: Sequence[Exchange]) -> None:
    scores = Counter(row.score for row in traffic)
    assert set(scores) == {None, 1, 4, 5}
    assert scores[5] == pytest.approx(251, abs=2)
    assert scores[1] == pytest.approx(319, abs=2)
    assert scores[4] == 1
    loved = [row for row in traffic if row.score == 5]
    assert sum(bool(row.answer) and row.answer != "Ответ не найден." for row in loved) > 0.95 * 251
    # A rating carries information: wrong pages are disliked far more often than right ones.
    answered = [row for row in traffic if row.answer]
    urls: dict[bool, list[int | None]] = defaultdict(list)
    slugs = {row.page_url: (row.page_url or "").rsplit("/", 1)[-1] for row in answered}
    for row in answered:
        urls[slugs[row.page_url] == row.page].append(row.score)
    assert urls[False].count(1) / len(urls[False]) > 3 * urls[True].count(1) / len(urls[True])


def test_users_ask_as_often_as_they_did(traffic: Sequence[Exchange]) -> None:
    by_user = Counter(row.user_id for row in traffic)
    assert len(by_user) == pytest.approx(1752 * DEFAULT_ROWS / 5183, abs=1)
    once = sum(count == 1 for count in by_user.values())
    assert once == pytest.approx(836 * DEFAULT_ROWS / 5183, abs=1)
    assert 20 < max(by_user.values()) < 120
    first = {}
    for row in traffic:
        first.setdefault(row.user_id, row.id)
    assert list(first) == sorted(first), "users are numbered by their first question"


def test_some_users_ask_several_questions_within_half_an_hour(
    traffic: Sequence[Exchange],
) -> None:
    by_user: dict[int, list[Exchange]] = defaultdict(list)
    for row in traffic:
        if row.created_at:
            by_user[row.user_id].append(row)
    near = total = same_topic = 0
    for rows in by_user.values():
        for before, after in pairwise(rows):
            assert before.created_at
            assert after.created_at
            total += 1
            if after.created_at - before.created_at < timedelta(minutes=30):
                near += 1
                same_topic += before.topic == after.topic
    assert 0.3 < near / total < 0.8
    assert same_topic / near > 0.4
    stops = sum(row.stop_point for row in traffic)
    assert 50 < stops < 600
    assert not any(row.stop_point for row in traffic if row.created_at is None)


def test_lengths_are_mixed_as_in_real_traffic(traffic: Sequence[Exchange]) -> None:
    lengths = sorted(len(row.question) for row in traffic)
    assert lengths[0] >= 4
    assert lengths[len(lengths) // 2] == pytest.approx(shape.LENGTH_MEDIAN, abs=5)
    assert lengths[int(0.9 * len(lengths))] == pytest.approx(shape.LENGTH_P90, abs=10)
    assert mean(lengths) == pytest.approx(shape.LENGTH_MEAN, abs=6)
    assert 5 <= sum(length > 500 for length in lengths) <= 60
    assert lengths[-1] < 2000


def test_scripts_and_case_are_mixed_as_in_real_traffic(traffic: Sequence[Exchange]) -> None:
    cyrillic = sum(bool(CYRILLIC.search(row.question)) for row in traffic)
    neither = [
        row.question
        for row in traffic
        if not CYRILLIC.search(row.question) and not LATIN.search(row.question)
    ]
    assert len(neither) == pytest.approx(52, abs=3)
    assert len(traffic) - cyrillic - len(neither) == pytest.approx(66, abs=6)
    lower = sum(row.question == row.question.lower() for row in traffic)
    assert 0.6 < lower / len(traffic) < 0.9


def test_nothing_looks_like_a_persons_data(corpus: Corpus, traffic: Sequence[Exchange]) -> None:
    texts = [text for _, text in corpus.chunks()]
    texts += [value for row in traffic for value in (row.question, row.answer)]
    for text in texts:
        for address in re.findall(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", text):
            assert re.search(r"\.example$|@example\.(?:com|org|net)$", address), address
        for phone in re.findall(
            r"(?:\+7|\b8)[\s(-]*\d{3,4}[\s)-]*\d{2,3}[\s-]?\d{2}[\s-]?\d{2}", text
        ):
            assert "(3400)" in phone, f"{phone!r} is not in the invented town's code"
        assert not re.search(r"\b\d{4}[ -]\d{6}\b|\b\d{3}-\d{3}-\d{3} \d{2}\b", text), text


def test_the_same_seed_gives_the_same_rows_in_any_process(
    corpus: Corpus, phrasings: Sequence[Phrasing], traffic: Sequence[Exchange]
) -> None:
    assert generate_traffic(corpus, phrasings) == list(traffic)
    script = (
        "import hashlib, pathlib, sys\n"
        "from rag_bench.demo.corpus import read_corpus, read_phrasings\n"
        "from rag_bench.demo.traffic import generate_traffic\n"
        "data = pathlib.Path(sys.argv[1])\n"
        "corpus = read_corpus(data)\n"
        "rows = generate_traffic(corpus, read_phrasings(data, corpus))\n"
        "print(hashlib.sha256(repr(rows).encode()).hexdigest())\n"
    )
    from rag_bench.settings import PROJECT_ROOT

    done = subprocess.run(
        [sys.executable, "-c", script, str(PROJECT_ROOT / "data")],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT_ROOT,
        env={"PYTHONHASHSEED": "12345", "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.strip() == hashlib.sha256(repr(list(traffic)).encode()).hexdigest()


def test_another_seed_gives_other_rows(
    corpus: Corpus, phrasings: Sequence[Phrasing], traffic: Sequence[Exchange]
) -> None:
    other = generate_traffic(corpus, phrasings, seed=1)
    assert {row.question for row in other} != {row.question for row in traffic}


@pytest.mark.parametrize("n_rows", [10, 137, 900])
def test_any_number_of_rows_keeps_the_shape(
    corpus: Corpus, phrasings: Sequence[Phrasing], n_rows: int
) -> None:
    rows = generate_traffic(corpus, phrasings, n_rows=n_rows)
    assert len(rows) == n_rows
    assert sum(bool(row.answer) for row in rows) == pytest.approx(n_rows * 0.577, abs=1)


def test_traffic_of_nothing_is_refused(corpus: Corpus, phrasings: Sequence[Phrasing]) -> None:
    with pytest.raises(RagBenchError, match="no phrasings"):
        generate_traffic(corpus, [])
    with pytest.raises(RagBenchError, match="fewer than 10"):
        generate_traffic(corpus, phrasings, n_rows=9)


def test_counts_are_apportioned_exactly() -> None:
    assert shape.apportion(10, {"a": 1, "b": 1, "c": 1}) == {"a": 4, "b": 3, "c": 3}
    assert shape.apportion(5183, shape.MONTHS) == shape.MONTHS
    assert sum(shape.MONTHS.values()) == shape.ROWS
    assert shape.scaled(697, 5183) == 697


def test_a_variant_stays_close_to_its_phrasing() -> None:
    dice = Dice(7)
    text = "как получить справку об обучении"
    variants = {vary(text, "ru", dice) for _ in range(300)}
    assert len(variants) > 120
    words = set(text.split())
    kept = mean(len(words & set(v.lower().rstrip("?!.").split())) / len(words) for v in variants)
    assert kept > 0.6
    assert all(len(v) >= 4 for v in variants)


def test_a_misspelling_changes_one_word() -> None:
    dice = Dice(3)
    for _ in range(200):
        before, after = "когда придёт стипендия", ""
        after = misspell(before, "ru", dice)
        changed = [(a, b) for a, b in zip(before.split(), after.split(), strict=True) if a != b]
        assert len(changed) <= 1
        for a, b in changed:
            assert a[0] == b[0]
            assert abs(len(a) - len(b)) <= 1
    assert misspell("а ну да", "ru", dice) == "а ну да"


def test_sentences_of_a_chunk() -> None:
    chunk = (
        "Куда идти\n\nПриходите в каб. А-105 до 18:00, пн–пт. Стоит 300 руб. С собой:\n"
        "- паспорт;\n- заявление.\n\nОтвет придёт через 3 дня."
    )
    assert sentences(chunk) == [
        "Приходите в каб. А-105 до 18:00, пн–пт.",
        "Стоит 300 руб. С собой: паспорт; заявление.",
        "Ответ придёт через 3 дня.",
    ]


def test_an_answer_comes_from_the_chunk_that_shares_the_questions_words() -> None:
    page = Page(
        slug="library",
        url="https://help.example/library",
        title="Библиотека",
        lang="ru",
        topic="library",
        chunks=(
            "Запись\n\nЗаписывают по паспорту в каб. В-112.",
            "Штрафы\n\nЗа просрочку книги берут 4 рубля в день.",
        ),
    )
    answerer = Answerer(Corpus((page,)))
    for seed in range(20):
        assert "4 рубля" in answerer.answer(page, "какой штраф за просрочку книг", Dice(seed))
        assert "В-112" in answerer.answer(page, "Где записаться? паспорт нужен", Dice(seed))
