"""Labels of people: how they agree, how a judge follows them, and scores corrected by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from rag_bench.evaluation.metrics.judges.judge_scores import GOOD_FROM
from rag_bench.evaluation.metrics.judges.production_judge import show_metrics
from rag_bench.evaluation.people.agreement import agreement_metrics, alpha_metric
from rag_bench.evaluation.people.calibration import LabelledScore, alike, calibration_metrics
from rag_bench.evaluation.people.case_labels import resolved
from rag_bench.evaluation.people.corrected import ScoredCase, corrected_scores
from rag_bench.evaluation.people.count_tables import Weights, alphas, kappas, spearmans
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.evaluation.people.prediction_powered import FEWEST, corrected_mean
from rag_bench.evaluation.people.rogan_gladen import (
    FEWEST_OF_A_KIND,
    Counts,
    corrected_share,
    transport_check,
)
from rag_bench.evaluation.self_test.claims import (
    APPROXIMATE,
    FEW,
    SOME,
    held,
    holds,
    intervals,
)
from rag_bench.evaluation.self_test.simulation import Cell, Seen
from rag_bench.evaluation.self_test.worlds import (
    GRADES,
    HIGHEST,
    LOWEST,
    Pages,
    TwoGraders,
    judged,
    yes_no,
)

_RESAMPLES = 500
_SCALE = (float(LOWEST), float(HIGHEST))
#: What is labelled and scored: a rubric, as all are.
_RUBRIC = measure_of("rubric_e2e_quality")
#: The first is a person, the second another person, or a judge.
_PEOPLE = TwoGraders()
_JUDGE = TwoGraders(noise=(0.3, 0.6), shift=0.2)
#: An evaluation of which some answers are labelled.
_EVALUATION = Pages(100, 5, 0.1)


def cells() -> list[Cell]:
    """Return the lines, in the order of the table."""
    return [
        *_verdicts(),
        *_agreement(),
        *_calibration(),
        *_corrections(),
        *_corrected_grades(),
        *_carried_over(),
        *_checks(),
    ]


def _verdicts() -> list[Cell]:
    sensitivity, specificity, good = 0.9, 0.8, 0.6
    true_positive, false_positive = good * sensitivity, (1 - good) * (1 - specificity)
    f1 = 2 * true_positive / (good + true_positive + false_positive)

    def look(rng: np.random.Generator, *, pages: Pages) -> bool | None:
        truth = yes_no(rng, pages, good)
        said = judged(rng, truth, sensitivity, specificity)
        verdicts, labels = said.ravel().tolist(), truth.ravel().tolist()
        found = show_metrics(verdicts, labels, clusters=pages.labels, resamples=_RESAMPLES)
        metric = found["f1_score"]
        return held(metric.ci_low, metric.ci_high, f1)

    return [
        Cell(
            "F1 of a production judge, pages resampled",
            str(pages),
            0.95,
            partial(look, pages=pages),
            tolerance=APPROXIMATE,
        )
        for pages in (FEW, SOME)
    ]


def _good(table: np.ndarray) -> np.ndarray:
    """Return the table of the decision: bad and good of either."""
    cut = int(GOOD_FROM) - LOWEST
    found: np.ndarray = np.add.reduceat(np.add.reduceat(table, [0, cut], axis=0), [0, cut], axis=1)
    return found


def _kappa(table: np.ndarray, weights: Weights = "none") -> float:
    values = GRADES if len(table) > 2 else np.array([0.0, 1.0])
    return float(kappas(table[None], values, weights)[0])


def _alpha(table: np.ndarray) -> float:
    # Of so many cases that the correction for few vanishes.
    return float(alphas((table + table.T)[None] * 1e9, GRADES, nominal=False)[0])


def _agreement() -> list[Cell]:
    table = _PEOPLE.table
    truths = {
        "agreement": float(np.trace(table)),
        "kappa": _kappa(table),
        "kappa_linear": _kappa(table, "linear"),
        "kappa_quadratic": _kappa(table, "quadratic"),
        "kappa_good": _kappa(_good(table)),
        "alpha": _alpha(table),
    }

    def two(rng: np.random.Generator, *, pages: Pages) -> Mapping[str, Seen]:
        first, second = _PEOPLE.draw(rng, pages).tolist()
        found = agreement_metrics(
            first, second, clusters=pages.labels, graded=True, good_from=GOOD_FROM
        )
        return {name: holds(found[name], truth) for name, truth in truths.items()}

    def three(rng: np.random.Generator, *, pages: Pages) -> Seen:
        same = TwoGraders(noise=(0.5, 0.5))
        worth = same.spread * rng.standard_normal(pages.size) + same.centre
        ratings = np.clip(np.rint(worth + 0.5 * rng.standard_normal((3, pages.size))), *_SCALE)
        there = rng.random(pages.size) < 0.5
        late = [v if yes else None for v, yes in zip(ratings[2].tolist(), there, strict=True)]
        rows = [ratings[0].tolist(), ratings[1].tolist(), late]
        return holds(alpha_metric(rows, pages.labels), _alpha(same.table))

    parts = [
        ("share of equal labels of two people", "agreement"),
        ("Cohen's kappa of two people", "kappa"),
        ("kappa of two people, weighted linearly", "kappa_linear"),
        ("kappa of two people, weighted by squares", "kappa_quadratic"),
        ("kappa of two people's good or bad", "kappa_good"),
        ("Krippendorff's alpha of two people", "alpha"),
    ]
    alone = Pages(60, 1, 0.0)
    found: list[Cell] = []
    for pages in (alone, FEW, SOME):
        look = partial(two, pages=pages)
        found += intervals(parts, str(pages), look, "two people", pages)
    return [
        *found,
        Cell(
            "Krippendorff's alpha of three people, one of whom labels half",
            str(alone),
            0.95,
            partial(three, pages=alone),
            at_least=True,
            tolerance=APPROXIMATE,
        ),
    ]


def _calibration() -> list[Cell]:
    table = _JUDGE.table
    good = _good(table)
    sensitivity, specificity = good[1, 1] / good[1].sum(), good[0, 0] / good[0].sum()
    cut = int(GOOD_FROM) - LOWEST
    of_bad, of_good = (part.sum(axis=0) / part.sum() for part in (table[:cut], table[cut:]))
    beats = np.tril(np.ones((len(GRADES), len(GRADES))), -1) + 0.5 * np.eye(len(GRADES))
    truths = {
        "sensitivity": float(sensitivity),
        "specificity": float(specificity),
        "balanced_accuracy": float(sensitivity + specificity) / 2,
        "kappa": _kappa(good),
        "auc": float(of_good @ beats @ of_bad),
        "kappa_quadratic": _kappa(table, "quadratic"),
        "spearman": float(spearmans(table[None])[0]),
        "severity": _JUDGE.means[1] - _JUDGE.means[0],
    }

    def look(rng: np.random.Generator, *, pages: Pages) -> Mapping[str, Seen]:
        people, scores = _JUDGE.draw(rng, pages).tolist()
        rows = [
            LabelledScore("", "", page, label, score)
            for page, label, score in zip(pages.labels, people, scores, strict=True)
        ]
        found = calibration_metrics(rows, _RUBRIC)
        return {name: holds(found[name], truth) for name, truth in truths.items()}

    parts = [
        ("sensitivity of a judge", "sensitivity"),
        ("specificity of a judge", "specificity"),
        ("balanced accuracy of a judge (MOVER)", "balanced_accuracy"),
        ("kappa of a judge's good or bad and people's", "kappa"),
        ("AUC of a judge (Newcombe, clustered)", "auc"),
        ("kappa of a judge's grades and people's, by squares", "kappa_quadratic"),
        ("rank correlation of a judge's grades and people's", "spearman"),
        ("severity of a judge", "severity"),
    ]
    found: list[Cell] = []
    for pages in (FEW, SOME):
        found += intervals(parts, str(pages), partial(look, pages=pages), "a judge", pages)
    return found


def _corrections() -> list[Cell]:
    n = 500
    rate, sensitivity, specificity = 0.8, 0.95, 0.7

    def powered(rng: np.random.Generator, *, n_labels: int) -> bool | None:
        truth = rng.random(n) < rate
        said = judged(rng, truth, sensitivity, specificity)
        drawn = set(rng.choice(n, n_labels, replace=False).tolist())
        labels = [float(truth[i]) if i in drawn else None for i in range(n)]
        found = corrected_mean(labels, said.astype(float).tolist(), scale=(0.0, 1.0), step=1.0)
        return None if found is None else held(found.ci_low, found.ci_high, rate)

    def carried(rng: np.random.Generator, *, n_labels: int) -> bool | None:
        # Labels of another model's answers, whose share of good ones is another; the judge errs
        # alike on both, which is what the mark beside such a number assumes.
        share = float(judged(rng, rng.random(n) < rate, sensitivity, specificity).mean())
        other = rng.random(n_labels) < 0.6
        said = judged(rng, other, sensitivity, specificity)
        n_good, n_bad = int(other.sum()), int((~other).sum())
        if not n_good or not n_bad:
            return None
        q1, q0 = float(said[other].mean()), float((~said[~other]).mean())
        found = corrected_share(share, q0, q1, n, n_bad, n_good)
        return None if found is None else held(found.ci_low, found.ci_high, rate)

    looks: list[tuple[str, Callable[..., bool | None], int]] = [
        ("score corrected by labels of its own cases (prediction-powered)", powered, 50),
        ("score corrected by labels of its own cases (prediction-powered)", powered, 100),
        ("share corrected by labels from elsewhere (Rogan-Gladen), judge alike", carried, 200),
    ]
    return [
        Cell(
            group,
            f"{n_labels} labels",
            0.95,
            partial(look, n_labels=n_labels),
            at_least=True,
            tolerance=APPROXIMATE,
        )
        for group, look, n_labels in looks
    ]


def _corrected_grades() -> list[Cell]:
    """Prediction-powered scores as they are published: grades and good ones, by page."""
    mean, good = _JUDGE.means[0], float(_good(_JUDGE.table)[1].sum())

    def look(rng: np.random.Generator, *, n_labels: int) -> Mapping[str, Seen]:
        people, scores = _JUDGE.draw(rng, _EVALUATION).tolist()
        drawn = set(rng.choice(_EVALUATION.size, n_labels, replace=False).tolist())
        rows = zip(_EVALUATION.labels, people, scores, strict=True)
        found = corrected_scores(
            [
                ScoredCase(page, score, resolved([label]) if place in drawn else None)
                for place, (page, label, score) in enumerate(rows)
            ],
            _RUBRIC,
        )
        if found.mean is None or found.good is None or found.mean.value is None:
            return dict.fromkeys(("mean", "good", "bias"))
        return {
            "mean": holds(found.mean, mean),
            "good": holds(found.good, good),
            "bias": found.mean.value - mean,
        }

    found: list[Cell] = []
    for n_labels in (FEWEST, 60, 150):
        world = f"{n_labels} labels, {_EVALUATION}"
        seen = partial(look, n_labels=n_labels)
        parts = [
            ("mean grade corrected by labels of its own cases (prediction-powered)", "mean"),
            ("share of good ones corrected by labels of its own cases", "good"),
        ]
        found += intervals(parts, world, seen, "corrected", _EVALUATION)
        found.append(
            Cell(
                "mean grade corrected by labels of its own cases: points that it is off",
                world,
                0.0,
                seen,
                tolerance=0.01,
                kind="estimate",
                part="bias",
                drawn_as=f"corrected: {world}",
            )
        )
    return found


def _carried_over() -> list[Cell]:
    """Rogan and Gladen's share as it is published: clustered, from few labels of others."""
    rate, sensitivity, specificity = 0.8, 0.95, 0.7

    def look(rng: np.random.Generator, *, n_of_each: int) -> Seen:
        truth = yes_no(rng, _EVALUATION, rate).ravel()
        said = judged(rng, truth, sensitivity, specificity)
        other = np.arange(2 * n_of_each) < n_of_each
        of_other = judged(rng, other, sensitivity, specificity)
        found = corrected_scores(
            [
                ScoredCase(page, 5.0 if good else 1.0)
                for page, good in zip(_EVALUATION.labels, said, strict=True)
            ],
            _RUBRIC,
            [
                LabelledScore("another", "", place, 5.0 if label else 1.0, 5.0 if good else 1.0)
                for place, (label, good) in enumerate(zip(other, of_other, strict=True))
            ],
        )
        return None if found.good is None else holds(found.good, rate)

    return [
        Cell(
            "share of good ones corrected by labels from elsewhere (Rogan-Gladen), judge alike",
            f"{n_of_each} good and {n_of_each} bad labels, {_EVALUATION}",
            0.95,
            partial(look, n_of_each=n_of_each),
            at_least=True,
            tolerance=APPROXIMATE,
        )
        for n_of_each in (FEWEST_OF_A_KIND, 30, 100)
    ]


