"""How sure a ranking is: the ranks that a model may have, and how likely it is to be the best."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from rag_bench.evaluation.statistics import resampled_clusters

# All sign patterns are tried up to so many clusters.
_EXACT_CLUSTERS = 11
_PATTERNS = 2_000
_BLOCK_CELLS = 2_000_000


@dataclass(frozen=True)
class Place:
    """One model's place.

    ``low``, ``high``: its rank lies between them, for all models together with 95 %: 1 + the models
    that are better beyond chance, and all but those that are worse. ``first``: how likely it is
    truly the best; models that are the same share it.
    """

    low: int
    high: int
    first: float

    def __str__(self) -> str:
        ranks = str(self.low) if self.low == self.high else f"{self.low}–{self.high}"
        return f"rank {ranks}, {self.first:.0%} to be the best"


def place_json(place: Place | None) -> dict[str, int | float | None]:
    """Return a place as fields of a model's JSON; null where it is not known."""
    low, high, first = (place.low, place.high, place.first) if place else (None, None, None)
    return {
        "rank_low": low,
        "rank_high": high,
        "probability_first": None if first is None else round(first, 4),
    }


@dataclass(frozen=True)
class Places:
    """All models' places.

    ``optimism``: by how much the score of whoever comes first is too high on average, because it
    was chosen for being the highest; in the units of the scores. ``p``: by model, then by another,
    of "the one is not better than the other", adjusted for all pairs.
    """

    by_model: Mapping[str, Place]
    optimism: float
    p: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def said(self, model: str, *, leads: bool) -> str:
        """Return how sure a model's rank is, in words behind others; empty where it has none."""
        place = self.by_model.get(model)
        if place is None:
            return ""
        return f"; {place}" + (f"; lead {self.optimism:.2f} too large" if leads else "")


