"""Vectors laid out on a plane, so that what is alike lies together. A picture, not a measure."""

from __future__ import annotations

import numpy as np

from rag_bench.analytics.traffic import SEED

_NEIGHBOURS = 15
_LEAST_FOR_UMAP = 30


def on_a_plane(vectors: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Return float64, shape (n, 2): UMAP by cosine, the same every time on one machine.

    With fewer than 30 vectors the two directions of the greatest variance, as UMAP needs
    neighbours. Distances between far groups mean nothing.
    """
    n = len(vectors)
    if n < _LEAST_FOR_UMAP:
        from sklearn.decomposition import PCA

        components = min(2, n - 1, vectors.shape[1]) if n > 1 else 0
        placed = np.zeros((n, 2))
        if components:
            with np.errstate(invalid="ignore"):
                found = PCA(components, random_state=seed).fit_transform(vectors.astype(np.float64))
            placed[:, :components] = found
        return placed
    from umap import UMAP

    reducer = UMAP(
        n_neighbors=_NEIGHBOURS, n_components=2, metric="cosine", random_state=seed, n_jobs=1
    )
    return np.asarray(reducer.fit_transform(vectors), dtype=np.float64)
