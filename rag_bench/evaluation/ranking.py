"""Which model is first: on common cases, by standardised scores, and by how much it is sure.

Judges have scales of their own, models fail on different cases, and other models come and go. So
models are compared on the cases that a judge scored for every one of them, each judge's scores
divided by that judge's own spread, and what is missing is never a reason to stand higher.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rag_bench.evaluation.comparison import Comparison, compare_paired
from rag_bench.evaluation.paired.places import Place, Places, places
from rag_bench.evaluation.precision import settled

#: A model is ranked if at least this share of its cases has a score.
LEAST_SCORED = 0.95
#: From which adjusted p-value on a model cannot be told from the first.
ALPHA = 0.05

Judge = str | None
"""A benchmark judge; None for a measure that needs none."""


@dataclass(frozen=True)
class Cell:
    """One model's scores by one judge.

    ``scores``: by case; a case without a score is absent. Empty where no cases are at hand: then
    ``mean`` is all that is known. ``worst``: the least possible score.
    """

    mean: float | None
    n_scored: int
    n_expected: int
    scores: Mapping[str, float] = field(default_factory=dict)
    worst: float = 0.0

    @property
    def coverage(self) -> float:
        """The share of the expected cases that have a score."""
        return self.n_scored / self.n_expected if self.n_expected else 0.0

    @property
    def mean_at_worst(self) -> float:
        """The mean if every missing case had got the least possible score."""
        if self.mean is None or not self.n_expected:
            return self.worst
        return self.worst + (self.mean - self.worst) * self.coverage


@dataclass(frozen=True)
class Standing:
    """Where a model stands.

    ``rank``: from 1, None for a model that is not ranked, and then ``reason`` says why.
    ``standardised``: its mean over judges and common cases in units of the judges' spread, 0 being
    the mean of the ranked models; None if it is not ranked. ``behind``: its paired difference from
    the first, first minus this one, None for the first itself and without cases.
    ``p_adjusted``: adjusted for all pairs of models (max-T), as the first was chosen for being
    first: Holm's over the others would tell alike models apart too often. ``tied``: whether it
    cannot be told from the first; None where that was not tested.
    """

    model: str
    rank: int | None
    reason: str | None = None
    standardised: float | None = None
    behind: Comparison | None = None
    p_adjusted: float | None = None
    tied: bool | None = None


@dataclass(frozen=True)
class Ranking:
    """All models, the best first, those that are not ranked after the others.

    ``judges``: those whose scores count. ``left_out``: the others, and why. ``n_common``: cases
    that the ranked models are compared on, of ``n_cases``. ``n_clusters``: pages of these.
    ``independent``: whether the order of two models is sure not to hang on a third, because the
    judges' spread was taken from a sample that no model of the list enters. ``places``: how sure
    the ranks are; None without cases, or with one page or one model.
    """

    standings: Sequence[Standing]
    judges: Sequence[Judge]
    left_out: Mapping[str, str]
    n_common: int
    n_cases: int
    n_clusters: int
    independent: bool
    places: Places | None = None

    def place(self, model: str) -> Place | None:
        """Return how sure a model's rank is; None where that is not known."""
        return self.places.by_model.get(model) if self.places else None


