"""How well a judge follows people: its errors, by generator and by language.

Of labels of drawn cases only, and only of draws that nobody tunes a prompt on: the held-out part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from rag_bench.evaluation.metrics.judges.judge_labels import label_metrics
from rag_bench.evaluation.metrics.judges.judge_scores import GOOD_FROM
from rag_bench.evaluation.people.count_tables import (
    kappas,
    spearmans,
    tables_of,
    with_interval,
)
from rag_bench.evaluation.people.measures import Measure
from rag_bench.evaluation.people.rogan_gladen import Counts
from rag_bench.evaluation.statistics import mean_metric
from rag_bench.evaluation.types import Metric

PREFIX = "calibration"
#: Answers that a rank correlation needs.
FEWEST_RANKED = 3
_PERMUTATIONS = 1999
_DECIMALS = 2


@dataclass(frozen=True)
class LabelledScore:
    """One answer that a judge scored and people labelled, both on one scale.

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


def confusion(rows: Sequence[LabelledScore], good_from: float = GOOD_FROM) -> Counts:
    """Return what the judge said of good and of bad answers; answers in dispute are left out."""
    seen = [
        (row.label >= good_from, row.score >= good_from)
        for row in rows
        if row.settled and row.score is not None
    ]
    return Counts(
        seen.count((True, True)),
        seen.count((True, False)),
        seen.count((False, False)),
        seen.count((False, True)),
    )


def calibration_metrics(
    rows: Sequence[LabelledScore], measure: Measure, *, seed: int = 0
) -> dict[str, Metric]:
    """Return a judge's figures against people, each with its interval.

    ``sensitivity``, ``specificity``, ``balanced_accuracy``, ``kappa``, ``auc``: as of tier judge, a
    score from the measure's ``good_from`` on being "good". ``kappa_quadratic``, ``spearman``: of
    the grades (bootstrap over pages). ``severity``: mean of score minus label; below 0 the judge is
    stricter than people. ``true_positive`` and so on: the counts.
    """
    sure = [row for row in rows if row.settled]
    clusters = [row.cluster for row in sure]
    scores = [row.score for row in sure]
    good = [row.label >= measure.good_from for row in sure]
    named = label_metrics(
        PREFIX, scores, good, clusters=clusters, seed=seed, good_from=measure.good_from
    )
    found = {name.removeprefix(f"{PREFIX}_"): metric for name, metric in named.items()}
    found |= _of_grades(sure, measure, seed)
    gaps = [None if row.score is None else row.score - row.label for row in rows]
    found["severity"] = mean_metric(
        gaps, [row.cluster for row in rows], scale=measure.gap, seed=seed
    )
    counts = confusion(rows, measure.good_from)
    n = counts.n_good + counts.n_bad
    for name in ("true_positive", "false_negative", "true_negative", "false_positive"):
        found[name] = Metric(float(getattr(counts, name)) if n else None, n, len(rows))
    return found


def by_group(
    rows: Sequence[LabelledScore], key: Callable[[LabelledScore], str], measure: Measure
) -> dict[str, dict[str, Metric]]:
    """Return the figures of each group (a generator, a language), by name."""
    groups: dict[str, list[LabelledScore]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: calibration_metrics(groups[name], measure) for name in sorted(groups)}


def alike(
    rows: Sequence[LabelledScore],
    key: Callable[[LabelledScore], str],
    good_from: float = GOOD_FROM,
    *,
    seed: int = 0,
) -> float | None:
    """Return the p-value of "the judge errs alike in all groups"; None where nothing can be said.

    The smaller of two permutation tests by the chi-square statistic, of the good answers and of the
    bad ones, times two (Bonferroni).
    """
    found: list[float] = []
    for kind in (True, False):
        tally: dict[str, list[int]] = {}
        for row in rows:
            if row.settled and row.score is not None and (row.label >= good_from) is kind:
                right = (row.score >= good_from) is kind
                tally.setdefault(key(row), [0, 0])[int(right)] += 1
        table = np.array([tally[name] for name in sorted(tally)])
        if len(table) > 1 and table.sum(axis=0).min() > 0:
            found.append(_p_of_one_share(table, seed))
    return min(1.0, len(found) * min(found)) if found else None


def _p_of_one_share(table: np.ndarray, seed: int) -> float:
    """Return the permutation p of "all rows of (wrong, right) have one share".

    With rows and columns of fixed sums a permutation's rights are multivariate hypergeometric.
    """
    n, right = table.sum(axis=1), int(table[:, 1].sum())
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_hypergeometric(n, right, size=_PERMUTATIONS)
    # Of fixed sums, chi-square rises with this alone.
    seen, others = (
        ((rights - right * n / n.sum()) ** 2 / n).sum(axis=-1) for rights in (table[:, 1], drawn)
    )
    return float((1 + (others >= seen - 1e-9).sum()) / (1 + _PERMUTATIONS))


def _of_grades(rows: Sequence[LabelledScore], measure: Measure, seed: int) -> dict[str, Metric]:
    there = [row for row in rows if row.score is not None]
    if not there:
        nothing = Metric(None, 0, len(rows), scale=(-1.0, 1.0))
        return {"kappa_quadratic": nothing, "spearman": nothing}
    given = np.array([float(row.score or 0) for row in there])
    labels = np.array([row.label for row in there])
    clusters = [str(row.cluster) for row in there]
    # A score between two grades counts as the nearer one; ranks are of two decimals, as a table of
    # every value of a share would be as large as the square of the answers.
    grades = np.asarray(measure.values)
    nearest = grades[np.abs(given[:, None] - grades).argmin(axis=1)]
    values, graded = tables_of(nearest, labels, clusters)
    _, ranked = tables_of(given.round(_DECIMALS), labels, clusters)
    found: dict[str, Metric] = {}
    for name, figure, tables in (
        ("kappa_quadratic", partial(kappas, values=values, weights="quadratic"), graded),
        ("spearman", spearmans, ranked),
    ):
        whole = tables.sum(axis=0)[None]
        # Of two pairs a rank correlation is 1 or -1, whatever they are.
        least = FEWEST_RANKED if name == "spearman" else 1
        value = float(figure(whole)[0]) if len(there) >= least else math.nan
        found[name] = with_interval(
            None if math.isnan(value) else value, tables, figure, len(there), len(rows), seed=seed
        )
    return found
