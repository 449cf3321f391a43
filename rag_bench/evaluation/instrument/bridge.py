"""From one judge to the next: how far they agree on the same answers, and what links their scores.

Both judges have scored the same answers (a common-item design). The link is linear, by means and
standard deviations: new = mean_new + (sd_new / sd_old) (old - mean_old) (Kolen and Brennan 2014,
"Test Equating, Scaling, and Linking", chapter 2). Its error is that of resampled pages, so a mean
that crosses the bridge gets wider than it was. It links means of many answers; it does not say what
the new judge would give a single one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.evaluation.people.agreement import kappa_of_labels
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.statistics import (
    mean_metric,
    rate_metric,
    resampled_clusters,
)
from rag_bench.evaluation.types import Metric, Scale

_RESAMPLES = 2_000
_Z = 1.959963984540054  # of a 95 % interval
#: With fewer common answers, or pages, no link is published.
LEAST_PAIRS, LEAST_PAGES = 20, 10


@dataclass(frozen=True)
class Pair:
    """One answer with the scores of both judges; ``cluster``: its page."""

    model: str
    case_id: str
    cluster: Hashable
    old: float
    new: float


@dataclass(frozen=True)
class Link:
    """``new = intercept + slope * old``, for means; with what is needed for its error at any place.

    ``var_*``, ``cov``: of the bootstrapped intercept and slope.
    """

    slope: float
    intercept: float
    var_intercept: float
    var_slope: float
    cov: float

    def at(self, old: float, error: float = 0.0) -> tuple[float, float, float]:
        """Return a mean by the old judge on the new one's scale, with its 95 % interval.

        ``error``: standard error of the mean itself, which the slope stretches.
        """
        width = _Z * math.hypot(self.error_at(old), self.slope * error)
        value = self.carried(old)
        return value, value - width, value + width

    def carried(self, old: float) -> float:
        """Return a mean by the old judge on the new one's scale."""
        return self.intercept + self.slope * old

    def error_at(self, old: float) -> float:
        """Return the link's own standard error at a mean by the old judge."""
        variance = self.var_intercept + 2 * old * self.cov + old * old * self.var_slope
        return math.sqrt(max(0.0, variance))

    def as_json(self) -> dict[str, float]:
        """Return it for the record."""
        return {name: float(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Link:
        """Read back what `as_json` wrote."""
        return cls(**{name: float(data[name]) for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Standing:
    """A model's mean by both judges, and its rank by each; equal means share a rank."""

    model: str
    old: float
    new: float
    rank_old: int
    rank_new: int


@dataclass(frozen=True)
class Bridge:
    """What both judges say of the same answers, by one metric.

    Attributes:
        n_pairs, n_pages: common answers.
        exact, near: share of them with the same score, and with one that differs by one at most.
        kappa: weighted quadratically; None: all scores are one.
        spearman: rank correlation; None: as well.
        shift: mean of new minus old.
        link: None: too few common answers or pages, or the old judge always says the same.
        standings: by model, best first by the old judge.
        turned: pairs of models whose order the judges do not agree on.
    """

    n_pairs: int
    n_pages: int
    exact: Metric
    near: Metric
    kappa: float | None
    spearman: float | None
    shift: Metric
    link: Link | None
    standings: Sequence[Standing]
    turned: Sequence[tuple[str, str]]

    def as_json(self) -> dict[str, Any]:
        """Return it for the record."""
        return {
            "n_pairs": self.n_pairs,
            "n_pages": self.n_pages,
            "exact": self.exact.to_json(),
            "near": self.near.to_json(),
            "kappa": self.kappa,
            "spearman": self.spearman,
            "shift": self.shift.to_json(),
            "link": self.link.as_json() if self.link else None,
            "standings": [vars(one) for one in self.standings],
            "turned": [list(one) for one in self.turned],
        }


def bridge(pairs: Sequence[Pair], *, scale: Scale, seed: int = 0) -> Bridge:
    """Return what links two judges that scored the same answers.

    ``scale``: least and greatest score. Raises ValueError without any pair.
    """
    if not pairs:
        raise ValueError("the two judges have scored no common answers")
    clusters = [one.cluster for one in pairs]
    old, new = [one.old for one in pairs], [one.new for one in pairs]
    gaps = [b - a for a, b in zip(old, new, strict=True)]
    width = scale[1] - scale[0]
    standings = _standings(pairs)
    return Bridge(
        n_pairs=len(pairs),
        n_pages=len(set(clusters)),
        exact=rate_metric([gap == 0 for gap in gaps], clusters=clusters),
        near=rate_metric([abs(gap) <= 1 for gap in gaps], clusters=clusters),
        kappa=_kappa(old, new),
        spearman=_spearman(old, new),
        shift=mean_metric(gaps, clusters, scale=(-width, width), seed=seed),
        link=_link(pairs, seed),
        standings=standings,
        turned=[
            (one.model, other.model)
            for place, one in enumerate(standings)
            for other in standings[place + 1 :]
            if (one.old - other.old) * (one.new - other.new) < 0
        ],
    )


def _kappa(old: Sequence[float], new: Sequence[float]) -> float | None:
    import numpy as np

    found = kappa_of_labels(np.asarray(old), np.asarray(new), "quadratic")
    return None if found is None else settled(float(found))


def _spearman(old: Sequence[float], new: Sequence[float]) -> float | None:
    if len(set(old)) < 2 or len(set(new)) < 2:
        return None
    from scipy.stats import spearmanr

    return settled(float(spearmanr(old, new).statistic))


def _link(pairs: Sequence[Pair], seed: int) -> Link | None:
    """Return the linear link by means and standard deviations, with its bootstrapped error."""
    import numpy as np

    labels = list(dict.fromkeys(one.cluster for one in pairs))
    if len(pairs) < LEAST_PAIRS or len(labels) < LEAST_PAGES:
        return None
    place = {label: number for number, label in enumerate(labels)}
    sums = np.zeros((len(labels), 5))
    for one in pairs:
        sums[place[one.cluster]] += (1.0, one.old, one.new, one.old**2, one.new**2)
    found = _linked(sums.sum(axis=0)[None])
    if found is None:
        return None
    counts = resampled_clusters(len(labels), seed=seed, resamples=_RESAMPLES)
    drawn = _linked(counts @ sums)
    if drawn is None:
        return None
    ((intercept,), (slope,)), (intercepts, slopes) = found, drawn
    cov = np.cov(np.stack([intercepts, slopes]))
    # Percentiles of the bootstrap are too narrow with few clusters; its variance as much.
    widen = len(labels) / (len(labels) - 1)
    return Link(
        float(slope),
        float(intercept),
        float(cov[0, 0] * widen),
        float(cov[1, 1] * widen),
        float(cov[0, 1] * widen),
    )


def _linked(sums: Any) -> tuple[Any, Any] | None:
    """Return intercepts and slopes of sums (n, old, new, old squared, new squared), one a row."""
    import numpy as np

    n, old, new, old2, new2 = sums.T
    mean_old, mean_new = old / n, new / n
    spread_old = np.maximum(old2 / n - mean_old**2, 0.0)
    spread_new = np.maximum(new2 / n - mean_new**2, 0.0)
    usable = spread_old > 1e-9
    if not usable.any():
        return None
    slope = np.sqrt(spread_new[usable] / spread_old[usable])
    return mean_new[usable] - slope * mean_old[usable], slope


def _standings(pairs: Sequence[Pair]) -> list[Standing]:
    by_model: dict[str, list[Pair]] = {}
    for one in pairs:
        by_model.setdefault(one.model, []).append(one)
    means = {
        model: (
            settled(math.fsum(p.old for p in found) / len(found)),
            settled(math.fsum(p.new for p in found) / len(found)),
        )
        for model, found in by_model.items()
    }
    made = [
        Standing(
            model,
            old,
            new,
            1 + sum(other > old for other, _ in means.values()),
            1 + sum(other > new for _, other in means.values()),
        )
        for model, (old, new) in means.items()
    ]
    return sorted(made, key=lambda one: (one.rank_old, one.rank_new, one.model))
