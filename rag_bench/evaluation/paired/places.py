"""How sure a ranking is: the ranks that a model may have, and how often it would be first."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    that are better beyond chance, and all but those that are worse. ``first``: in which share of
    resampled sets of questions it would be first; ties are split.
    """

    low: int
    high: int
    first: float

    def __str__(self) -> str:
        ranks = str(self.low) if self.low == self.high else f"{self.low}–{self.high}"
        return f"rank {ranks}, first in {self.first:.0%}"


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
    """All models' places; ``optimism``: by how much the score of whoever comes first is too high
    on average, because it was chosen for being the highest; in the units of the scores.
    """

    by_model: Mapping[str, Place]
    optimism: float

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
    Young), which knows that two models that are alike are two tests of nearly one thing. "First"
    and the optimism are of 2,000 bootstrap samples of clusters.

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
    better = _better(totals, alpha, seed)
    means = totals.sum(axis=1) / counts.sum()
    drawn = resampled_clusters(len(labels), seed=seed, resamples=_PATTERNS)
    resampled = (drawn @ totals.T) / (drawn @ counts)[:, None]
    leads = resampled >= resampled.max(axis=1, keepdims=True) - 1e-9
    first = (leads / leads.sum(axis=1, keepdims=True)).mean(axis=0)
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
    )


def _better(totals: np.ndarray, alpha: float, seed: int) -> np.ndarray:
    """Return which model (row) is better than which other (column) beyond chance."""
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
    found: np.ndarray = (observed > 0) & (p < alpha)
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