def places(
    scores: Mapping[str, np.ndarray],
    clusters: Sequence[Hashable],
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Places | None:
    """Return the places of models that were scored on the same cases; None where nothing is known.

    Every pair of models is tested by the same sign flips of whole clusters as `sign_flips`, and
    adjusted for all pairs by the largest of their statistics (single-step max-T of Westfall and
    Young), which knows that two models that are alike are two tests of nearly one thing. The
    optimism is of 2,000 bootstrap samples of clusters. "First" is of as many draws of the true
    means: see `_best`.

    Args:
        scores: (n,) by model, of the same cases in the same order.
        clusters: a label for each case.
        alpha: of all pairs of models together.
        seed: of what is drawn.

    None with fewer than two models or clusters.
    """
    models = list(scores)
    labels = list(dict.fromkeys(clusters))
    if len(models) < 2 or len(labels) < 2:
        return None
    place_of = {label: number for number, label in enumerate(labels)}
    rows = np.array([place_of[label] for label in clusters])
    counts = np.bincount(rows, minlength=len(labels)).astype(float)
    totals = np.array(
        [np.bincount(rows, weights=scores[model], minlength=len(labels)) for model in models]
    )
    # In an order that neither the cases' nor the pages' can change, as signs are drawn in it.
    order = np.lexsort((*np.round(totals, 9), counts))
    totals, counts = totals[:, order], counts[order]
    p = _p_of_pairs(totals, seed)
    better = p < alpha
    means = totals.sum(axis=1) / counts.sum()
    drawn = resampled_clusters(len(labels), seed=seed, resamples=_PATTERNS)
    resampled = (drawn @ totals.T) / (drawn @ counts)[:, None]
    first = _best(means, resampled, len(labels))
    ahead = resampled.argmax(axis=1)
    optimism = float((resampled[np.arange(len(ahead)), ahead] - means[ahead]).mean())
    k = len(models)
    return Places(
        {
            model: Place(
                1 + int(better[:, number].sum()),
                k - int(better[number].sum()),
                float(first[number]),
            )
            for number, model in enumerate(models)
        },
        max(0.0, optimism),
        {
            model: dict(zip(models, row, strict=True))
            for model, row in zip(models, p.tolist(), strict=True)
        },
    )


def _best(means: np.ndarray, resampled: np.ndarray, n_clusters: int) -> np.ndarray:
    """Return how likely each model is to have the highest true mean.

    The share of bootstrap samples in which a model is first is too bold: seen means differ more
    than true ones do, by their own error. So the true means are drawn as they are likely to be, by
    a normal model of means with one variance of the true ones: with v = (variance of the error) /
    (that of seen means) and its uniform prior (Daniels 1999, "A prior for the variance in
    hierarchical models"), v given the spread of k seen means S is gamma with shape (k + 1) / 2 and
    rate (k - 1) S / (2 error variance), cut at 1; the means' differences shrink by 1 - v, and their
    errors, taken from the bootstrap, by its root.
    """
    from scipy.special import gammainc, gammaincinv

    n, k = resampled.shape
    apart = means - means.mean()
    errors = resampled - resampled.mean(axis=1, keepdims=True)
    errors = (errors - errors.mean(axis=0)) * np.sqrt(n_clusters / (n_clusters - 1))
    of_error = float((errors**2).sum(axis=1).mean()) / (k - 1)
    seen = float((apart**2).sum()) / (k - 1)
    kept = np.ones(n)
    if of_error > 1e-12 * max(1.0, seen):
        # Each of n equal parts of v's distribution once, in an order that is none of the samples'.
        parts = (np.random.default_rng(0).permutation(n) + 0.5) / n
        shape, rate = (k + 1) / 2, (k - 1) * seen / (2 * of_error)
        if rate > 1e-9:
            shrunk = gammaincinv(shape, parts * gammainc(shape, rate)) / rate
        else:
            shrunk = parts ** (1 / shape)
        kept = np.clip(1 - shrunk, 0.0, 1.0)
    drawn = kept[:, None] * apart + np.sqrt(kept)[:, None] * errors
    leads = drawn >= drawn.max(axis=1, keepdims=True) - 1e-9
    found: np.ndarray = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
    return found


def _p_of_pairs(totals: np.ndarray, seed: int) -> np.ndarray:
    """Return the p of "the model of the row is not better than that of the column", adjusted."""
    products = totals @ totals.T
    squares = np.diag(products)
    lengths = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * products, 0.0))
    lengths[lengths <= 1e-9 * max(1.0, float(np.sqrt(squares.max())))] = np.inf  # they are alike
    sums = totals.sum(axis=1)
    observed = (sums[:, None] - sums[None, :]) / lengths
    largest = np.concatenate(
        [
            np.abs((flipped[:, :, None] - flipped[:, None, :]) / lengths).max(axis=(1, 2))
            for flipped in _flipped(totals, seed)
        ]
    )
    # The observed signs are among the patterns: all are tried, or they are added.
    n = len(largest) + (totals.shape[1] > _EXACT_CLUSTERS)
    largest.sort()
    beyond = len(largest) - np.searchsorted(largest, observed - 1e-9)
    p = (beyond + (totals.shape[1] > _EXACT_CLUSTERS)) / n
    found: np.ndarray = np.where(observed > 0, p, 1.0)
    return found


def _flipped(totals: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """Yield sums of all models under patterns of signs, (patterns, models), some at a time."""
    k, n_clusters = totals.shape
    if n_clusters <= _EXACT_CLUSTERS:
        signs = 1 - 2 * (np.arange(2**n_clusters)[:, None] >> np.arange(n_clusters) & 1)
    else:
        rng = np.random.default_rng(seed)
        signs = 1 - 2 * rng.integers(0, 2, size=(_PATTERNS, n_clusters), dtype=np.int8)
    step = max(1, _BLOCK_CELLS // (k * k))
    for start in range(0, len(signs), step):
        yield signs[start : start + step] @ totals.T