def _checks() -> list[Cell]:
    """Tests of whether a judge errs alike, where it does."""

    def transport(rng: np.random.Generator) -> Seen:
        def counts(n: int) -> Counts:
            truth = rng.random(n) < 0.6
            said = judged(rng, truth, 0.9, 0.8)
            kinds = (truth & said, truth & ~said, ~truth & ~said, ~truth & said)
            return Counts(*(int(kind.sum()) for kind in kinds))

        return transport_check(counts(120), counts(40)).verdict == "differs"

    def groups(rng: np.random.Generator) -> Seen:
        truth = rng.random(150) < 0.6
        said = judged(rng, truth, 0.9, 0.8)
        rows = [
            LabelledScore(
                f"model {place % 3}", "", place, 5.0 if label else 1.0, 5.0 if good else 1.0
            )
            for place, (label, good) in enumerate(zip(truth, said, strict=True))
        ]
        p = alike(rows, lambda row: row.generator)
        return None if p is None else p < 0.05

    tests: list[tuple[str, str, Callable[[np.random.Generator], Seen]]] = [
        ("judge said to err otherwise here than elsewhere", "120 and 40 labels", transport),
        ("judge said to err otherwise by generator", "3 generators, 150 labels", groups),
    ]
    return [
        Cell(
            f"{group}, though it does not, alpha .05",
            world,
            0.05,
            look,
            at_least=True,
            tolerance=APPROXIMATE / 2,
        )
        for group, world, look in tests
    ]