def rank(
    cells: Mapping[tuple[str, Judge], Cell],
    clusters: Mapping[str, Hashable],
    *,
    judges: Sequence[Judge],
    failed_judges: Mapping[str, str] | None = None,
    spreads: Mapping[str, float] | None = None,
    then_by: Mapping[str, Sequence[float]] | None = None,
    models: Sequence[str] = (),
) -> Ranking:
    """Order models by what judges scored.

    Args:
        cells: the scores, by model and judge; an absent pair was not measured.
        clusters: each case's page.
        judges: all judges in the user's order.
        failed_judges: those whose scores must not order models, and why. If that is all of them,
            all count.
        spreads: each judge's standard deviation on a sample that no model enters. Used if every
            judge that counts has one; else the pooled one within the ranked models.
        then_by: what decides between models that are equal, more is better.
        models: those that may have no cell at all; they are not ranked.

    A model with less than ``LEAST_SCORED`` of its cases scored by any judge that counts is not
    ranked: it would be compared on what it did not fail at. Those models come last, by their mean
    if every missing case had got the least possible score.
    """
    every = sorted({model for model, _ in cells} | set(models))
    counted, left_out = _counted_judges(cells, every, judges, failed_judges or {})
    reasons = {model: _not_ranked(cells, model, counted) for model in every}
    ranked = [model for model in every if reasons[model] is None]
    chosen = {key: cell for key, cell in cells.items() if key[0] in ranked and key[1] in counted}
    known = {judge: (spreads or {}).get(judge or "") for judge in counted}
    independent = len(counted) < 2 or all(known.values())
    if not all(known.values()):
        known = {judge: _pooled_spread(chosen, ranked, judge) for judge in counted}
    worth, cases = _standardised(chosen, ranked, counted, known)
    mean = {model: float(np.mean(worth[model])) for model in ranked}
    middle = float(np.mean(list(mean.values()))) if mean else 0.0
    place = {model: settled(mean[model] - middle) for model in ranked}
    ties = then_by or {}
    # Rounded, or the last bits of a sum would decide between equal models.
    ranked.sort(key=lambda m: (-place[m], [-settled(v) for v in ties.get(m, ())], m))
    standings = [Standing(model, n, None, place[model]) for n, model in enumerate(ranked, 1)]
    sure = places(worth, [clusters.get(case, case) for case in cases]) if cases else None
    if cases:
        standings = _told_apart(standings, worth, cases, clusters, sure)

    def at_worst(model: str) -> float:
        found = [
            cells[model, judge].mean_at_worst / (known[judge] or 1.0)
            for judge in counted
            if (model, judge) in cells
        ]
        return float(np.mean(found)) if found else -math.inf

    last = sorted(
        (model for model in every if reasons[model] is not None),
        key=lambda m: (-settled(at_worst(m)), [-settled(v) for v in ties.get(m, ())], m),
    )
    standings += [Standing(model, None, reasons[model]) for model in last]
    return Ranking(
        standings,
        counted,
        left_out,
        n_common=len(cases),
        n_cases=max((cell.n_expected for cell in chosen.values()), default=0),
        n_clusters=len({clusters.get(case, case) for case in cases}),
        independent=independent,
        places=sure,
    )


def _counted_judges(
    cells: Mapping[tuple[str, Judge], Cell],
    models: Sequence[str],
    judges: Sequence[Judge],
    failed: Mapping[str, str],
) -> tuple[list[Judge], dict[str, str]]:
    """Return the judges whose scores order models, and why the others' do not."""
    there = [judge for judge in judges if any((model, judge) in cells for model in models)]
    left_out = {judge: failed[judge] for judge in there if judge is not None and judge in failed}
    for judge in there:
        best = max(cells[m, judge].coverage for m in models if (m, judge) in cells)
        if judge is not None and judge not in left_out and best < LEAST_SCORED:
            left_out[judge] = f"it scored at most {percent(best)} of any model's cases"
    counted = [judge for judge in there if judge not in left_out]
    if not counted:
        counted = there
        left_out = {}
    # Those that scored the most models; with the first of them every other is compared.
    scored = {judge: {m for m in models if (m, judge) in cells} for judge in counted}
    most = max((len(found) for found in scored.values()), default=0)
    base = next((scored[judge] for judge in counted if len(scored[judge]) == most), set())
    for judge in counted:
        if judge is not None and not base <= scored[judge]:
            left_out[judge] = f"it scored {len(scored[judge])} of {len(base)} models"
    return [judge for judge in counted if base <= scored[judge]], left_out


