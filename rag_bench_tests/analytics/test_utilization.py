"""Chunk utilization: a hand-worked corpus, and rarefaction against brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from rag_bench.analytics.traffic import Asked, sample, take
from rag_bench.analytics.utilization import Source, growth, top_share, utilization

# Five chunks on three pages; four questions find two each.
CHUNKS = [Source("c0", "p0"), Source("c1", "p0"), Source("c2", "p1"), *(
    Source(f"c{n}", "p2") for n in (3, 4)
)]  # fmt: skip
FOUND = np.array([[0, 2], [0, 1], [0, 2], [2, 0]])


def measured():  # type: ignore[no-untyped-def]
    return utilization(CHUNKS, FOUND, np.array([0.9, 0.8, 0.7, 0.6]), list("abcd"), top_k=2)


def test_counts_by_hand() -> None:
    found = measured()
    assert [(use.chunk_hash, use.n_retrieved, use.n_first) for use in found.uses] == [
        *(("c0", 4, 3), ("c2", 3, 1), ("c1", 1, 0), ("c3", 0, 0), ("c4", 0, 0)),
    ]
    result = found.as_json()
    assert (result["total_chunks"], result["used_chunks"], result["unused_chunks"]) == (5, 3, 2)
    assert result["utilization_rate"] == pytest.approx(3 / 5)
    assert (result["question_count"], result["top_k"]) == (4, 2)


def test_metrics_by_hand() -> None:
    metrics = measured().metrics
    rate = metrics["utilization_rate"]
    # Chunks of a page are found together. Residual totals of the pages 0.8, 0.4, -1.2: variance
    # 3/2 * 2.24 / 5^2 = 0.1344, independent 0.24 / 5, deff 2.8: Wilson for 0.6 at n = 5 / 2.8.
    assert (rate.value, rate.n_scored, rate.n_clusters) == (pytest.approx(0.6), 5, 3)
    z2, n = 1.959963984540054**2, 5 / 2.8
    half = (z2 * (0.24 / n + z2 / (4 * n * n))) ** 0.5
    ends = [(0.6 + z2 / (2 * n) + sign * half) / (1 + z2 / n) for sign in (-1, 1)]
    assert (rate.ci_low, rate.ci_high) == pytest.approx(ends)
    assert metrics["first_place_rate"].value == pytest.approx(2 / 5)
    assert metrics["page_utilization_rate"].value == pytest.approx(2 / 3)
    # A tenth of five chunks is one chunk: 4 of the 8 retrievals.
    assert metrics["top_tenth_share"].value == pytest.approx(0.5)
    assert metrics["mean_best_similarity"].value == pytest.approx(0.75)


def test_the_top_tenth_is_not_rounded_up_by_a_hair() -> None:
    assert top_share(np.ones(30, int)) == pytest.approx(0.1)
    assert top_share(np.array([7] + [0] * 29)) == 1.0


def test_growth_is_the_mean_over_all_draws() -> None:
    counts = np.bincount(FOUND.ravel(), minlength=5)
    found = dict(growth(counts, 4))
    assert set(found) == {1, 2, 3, 4}
    for m, expected in found.items():
        drawn = [len(set(FOUND[list(rows)].ravel())) for rows in combinations(range(4), m)]
        assert expected == pytest.approx(np.mean(drawn))
    assert found[4] == pytest.approx(3)


def test_nothing_to_count_is_an_error() -> None:
    with pytest.raises(ValueError, match="chunks and questions"):
        utilization(CHUNKS, np.zeros((0, 2), int), np.zeros(0), [], top_k=2)
    with pytest.raises(ValueError, match="chunks and questions"):
        utilization([], np.zeros((1, 0), int), np.zeros(1), ["a"], top_k=2)


def test_the_sample_is_random_repeatable_and_whole_when_it_can_be() -> None:
    chosen = sample(1000, 50)
    assert len(set(chosen.tolist())) == 50
    assert chosen.tolist() == sorted(chosen) == sample(1000, 50).tolist()
    assert chosen.max() > 500, "not the first rows"
    assert chosen.tolist() != sample(1000, 50, seed=1).tolist()
    assert sample(3, 3).tolist() == sample(3, None).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="at least 1"):
        sample(3, 0)


def test_blank_questions_are_counted_and_left_out() -> None:
    asked = [Asked("1", "когда?"), Asked("2", " \n"), Asked("3", "где?")]
    chosen, population = take(asked, 5)
    assert [question.id for question in chosen] == ["1", "3"]
    assert (population.n_all, population.n_blank, population.n_sampled) == (3, 1, 2)


def test_what_is_resampled_together() -> None:
    same_user = {Asked("1", "а", user_id=7).cluster, Asked("2", "б", user_id=7).cluster}
    same_page = {Asked("1", "а", group="7").cluster, Asked("2", "б", group="7").cluster}
    alone = {Asked("7", "а").cluster, Asked("8", "б").cluster}
    assert (len(same_user), len(same_page), len(alone)) == (1, 1, 2)
    assert len(same_user | same_page | alone) == 4
