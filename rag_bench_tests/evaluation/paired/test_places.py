"""How sure a ranking is: planted orders, ties, and the coverage that is promised."""

import numpy as np
import pytest

from rag_bench.evaluation.paired.places import Place, places


def measured(
    rng: np.random.Generator, truth: list[float], pages: int, each: int = 2
) -> tuple[dict[str, np.ndarray], list[int]]:
    """Return scores of models with these true means: questions differ, and so do pages."""
    labels = np.repeat(np.arange(pages), each)
    hard = rng.normal(0, 0.7, size=pages)[labels] + rng.normal(0, 0.5, size=pages * each)
    found = {
        f"m{number}": mean
        + hard
        + 0.3 * rng.normal(size=pages)[labels]
        + rng.normal(0, 0.5, size=pages * each)
        for number, mean in enumerate(truth)
    }
    return found, labels.tolist()


def test_what_is_clear_has_one_rank_and_what_is_not_has_several() -> None:
    scores, pages = measured(np.random.default_rng(0), [3.0, 2.0, 2.0, 0.0], 40)
    found = places(scores, pages)
    assert found is not None
    assert (found.by_model["m0"].low, found.by_model["m0"].high) == (1, 1)
    assert (found.by_model["m1"].low, found.by_model["m1"].high) == (2, 3)
    assert (found.by_model["m2"].low, found.by_model["m2"].high) == (2, 3)
    assert (found.by_model["m3"].low, found.by_model["m3"].high) == (4, 4)
    assert found.by_model["m0"].first == pytest.approx(1.0, abs=1e-3)
    assert found.optimism < 0.02
    assert str(found.by_model["m1"]) == "rank 2–3, 0% to be the best"
    turned = places({name: scores[name][::-1] for name in scores}, pages[::-1])
    assert turned is not None
    assert turned.by_model == found.by_model


def test_the_same_scores_share_the_first_place() -> None:
    scores, pages = measured(np.random.default_rng(1), [2.0], 12)
    same = places({"a": scores["m0"], "b": scores["m0"], "c": scores["m0"] - 5}, pages)
    assert same is not None
    assert same.by_model["a"] == same.by_model["b"] == Place(1, 2, 0.5)
    assert same.by_model["c"] == Place(3, 3, 0.0)
    assert places({"a": scores["m0"]}, pages) is None
    assert places({"a": scores["m0"], "b": scores["m0"]}, [1] * len(pages)) is None


def test_few_pages_show_little() -> None:
    """Of five pages the best possible p is 2 / 2^5, above 5 %: every rank is possible."""
    scores, _ = measured(np.random.default_rng(2), [3.0, 0.0], 5)
    found = places(scores, np.repeat(np.arange(5), 2).tolist())
    assert found is not None
    assert [(one.low, one.high) for one in found.by_model.values()] == [(1, 2), (1, 2)]


@pytest.mark.parametrize("step", [0.0, 0.05])
def test_true_ranks_lie_within_and_the_first_is_too_high(step: float) -> None:
    """Ten models in true steps; all intervals together hold the truth in 95 % of samples."""
    rng = np.random.default_rng(3)
    truth = [step * number for number in range(6)]
    held, optimism, lead = 0, [], []
    for _ in range(150):
        scores, pages = measured(rng, truth, 40, each=3)
        found = places(scores, pages)
        assert found is not None
        order = [found.by_model[f"m{number}"] for number in range(6)]
        # With equal models any rank is a true one of each: nobody may be better than another.
        true = [(1, 6)] * 6 if step == 0 else [(6 - number, 6 - number) for number in range(6)]
        held += all(
            one.low <= low and high <= one.high
            for one, (low, high) in zip(order, true, strict=True)
        )
        means = {name: float(one.mean()) for name, one in scores.items()}
        best = max(means, key=lambda name: means[name])
        hard = np.mean([means[f"m{n}"] - truth[n] for n in range(6)])
        lead.append(means[best] - hard - truth[int(best[1:])])
        optimism.append(found.optimism)
    assert held / 150 >= 0.95 - 3 * 0.018
    # What is said of the first's luck is right to half of it.
    assert 0.5 < np.mean(optimism) / np.mean(lead) < 2.0


@pytest.mark.parametrize(("models", "spread"), [(6, 0.1), (6, 0.3), (3, 0.3)])
def test_the_stated_chance_to_be_the_best_is_how_often_it_is(models: int, spread: float) -> None:
    """Where the bootstrap alone says .70 the first is the best in .64 of samples."""
    rng, runs = np.random.default_rng(6), 200
    stated, right = [], []
    for _ in range(runs):
        truth = (spread * rng.standard_normal(models)).tolist()
        scores, pages = measured(rng, truth, 40, each=3)
        found = places(scores, pages)
        assert found is not None
        assert sum(one.first for one in found.by_model.values()) == pytest.approx(1)
        best = max(scores, key=lambda name: float(scores[name].mean()))
        stated.append(found.by_model[best].first)
        right.append(truth[int(best[1:])] == max(truth))
    error = np.sqrt(np.mean(right) * (1 - np.mean(right)) / runs)
    assert abs(np.mean(stated) - np.mean(right)) < 0.05 + 3 * error