def _not_ranked(
    cells: Mapping[tuple[str, Judge], Cell], model: str, judges: Sequence[Judge]
) -> str | None:
    """Return why a model is not ranked, None if it is."""
    if not judges:
        return "it has no score"
    for judge in judges:
        by = f" by {judge}" if judge else ""
        cell = cells.get((model, judge))
        if cell is None or not cell.n_scored or cell.mean is None:
            return f"it has no score{by}"
        if cell.coverage < LEAST_SCORED:
            return (
                f"{cell.n_scored} of {cell.n_expected} cases have a score{by} "
                f"({percent(cell.coverage)}; {percent(LEAST_SCORED)} are needed)"
            )
    return None


def percent(share: float) -> str:
    """Return a share as whole per cent, rounded down: 94.9 % is not 95 %."""
    return f"{math.floor(settled(share * 100)):d} %"


def _common(
    cells: Mapping[tuple[str, Judge], Cell], models: Sequence[str], judge: Judge
) -> list[str]:
    """Return the cases that a judge scored for every one of the models."""
    found = [set(cells[model, judge].scores) for model in models]
    return sorted(set.intersection(*found)) if found else []


def _pooled_spread(
    cells: Mapping[tuple[str, Judge], Cell], models: Sequence[str], judge: Judge
) -> float:
    """Return the standard deviation of a judge's scores within models, over the common cases."""
    cases = _common(cells, models, judge)
    if len(cases) < 2:
        return 1.0
    table = np.array([[cells[model, judge].scores[case] for case in cases] for model in models])
    return float(np.sqrt(table.var(axis=1, ddof=1).mean())) or 1.0


def _standardised(
    cells: Mapping[tuple[str, Judge], Cell],
    models: Sequence[str],
    judges: Sequence[Judge],
    spreads: Mapping[Judge, float | None],
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return each model's standardised score per common case, averaged over judges; and the cases.

    A case counts by those judges that scored it for every model, the same ones for all models, so
    no model gains by what is missing. Without cases the means stand in for them.
    """
    if not models:
        return {}, []
    common = {judge: _common(cells, models, judge) for judge in judges}
    if not all(common.values()):
        means = {
            model: np.array(
                [np.mean([(cells[model, j].mean or 0.0) / (spreads[j] or 1.0) for j in judges])]
            )
            for model in models
        }
        return means, []
    cases = sorted(set().union(*common.values()))
    row_of = {case: row for row, case in enumerate(cases)}
    total = np.zeros((len(models), len(cases)))
    times = np.zeros(len(cases))
    for judge, mine in common.items():
        rows = [row_of[case] for case in mine]
        table = np.array([[cells[model, judge].scores[case] for case in mine] for model in models])
        # Centred, as not every case has every judge; the same for all models.
        total[:, rows] += (table - table.mean()) / (spreads[judge] or 1.0)
        times[rows] += 1
    return dict(zip(models, total / times, strict=True)), cases


def _told_apart(
    standings: Sequence[Standing],
    worth: Mapping[str, np.ndarray],
    cases: Sequence[str],
    clusters: Mapping[str, Hashable],
    sure: Places | None,
) -> list[Standing]:
    """Compare every model with the first, case by case, pages resampled together."""
    if len(standings) < 2:
        return list(standings)
    first = dict(zip(cases, worth[standings[0].model].tolist(), strict=True))
    pages = {case: clusters.get(case, case) for case in cases}
    found = []
    for standing in standings[1:]:
        mine = dict(zip(cases, worth[standing.model].tolist(), strict=True))
        found.append(compare_paired(mine, first, pages))
    # One page says nothing about how pages differ: nothing is told apart by it.
    of_first = {} if sure is None else sure.p[standings[0].model]
    p_values = [of_first.get(standing.model, 1.0) for standing in standings[1:]]
    return [
        standings[0],
        *(
            replace(standing, behind=one, p_adjusted=p, tied=p >= ALPHA)
            for standing, one, p in zip(standings[1:], found, p_values, strict=True)
        ),
    ]
