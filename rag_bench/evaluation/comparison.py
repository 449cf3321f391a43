"""Two runs on the same cases: is the difference more than chance, and what could be seen at all?"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rag_bench.evaluation.paired.detectable import (
    Spread,
    detectable,
    paired_rate_interval,
    spread_of,
)
from rag_bench.evaluation.paired.p_values import holm, mcnemar_counts, sign_flips
from rag_bench.evaluation.statistics import mean_metric, unlike_share
from rag_bench.evaluation.types import Metric, Scale

Verdict = Literal["better", "worse", "cannot tell"]
#: Scores have six decimals; a difference below is rounding, of a mean of repeats for example.
ROUNDING = 1e-9
Scores = Mapping[str, float | bool | None]
"""Scores by case id; None for a missing one."""


@dataclass(frozen=True)
class Comparison:
    """A paired comparison, second run minus first, over the cases that both scored.

    ``difference`` carries the interval; its ``n_expected`` counts the cases of either run.
    ``p_value``: two-sided, mid-p, by which it is decided; None with no pair. ``method``: what made
    it. ``minimum_detectable``: the true difference that this many cases would show with the stated
    power; None when it cannot be known. ``p_exact``: the same test's conservative p. ``spread``:
    what more cases would have to overcome; None where all pairs agree. ``link_error``: standard
    error of the bridge that one side's mean came over (`rag_bench.evaluation.paired.across`).
    """

    difference: Metric
    p_value: float | None
    method: str
    n_clusters: int
    minimum_detectable: float | None
    p_exact: float | None = None
    spread: Spread | None = None
    link_error: float = 0.0


def compare_paired(
    first: Mapping[str, float | bool | None],
    second: Mapping[str, float | bool | None],
    clusters: Mapping[str, Hashable],
    *,
    yes_no: bool = False,
    scale: Scale | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    seed: int = 0,
) -> Comparison:
    """Compare two runs case by case; both map case id to score, None for a missing one.

    ``clusters`` names each case's page. Scores: a sign-flip permutation over clusters, and a
    bootstrap interval over them. Yes/no (``yes_no``): McNemar's test and the interval of Bonett
    and Price when no two pairs share a cluster; otherwise as scores, as McNemar takes every case
    for independent evidence. Where all pairs agree, `unlike_share` of the ``scale`` bounds it.
    """
    cases = sorted(first.keys() | second.keys())
    differences = [_difference(first.get(case), second.get(case)) for case in cases]
    labels = [clusters[case] for case in cases]
    width = None if scale is None else scale[1] - scale[0]
    possible = None if width is None else (-width, width)
    turn = _turned([(label, d) for label, d in zip(labels, differences, strict=True) if d])
    if turn < 0:
        differences = [None if d is None else -d for d in differences]
    mean = mean_metric(differences, labels, scale=possible, seed=seed)
    paired = [(label, d) for label, d in zip(labels, differences, strict=True) if d is not None]
    n_clusters = len({label for label, _ in paired})
    if not paired:
        return Comparison(mean, None, "none", 0, None)
    deltas = [d for _, d in paired]
    paired_labels = [label for label, _ in paired]
    if yes_no and n_clusters == len(paired):
        lost, gained = deltas.count(-1.0), deltas.count(1.0)
        p, method = mcnemar_counts(lost, gained), "mcnemar"
        if n_clusters > 1:
            low, high = paired_rate_interval(lost, gained, len(paired))
            if not lost + gained:
                # A normal interval of no events at all is too narrow: at 54 pairs it rules out 5
                # points, of which 54 pairs show nothing in 1 of 16.
                high = unlike_share(n_clusters)
                low = -high
            mean = replace(mean, ci_low=low, ci_high=high)
    else:
        p, method = sign_flips(deltas, paired_labels, seed=seed), "sign_flip_permutation"
    spread = spread_of(deltas, paired_labels)
    least = None if spread is None else detectable(spread, alpha=alpha, power=power)
    return Comparison(_seen(mean, turn), p.mid, method, n_clusters, least, p.exact, spread)


def _turned(paired: Sequence[tuple[Hashable, float]]) -> int:
    """Return -1 where the runs are to be taken the other way round; 0: either way is the same."""
    groups: dict[Hashable, list[float]] = {}
    for label, difference in paired:
        groups.setdefault(label, []).append(difference)
    forward = sorted((math.fsum(group), len(group)) for group in groups.values())
    backward = sorted((-total, n) for total, n in forward)
    return (forward > backward) - (forward < backward)


def _seen(mean: Metric, turn: int) -> Metric:
    """Return a difference as it is in the order that was asked for."""
    low, high = mean.ci_low, mean.ci_high
    if turn == 0 and low is not None and high is not None:
        half = (high - low) / 2
        return replace(mean, ci_low=-half, ci_high=half)
    if turn >= 0:
        return mean
    return replace(
        mean,
        value=_opposite(mean.value),
        ci_low=_opposite(high),
        ci_high=_opposite(low),
        low_if_missing=_opposite(mean.high_if_missing),
        high_if_missing=_opposite(mean.low_if_missing),
    )


def _opposite(value: float | None) -> float | None:
    return None if value is None else -value or 0.0


@dataclass(frozen=True)
class Contrast:
    """One run against the baseline of a family, by one measure of which more is better.

    ``p_adjusted``: Holm's over the whole family; 1 where nothing could be compared, or where all
    cases are of one cluster, which says nothing of how clusters differ. ``gained`` and ``lost``:
    the cases, by id, that score more, or less, than with the baseline.
    """

    name: str
    measure: str
    comparison: Comparison
    p_adjusted: float
    verdict: Verdict
    gained: tuple[str, ...]
    lost: tuple[str, ...]


def compare_with_baseline(
    runs: Mapping[str, Mapping[str, Scores]],
    baseline: str,
    clusters: Mapping[str, Hashable],
    *,
    yes_no: Collection[str] = (),
    alpha: float = 0.05,
    seed: int = 0,
) -> list[Contrast]:
    """Compare every run with one of them, by every measure, as one family of tests.

    ``runs``: by name, then by measure, scores by case; the measures are the baseline's. A run may
    differ by chance in any cell of such a table, so Holm's adjustment is over all its cells: the
    verdicts hold together with an error of at most ``alpha``. ``yes_no``: measures of noughts and
    ones. Contrasts come by run, then by measure, in the order given.

    Raises:
        KeyError: there is no such baseline, or a run lacks a measure of it.
    """
    cells = [
        (name, measure, compare_paired(
            scores, run[measure], clusters, yes_no=measure in yes_no, alpha=alpha, seed=seed
        ))
        for name, run in runs.items() if name != baseline
        for measure, scores in runs[baseline].items()
    ]  # fmt: skip
    adjusted = holm([_p_of_several_clusters(found) for _, _, found in cells])
    return [
        Contrast(
            name,
            measure,
            found,
            p,
            _verdict(found, p, alpha),
            *_changed(runs[baseline][measure], runs[name][measure]),
        )
        for (name, measure, found), p in zip(cells, adjusted, strict=True)
    ]


def _p_of_several_clusters(found: Comparison) -> float:
    return 1.0 if found.p_value is None or found.n_clusters < 2 else found.p_value


def _verdict(found: Comparison, p: float, alpha: float) -> Verdict:
    difference = found.difference.value
    if p >= alpha or not difference:
        return "cannot tell"
    return "better" if difference > 0 else "worse"


def _changed(first: Scores, second: Scores) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the cases that score more in the second run, and those that score less."""
    differences = {
        case: difference
        for case in sorted(first.keys() & second.keys())
        if (difference := _difference(first[case], second[case]))
    }
    gained = tuple(case for case, difference in differences.items() if difference > 0)
    lost = tuple(case for case, difference in differences.items() if difference < 0)
    return gained, lost


def _difference(first: float | bool | None, second: float | bool | None) -> float | None:
    if first is None or second is None or math.isnan(first) or math.isnan(second):
        return None
    difference = float(second) - float(first)
    return difference if abs(difference) > ROUNDING else 0.0
