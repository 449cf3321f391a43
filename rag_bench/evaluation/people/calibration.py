"""How well a judge follows people: its errors, by generator and by language.

Of labels of drawn cases only, and only of draws that nobody tunes a prompt on: the held-out part.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rag_bench.evaluation.metrics.judges.judge_labels import label_metrics
from rag_bench.evaluation.metrics.judges.judge_scores import GOOD_FROM
from rag_bench.evaluation.people.agreement import cohen_kappa
from rag_bench.evaluation.people.rogan_gladen import Counts
from rag_bench.evaluation.rubrics import SCALE
from rag_bench.evaluation.statistics import expanded_percentiles, mean_metric, resampled_clusters
from rag_bench.evaluation.types import Metric

PREFIX = "calibration"
_RESAMPLES = 1000
_GAP = (SCALE[0] - SCALE[1], SCALE[1] - SCALE[0])


@dataclass(frozen=True)
class LabelledScore:
    """One answer that a judge scored and people labelled, both on the rubric's scale.

    Attributes:
        label: A fraction where two people differ and nobody settled it.
        score: None where the judge gave none.
        settled: Whether the label is one: False while people differ.
    """

    generator: str
    language: str
    cluster: Hashable
    label: float
    score: float | None
    settled: bool = True


def confusion(rows: Sequence[LabelledScore]) -> Counts:
    """Return what the judge said of good and of bad answers; answers in dispute are left out."""
    seen = [
        (row.label >= GOOD_FROM, row.score >= GOOD_FROM)
        for row in rows
        if row.settled and row.score is not None
    ]
    return Counts(
        seen.count((True, True)),
        seen.count((True, False)),
        seen.count((False, False)),
        seen.count((False, True)),
    )


def calibration_metrics(rows: Sequence[LabelledScore], *, seed: int = 0) -> dict[str, Metric]:
    """Return a judge's figures against people, each with its interval.

    ``sensitivity``, ``specificity``, ``balanced_accuracy``, ``kappa``, ``auc``: as of tier judge, a
    score of at least 4 being "good". ``kappa_quadratic``, ``spearman``: of the grades (bootstrap
    over pages). ``severity``: mean of score minus label; below 0 the judge is stricter than people.
    ``true_positive`` and so on: the counts.
    """
    sure = [row for row in rows if row.settled]
    clusters = [row.cluster for row in sure]
    scores = [row.score for row in sure]
    good = [row.label >= GOOD_FROM for row in sure]
    named = label_metrics(PREFIX, scores, good, clusters=clusters, seed=seed)
    found = {name.removeprefix(f"{PREFIX}_"): metric for name, metric in named.items()}
    found |= _of_grades(sure, seed)
    gaps = [None if row.score is None else row.score - row.label for row in rows]
    found["severity"] = mean_metric(gaps, [row.cluster for row in rows], scale=_GAP, seed=seed)
    counts = confusion(rows)
    n = counts.n_good + counts.n_bad
    for name in ("true_positive", "false_negative", "true_negative", "false_positive"):
        found[name] = Metric(float(getattr(counts, name)) if n else None, n, len(rows))
    return found


def by_group(
    rows: Sequence[LabelledScore], key: Callable[[LabelledScore], str]
) -> dict[str, dict[str, Metric]]:
    """Return the figures of each group (a generator, a language), by name."""
    groups: dict[str, list[LabelledScore]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: calibration_metrics(groups[name]) for name in sorted(groups)}


def alike(
    rows: Sequence[LabelledScore], key: Callable[[LabelledScore], str], *, seed: int = 0
) -> float | None:
    """Return the p-value of "the judge errs alike in all groups"; None where nothing can be said.

    The smaller of two permutation tests by the chi-square statistic, of the good answers and of the
    bad ones, times two (Bonferroni).
    """
    from scipy.stats import PermutationMethod, chi2_contingency

    found: list[float] = []
    for kind in (True, False):
        tally: dict[str, list[int]] = {}
        for row in rows:
            if row.settled and row.score is not None and (row.label >= GOOD_FROM) is kind:
                right = (row.score >= GOOD_FROM) is kind
                tally.setdefault(key(row), [0, 0])[int(right)] += 1
        table = np.array([tally[name] for name in sorted(tally)])
        if len(table) > 1 and table.sum(axis=0).min() > 0:
            method = PermutationMethod(n_resamples=1999, rng=np.random.default_rng(seed))
            result = chi2_contingency(table, correction=False, method=method)
            found.append(float(result.pvalue))
    return min(1.0, len(found) * min(found)) if found else None


def _of_grades(rows: Sequence[LabelledScore], seed: int) -> dict[str, Metric]:
    there = [row for row in rows if row.score is not None]
    pairs = sorted((str(r.cluster), float(r.score or 0), r.label) for r in there)
    values = [float(v) for v in range(int(SCALE[0]), int(SCALE[1]) + 1)]
    measures: Mapping[str, Callable[[np.ndarray], float | None]] = {
        "kappa_quadratic": lambda x: _weighted(x, values),
        "spearman": _spearman,
    }
    table = np.array([pair[1:] for pair in pairs], dtype=np.float64).reshape(-1, 2)
    places: dict[str, int] = {}
    of_group = np.array([places.setdefault(pair[0], len(places)) for pair in pairs], dtype=int)
    rows_of, n_groups = np.arange(len(pairs)), len(places)
    samples: list[np.ndarray] = []
    if n_groups > 1:
        drawn = resampled_clusters(n_groups, seed=seed, resamples=_RESAMPLES)
        samples = [np.repeat(rows_of, times[of_group]) for times in drawn]
    found: dict[str, Metric] = {}
    for name, measure in measures.items():
        value = measure(table)
        low = high = None
        if value is not None:
            seen = [one for s in samples if (one := measure(table[s])) is not None]
            if seen and max(seen) > min(seen):
                ends = np.quantile(seen, expanded_percentiles(n_groups))
                low, high = min(float(ends[0]), value), max(float(ends[1]), value)
        n = len(there) if value is not None else 0
        found[name] = Metric(
            value, n, len(rows), low, high, scale=(-1.0, 1.0), n_clusters=n_groups or None
        )
    return found


def _weighted(pairs: np.ndarray, values: Sequence[float]) -> float | None:
    counts = np.zeros((len(values), len(values)))
    places = np.clip(np.round(pairs).astype(int) - int(values[0]), 0, len(values) - 1)
    np.add.at(counts, (places[:, 0], places[:, 1]), 1)
    return cohen_kappa(counts, values, "quadratic")


def _spearman(pairs: np.ndarray) -> float | None:
    """Pearson's correlation of mid-ranks; None where one side is always the same."""
    from scipy.stats import rankdata

    if len(pairs) < 3:
        return None
    ranks = rankdata(pairs, axis=0)
    ranks = ranks - ranks.mean(axis=0)
    spread = float((ranks**2).sum(axis=0).prod())
    return float((ranks[:, 0] * ranks[:, 1]).sum() / np.sqrt(spread)) if spread > 0 else None
