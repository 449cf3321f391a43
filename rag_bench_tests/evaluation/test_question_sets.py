"""Sets of questions: near-duplicates, shared words, round trip, judges that judge their own."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rag_bench.evaluation.question_sets import (
    lexical_overlap,
    near_duplicates,
    overlap_metric,
    round_trip_metrics,
    self_preference,
)


def unit(*degrees: float) -> np.ndarray:
    """Vectors on the unit circle: their cosines are those of the angles between them."""
    angles = [math.radians(value) for value in degrees]
    return np.array([[math.cos(a), math.sin(a)] for a in angles], dtype=np.float32)


def test_equal_texts_and_near_vectors_are_duplicates_of_the_first_kept():
    questions = ["Когда стипендия?", "когда СТИПЕНДИЯ", "А как общага?", "Ещё раз?", "Иное?"]
    # cos 10° = 0.985; cos 20° = 0.940. The fourth is near the third, not near the first.
    vectors = unit(0, 90, 30, 40, 60)
    assert near_duplicates(questions, vectors, 0.97) == {1: 0, 3: 2}


def test_a_chain_of_near_questions_does_not_swallow_its_end():
    """The third is near the second only, which was not kept: it is no duplicate."""
    questions = ["раз", "два", "три"]
    assert near_duplicates(questions, unit(0, 12, 24), 0.97) == {1: 0}


def test_the_order_decides_what_stays_and_nothing_else():
    questions = ["раз", "два", "три", "четыре"]
    vectors = unit(0, 5, 100, 104)
    assert near_duplicates(questions, vectors, 0.99) == {1: 0, 3: 2}
    assert near_duplicates(questions[::-1], vectors[::-1], 0.99) == {1: 0, 3: 2}


def test_a_threshold_of_one_leaves_equal_vectors_and_texts_only():
    vectors = unit(7, 7, 7.5)
    assert near_duplicates(["один", "два", "три"], vectors, 1.0) == {1: 0}
    for bad in (0.0, 1.01):
        with pytest.raises(ValueError, match="threshold"):
            near_duplicates(["один"], unit(0), bad)
    with pytest.raises(ValueError, match="2 questions but 1"):
        near_duplicates(["один", "два"], unit(0), 0.9)


def test_lexical_overlap_counts_content_words_by_their_beginnings():
    chunk = "Стипендию перечисляют 25-го числа каждого месяца."
    # "какого" is in no form there; "числа" is; "приходит" is not; "стипендия" is.
    assert lexical_overlap("Какого числа приходит стипендия?", chunk) == 0.5
    assert lexical_overlap("стипендию 25", chunk) == 1.0
    assert lexical_overlap("а где я", chunk) is None
    metric = overlap_metric(["числа стипендия", "общежитие", "а где"], [chunk] * 3, ["а", "б", "в"])
    assert (metric.value, metric.n_scored, metric.n_expected) == (0.5, 2, 3)


def test_round_trip_by_hand():
    found = [["a", "b"], ["x", "b", "a"], ["y", "z"], ["c", "d"]]
    own = [{"a"}, {"a"}, {"q"}, {"c", "q"}]
    metrics = round_trip_metrics(found, own, ["1", "2", "3", "4"])
    assert metrics["hit@1"].value == 2 / 4  # the first and the last
    assert metrics["hit@10"].value == 3 / 4
    assert metrics["all@10"].value == 2 / 4  # the last has one of its two only
    assert metrics["hit@1"].n_expected == 4
    # Four pages of one question each are worth n - 1 = 3 independent ones: z = 1.96 at n = 3.
    half = 1.959964 * math.sqrt(0.25 / 3 + 1.959964**2 / 36) / (1 + 1.959964**2 / 3)
    assert metrics["hit@1"].ci_low == pytest.approx(0.5 - half, abs=1e-6)
    assert metrics["hit@1"].ci_high == pytest.approx(0.5 + half, abs=1e-6)
    with pytest.raises(ValueError, match="no round trip"):
        round_trip_metrics([["a"]], [set()], ["1"])


def test_self_preference_names_judges_by_whichever_provider():
    source = {"writer": "openrouter/openai/GPT-4o", "critic": ["x/qwen", "x/llama"]}
    judges = ["direct/gpt-4o", "y/qwen", "z/other"]
    assert self_preference(source, judges) == {
        "direct/gpt-4o": ("wrote",),
        "y/qwen": ("criticised",),
    }
    both = {"writer": "x/m", "critic": "x/m"}
    assert self_preference(both, ["x/m"]) == {"x/m": ("wrote", "criticised")}
    assert self_preference({}, judges) == {}
    assert self_preference({"writer": "x/m", "critic": None}, ["x/n"]) == {}
