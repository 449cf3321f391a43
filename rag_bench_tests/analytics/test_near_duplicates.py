"""Near-duplicates: by hand, and against a comparison of every pair."""

from __future__ import annotations

import numpy as np
import pytest

from rag_bench.analytics.near_duplicates import Pair, near_duplicates
from rag_bench.evaluation.text.text_folding import words

LONG = "Стипендию перечисляют двадцать пятого числа каждого месяца на карту банка"
PART = "перечисляют двадцать пятого числа каждого месяца"
OTHER = "Деканат работает с девяти до шести часов по рабочим дням недели"


def unit(*rows: list[float]) -> np.ndarray:
    found = np.array(rows, dtype=np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_by_hand() -> None:
    vectors = unit([1, 0], [0, 1], [1, 0.1], [1, 1])
    found = near_duplicates(vectors, [LONG, PART, OTHER, "да"], cosine=0.99, containment=0.8)
    # All four runs of the part stand in the whole; the other two are alike by their vectors only.
    assert [(p.first, p.second, p.containment) for p in found] == [(0, 1, 1.0), (0, 2, 0.0)]
    assert [p.cosine for p in found] == pytest.approx([0.0, 1 / np.hypot(1, 0.1)], abs=1e-5)


def brute_force(
    vectors: np.ndarray, texts: list[str], cosine: float, containment: float
) -> set[tuple[int, int]]:
    def runs(text: str) -> set[tuple[str, ...]]:
        found = words(text)
        return {tuple(found[n : n + 3]) for n in range(len(found) - 2)}

    alike = set()
    for a in range(len(texts)):
        for b in range(a + 1, len(texts)):
            one, other = runs(texts[a]), runs(texts[b])
            few = min(len(one), len(other)) < 4
            share = 0.0 if few else len(one & other) / min(len(one), len(other))
            if float(vectors[a] @ vectors[b]) >= cosine or share >= containment:
                alike.add((a, b))
    return alike


def test_as_every_pair_compared() -> None:
    random = np.random.default_rng(7)
    vocabulary = [f"слово{n}" for n in range(12)]
    texts = [" ".join(random.choice(vocabulary, size=n % 9 + 3)) for n in range(60)]
    texts += [texts[n] + " и ещё немного" for n in range(0, 60, 7)]
    vectors = random.normal(size=(len(texts), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = near_duplicates(vectors, texts, cosine=0.95, containment=0.5)
    expected = brute_force(vectors, texts, 0.95, 0.5)
    assert {(p.first, p.second) for p in found} == expected
    assert len(expected) > 10
    alike = [max(p.cosine, p.containment) for p in found]
    assert alike == sorted(alike, reverse=True)


def test_nothing_of_nothing() -> None:
    assert near_duplicates(np.zeros((0, 4)), [], cosine=0.9, containment=0.8) == []
    one = near_duplicates(unit([1.0, 0.0]), [LONG], cosine=0.9, containment=0.8)
    assert one == []
    twins = near_duplicates(unit([1, 0], [1, 0]), ["да", "да"], cosine=0.9, containment=0.8)
    assert twins == [Pair(0, 1, 1.0, 0.0)]
