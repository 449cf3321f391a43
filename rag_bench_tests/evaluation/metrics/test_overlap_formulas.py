"""ROUGE, BLEU and chrF equal their formulas, written out here, in languages with spaces or without.

Nothing is taken of the libraries: words are cut by hand, n-grams are counted here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest

from rag_bench.evaluation.metrics.consistency import response_exact_match_rate
from rag_bench.evaluation.metrics.text_overlap import text_overlap

#: Answer and reference: tokens between spaces, as BLEU's tokenizer must find them; and how the text
#: is written. «▁» stands for a space of the text.
PAIRS = {
    "Russian": (
        "Стипендию ▁ выдают ▁ до ▁ двадцатого ▁ числа , ▁ справку ▁ даёт ▁ деканат .",
        "Стипендию ▁ начисляют ▁ до ▁ двадцать ▁ пятого ▁ числа . ▁ Справку ▁ выдаёт ▁ деканат .",
    ),
    "English": (
        "The ▁ dean's ▁ office ▁ opens ▁ at ▁ nine , ▁ bring ▁ your ▁ card .",
        "The ▁ office ▁ opens ▁ at ▁ ten ▁ and ▁ closes ▁ at ▁ five ; ▁ bring ▁ your ▁ card .",
    ),
    "Chinese": (
        "奖 学 金 每 月 二 十 号 发 放 ， 请 到 教 务 处 领 取 证 明 。",
        "奖 学 金 在 每 月 二 十 五 号 之 前 发 放 ， 证 明 由 教 务 处 开 具 。",
    ),
    "Japanese": (
        "奨 学 金 は 毎 月 二 十 日 に 支 払 わ れ ま す 。",
        "奨 学 金 は 毎 月 二 十 五 日 ま で に 振 り 込 ま れ ま す 。",
    ),
}
_MARKS = ",.;，。"


def text_of(tokens: str) -> str:
    return "".join(" " if token == "▁" else token for token in tokens.split())


def bleu_tokens(tokens: str) -> list[str]:
    return [token for token in tokens.split() if token != "▁"]


def words_of(tokens: str) -> list[str]:
    """Words without marks, small, ё as е; an apostrophe ends a word."""
    words = [token.lower().replace("ё", "е") for token in bleu_tokens(tokens)]
    return [part for word in words if word not in _MARKS for part in word.split("'")]


def grams(units: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(units[i : i + n]) for i in range(len(units) - n + 1))


def rouge(a: Sequence[str], b: Sequence[str], n: int) -> float:
    mine, theirs = grams(a, n), grams(b, n)
    return 2 * (mine & theirs).total() / (mine.total() + theirs.total())


def longest(a: Sequence[str], b: Sequence[str]) -> int:
    table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            table[i][j] = (
                table[i - 1][j - 1] + 1 if x == y else max(table[i - 1][j], table[i][j - 1])
            )
    return table[-1][-1]


def bleu(a: Sequence[str], b: Sequence[str]) -> float:
    """Papineni's, of one sentence; where no n-gram is right 1 / (2^k n) counts (exponential)."""
    logs, misses = 0.0, 0
    for n in range(1, 5):
        mine = grams(a, n)
        right = (mine & grams(b, n)).total()
        misses += right == 0
        logs += math.log(right / mine.total() if right else 1 / (2**misses * mine.total())) / 4
    return 100 * min(1.0, math.exp(1 - len(b) / len(a))) * math.exp(logs)


def chrf(a: str, b: str) -> float:
    """Popović's chrF2 of characters without spaces; means of precision and recall over 1 to 6."""
    mine, theirs = a.replace(" ", ""), b.replace(" ", "")
    precision = recall = 0.0
    for n in range(1, 7):
        one, other = grams(mine, n), grams(theirs, n)
        shared = (one & other).total()
        precision += shared / one.total() / 6
        recall += shared / other.total() / 6
    return 100 * 5 * precision * recall / (4 * precision + recall)


@pytest.mark.parametrize("language", PAIRS)
def test_measures_equal_their_formulas(language: str) -> None:
    answer, reference = PAIRS[language]
    mine, theirs = words_of(answer), words_of(reference)
    expected = {
        "rouge1_f": rouge(mine, theirs, 1),
        "rouge2_f": rouge(mine, theirs, 2),
        "rougeL_f": 2 * longest(mine, theirs) / (len(mine) + len(theirs)),
        "bleu": bleu(bleu_tokens(answer), bleu_tokens(reference)),
        "chrf": chrf(text_of(answer), text_of(reference)),
    }
    found = text_overlap(text_of(answer), text_of(reference))
    assert found == pytest.approx(expected, rel=0, abs=1e-9)
    assert all(0 < value < 100 for value in expected.values()), "a trivial case shows nothing"


@pytest.mark.parametrize("language", PAIRS)
def test_the_same_answer_twice_is_exactly_the_same_in_any_language(language: str) -> None:
    one, other = (text_of(tokens) for tokens in PAIRS[language])
    # Of two later answers one equals the first.
    assert response_exact_match_rate([one, one, other]) == pytest.approx(1 / 2, abs=1e-9)
    assert response_exact_match_rate([one, one]) == 1.0
