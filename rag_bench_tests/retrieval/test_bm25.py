"""BM25 by hand, against a second implementation, and over a reindex."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from sqlalchemy import Engine

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.text.search_terms import TERMS_VERSION, terms
from rag_bench.hashing import text_hash
from rag_bench.retrieval import bm25
from rag_bench.retrieval.bm25 import Bm25Index, content, open_index
from rag_bench.retrieval.search import NOT_FOUND
from rag_bench.retrievers import Bm25
from rag_bench.source.question_files.squad import read_squad
from rag_bench.store.retrieving.chunk_terms import stored_terms

METHODS = get_args(Bm25.model_fields["method"].annotation)


def by_formula(texts: Sequence[str], questions: Sequence[str], given: Bm25) -> list[list[float]]:
    """Scores of all chunks, from the formulas of Kamphuis and others and of Lv and Zhai."""
    chunks = [Counter(terms(one)) for one in texts]
    lengths = [sum(chunk.values()) for chunk in chunks]
    average = sum(lengths) / len(lengths)
    holding = Counter(term for chunk in chunks for term in chunk)
    n, k1 = len(chunks), given.k1
    found = []
    for question in map(terms, questions):
        scores = []
        for chunk, length in zip(chunks, lengths, strict=True):
            norm = 1 - given.b + given.b * length / average
            total = 0.0
            for term in question:
                tf, df = chunk[term], holding[term]
                if not tf:
                    continue
                if given.method == "lucene":
                    total += math.log(1 + (n - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * norm)
                elif given.method == "robertson":
                    idf = max(0.0, math.log((n - df + 0.5) / (df + 0.5)))
                    total += idf * tf / (tf + k1 * norm)
                elif given.method == "atire":
                    total += math.log(n / df) * (k1 + 1) * tf / (tf + k1 * norm)
                elif given.method == "bm25l":
                    c = tf / norm
                    idf = math.log((n + 1) / (df + 0.5))
                    total += idf * (k1 + 1) * (c + 0.5) / (k1 + c + 0.5)
                else:
                    bounded = (k1 + 1) * tf / (tf + k1 * norm) + 1.0
                    total += math.log((n + 1) / df) * bounded
            scores.append(total)
        found.append(scores)
    return found


def check(texts: Sequence[str], questions: Sequence[str], given: Bm25) -> None:
    """The index finds what the formula gives: every score to 1e-6, in order, and nothing else."""
    found = Bm25Index.build(texts, given).search(questions, len(texts))
    by_hand = np.array(by_formula(texts, questions, given))
    for expected, indices, scores in zip(by_hand, found.indices, found.scores, strict=True):
        indices = indices[indices != NOT_FOUND]
        np.testing.assert_allclose(scores[: len(indices)], expected[indices], rtol=0, atol=1e-6)
        left = np.delete(expected, indices)
        assert (left < 1e-6).all()
        keys = list(zip(-scores[: len(indices)], indices, strict=True))
        assert keys == sorted(keys)


RUSSIAN = [
    "Справку о стипендии выдаёт деканат.",
    "Справка, справки: где взять?",
    "Ёлка в холле",
]


def test_by_hand() -> None:
    # Terms: справк о стипенд выда деканат (5), справк справк где взят (4), елк в холл (3); mean 4.
    # idf: справк in 2 of 3, ln(1 + 1.5/2.5) = 0.470004; где and елк in 1, ln(1 + 2.5/1.5) =
    # 0.980829. k1 (1 - b + b l/4): 1.78125, 1.5, 1.21875 for the three chunks.
    # 0: 0.470004 * 1/2.78125 = 0.168990
    # 1: 0.470004 * 2/3.5 + 0.980829 * 1/2.5 = 0.268573 + 0.392332 = 0.660905
    # 2: 0.980829 * 1/2.21875 = 0.442064
    found = Bm25Index.build(RUSSIAN, Bm25()).search(["Где справки и ёлки"], 3)
    assert found.indices.tolist() == [[1, 2, 0]]
    assert found.scores.tolist() == [[0.660905, 0.442064, 0.16899]]


def test_lower_bounds_by_hand() -> None:
    # Two chunks of one word each: every norm is 1. BM25+: ln(3/1) * (2.5/2.5 + 1) = 2.197225.
    found = Bm25Index.build(["да", "нет"], Bm25(method="bm25+")).search(["да"], 2)
    assert found.indices.tolist() == [[0, NOT_FOUND]], "no credit for a term that a chunk lacks"
    assert found.scores.tolist() == [[2.197225, 0.0]]
    # BM25L: ln(3/1.5) * 2.5 * 1.5 / 3 = 0.693147 * 1.25 = 0.866434.
    found = Bm25Index.build(["да", "нет"], Bm25(method="bm25l")).search(["да"], 2)
    assert found.scores.tolist() == [[0.866434, 0.0]]


TEXTS = [
    "",
    "Общежитие стоит 940 рублей в месяц, общежития платят до 10 числа.",
    "The library is open until 5 pm; libraries close on Sundays.",
    "В библиотеке книги выдают на 14 дней. Книги можно продлить дважды.",
    "Общежитие стоит 940 рублей в месяц, общежития платят до 10 числа.",
    "奖学金在每月二十五号之前发放到学生的银行卡上。",
    "…",
    "Книга",
]
QUESTIONS = [
    "Сколько стоит общежитие в месяц?",
    "When do the libraries close?",
    "книги книги библиотека",
    "奖学金",
    "940",
    "",
    "?!",
    "неизвестное слово",
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4), (0.0, 1.0), (2.0, 0.0)])
def test_a_second_implementation(method: str, k1: float, b: float) -> None:
    check(TEXTS, QUESTIONS, Bm25(k1=k1, b=b, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_a_second_implementation_on_xquad(xquad: Path, method: str) -> None:
    read = read_squad([xquad / "xquad.ru.json"])
    questions = [item.question for item in read.items]
    check(
        [chunk.text for chunk in read.chunks],
        questions[:: len(questions) // 200][:200],
        Bm25(method=method),
    )


def test_equal_scores_go_to_the_lower_position() -> None:
    texts = ["другое", *["одна книга"] * 40, "иное", *["одна книга"] * 40]
    found = Bm25Index.build(texts, Bm25()).search(["книга"], 50)
    assert found.indices[0].tolist() == [*range(1, 41), *range(42, 52)]
    assert len(set(found.scores[0])) == 1


def test_a_repeated_word_of_the_question_counts_again() -> None:
    index = Bm25Index.build(RUSSIAN, Bm25())
    once, twice = index.search(["ёлка", "ёлка ёлки"], 1).scores[:, 0]
    assert twice == pytest.approx(2 * once, abs=1e-6)


def test_more_is_asked_than_there_is() -> None:
    found = Bm25Index.build(RUSSIAN, Bm25()).search(["справка", "стипендия"], 10)
    assert found.indices.tolist() == [[1, 0, NOT_FOUND], [0, NOT_FOUND, NOT_FOUND]]
    assert found.scores[1].tolist()[1:] == [0.0, 0.0]


def test_a_question_without_a_known_word_finds_nothing() -> None:
    index = Bm25Index.build(RUSSIAN, Bm25())
    found = index.search(["неведомо", "", "ห้องสมุด"], 2)
    assert (found.indices == NOT_FOUND).all()
    assert (found.scores == 0).all()
    assert index.search([], 2).indices.shape == (0, 2)


def test_an_empty_corpus_gives_rows_of_no_width() -> None:
    index = Bm25Index.build([], Bm25())
    assert (index.n, index.n_terms, index.nbytes) == (0, 0, 0)
    assert index.search(["справка"], 5).indices.shape == (1, 0)


def test_chunks_without_any_word_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"None of the 2 chunks.*dense_exact"):
        Bm25Index.build(["ห้องสมุดเปิดทุกวัน", "…"], Bm25())


def test_no_place_is_no_search() -> None:
    with pytest.raises(ValueError, match="k must be"):
        Bm25Index.build(RUSSIAN, Bm25()).search(["а"], 0)


def test_the_content_holds_all_that_decides() -> None:
    assert content(Bm25()) == {"k1": 1.5, "b": 0.75, "method": "lucene", "terms": TERMS_VERSION}
    assert content(Bm25(method="bm25+"))["delta"] == 1.0
    assert content(Bm25(k1=2.0)) != content(Bm25())


def test_a_reindex_tokenizes_only_new_texts(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenized: list[str] = []
    plainly = bm25.terms_of

    def noted(texts: Sequence[str]) -> list[list[str]]:
        tokenized.extend(texts := list(texts))
        return plainly(texts)

    monkeypatch.setattr(bm25, "terms_of", noted)
    monkeypatch.setattr(bm25, "_BLOCK", 2)
    first = open_index(engine, [*RUSSIAN, RUSSIAN[0]], Bm25())
    assert tokenized == RUSSIAN, "each distinct text once"
    tokenized.clear()
    again = open_index(engine, [*RUSSIAN, RUSSIAN[0]], Bm25(k1=0.5))
    assert tokenized == []
    # A night later: another order, one text changed.
    texts = ["Новая справка", RUSSIAN[2], RUSSIAN[1]]
    reindexed = open_index(engine, texts, Bm25())
    assert tokenized == ["Новая справка"]
    tokenized.clear()
    questions = ["где справка", "ёлка"]
    for index, (searched, given) in {
        first: ([*RUSSIAN, RUSSIAN[0]], Bm25()),
        again: ([*RUSSIAN, RUSSIAN[0]], Bm25(k1=0.5)),
        reindexed: (texts, Bm25()),
    }.items():
        found, direct = (
            index.search(questions, 4),
            Bm25Index.build(searched, given).search(questions, 4),
        )
        np.testing.assert_array_equal(found.indices, direct.indices)
        np.testing.assert_array_equal(found.scores, direct.scores)


def test_what_was_tokenized_before_a_kill_is_kept(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    plainly = bm25.terms_of

    def killed(texts: Iterable[str]) -> list[list[str]]:
        if RUSSIAN[2] in (texts := list(texts)):
            raise KeyboardInterrupt
        return plainly(texts)

    monkeypatch.setattr(bm25, "_BLOCK", 1)
    monkeypatch.setattr(bm25, "terms_of", killed)
    with pytest.raises(KeyboardInterrupt):
        open_index(engine, RUSSIAN, Bm25())
    kept = dict(stored_terms(engine, TERMS_VERSION, map(text_hash, RUSSIAN)))
    assert kept == {text_hash(one): terms(one) for one in RUSSIAN[:2]}
