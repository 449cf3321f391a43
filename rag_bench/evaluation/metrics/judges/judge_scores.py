"""A benchmark judge's scores by themselves: its agreement with itself, and how they spread.

Scores are whole numbers of a rubric from 1 to 5, None for a failed or unreadable reply. Nothing
is imputed: a pair with one score is no pair, and a measure without any is undefined.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from rag_bench.evaluation.metric_spec import UNIT, entries
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.types import Metric, Scale

#: From this score on an answer is called good; the rubrics' 4 is "good but for a trifle".
GOOD_FROM = 4
#: Two scores this near agree; the forerunner's tolerance and its name, ``consistency_score``.
TOLERANCE = 0.5
VALUES = (1, 2, 3, 4, 5)
#: Of two scores.
DISTANCE: Scale = (0.0, 4.0)

Score = float | None

METRICS = (
    *entries(
        ("error_rate",),
        ("judge",),
        "rate",
        UNIT,
        False,
        "failed or unreadable calls / all calls of the tier",
    ),
    *entries(
        ("consistency_score",),
        ("judge",),
        "rate",
        UNIT,
        True,
        "share of answers whose overall scores at the two repeats differ by at most 0.5 "
        "(scores are whole: by nothing)",
    ),
    *entries(
        ("decision_flip_rate",),
        ("judge",),
        "rate",
        UNIT,
        False,
        "share of answers called good once and bad once",
    ),
    *entries(
        ("repeat_exact_agreement",),
        ("judge",),
        "rate",
        UNIT,
        True,
        "of the single rubric scores the share of equal ones",
    ),
    *entries(
        ("repeat_mean_abs_difference",),
        ("judge",),
        "mean",
        DISTANCE,
        False,
        "of the single rubric scores the mean \\|s1 - s2\\|",
    ),
    *entries(
        ("score_share_1", "score_share_2", "score_share_3", "score_share_4", "score_share_5"),
        ("judge",),
        "rate",
        UNIT,
        None,
        "share of each score over the rubric scores of repeat 0",
    ),
    *entries(
        ("score_collapse",),
        ("judge",),
        "rate",
        UNIT,
        False,
        "share of the most frequent score. Above 0.9 the check `scores_are_not_all_alike` "
        "warns: on such a sample a judge that sees anything spreads its scores. Its "
        "interval does not allow for picking the greatest share",
    ),
    *entries(
        ("score_entropy",),
        ("judge",),
        "summary",
        UNIT,
        None,
        "Shannon entropy / ln 5, of this very sample, so no interval",
    ),
    *entries(
        ("score_std",),
        ("judge",),
        "summary",
        (0.0, 2.0),
        None,
        "standard deviation of this very sample, so no interval",
    ),
    *entries(
        ("score_distinct",),
        ("judge",),
        "summary",
        (1.0, 5.0),
        None,
        "how many of the five scores occur in this very sample, so no interval",
    ),
)


def overall(scores: Sequence[Score]) -> Score:
    """Return the least of an answer's rubric scores; None when one of them is missing.

    An answer is good only if it is good by every rubric, so the worst one is its score.
    """
    there = [score for score in scores if score is not None]
    return min(there) if there and len(there) == len(scores) else None


def repeat_metrics(
    first: Sequence[Sequence[Score]],
    second: Sequence[Sequence[Score]],
    clusters: Sequence[Hashable],
) -> dict[str, Metric]:
    """Return how a judge agrees with itself; per triple, each rubric's score at two repeats.

    ``consistency_score``: share of triples whose `overall` scores differ by at most 0.5.
    ``decision_flip_rate``: share of triples called good once and bad once (threshold 4).
    ``repeat_exact_agreement``, ``repeat_mean_abs_difference``: over single rubric scores.
    Only what has both scores counts; raises ValueError for unequal lengths.
    """
    before, after = [overall(s) for s in first], [overall(s) for s in second]
    gaps = [minus(a, b) for a, b in zip(after, before, strict=True)]
    flips = [
        None if a is None or b is None else (a >= GOOD_FROM) != (b >= GOOD_FROM)
        for a, b in zip(before, after, strict=True)
    ]
    single: list[Score] = []
    of_single: list[Hashable] = []
    for one, two, cluster in zip(first, second, clusters, strict=True):
        single += [minus(b, a) for a, b in zip(one, two, strict=True)]
        of_single += [cluster] * len(one)
    near = [None if gap is None else abs(gap) <= TOLERANCE for gap in gaps]
    same = [None if gap is None else gap == 0 for gap in single]
    return {
        "consistency_score": rate_metric(near, clusters=clusters),
        "decision_flip_rate": rate_metric(flips, clusters=clusters),
        "repeat_exact_agreement": rate_metric(same, clusters=of_single),
        "repeat_mean_abs_difference": mean_metric(
            [None if gap is None else abs(gap) for gap in single], of_single, scale=DISTANCE
        ),
    }


def distribution_metrics(
    scores: Sequence[Score], clusters: Sequence[Hashable] | None = None
) -> dict[str, Metric]:
    """Return how the scores spread over 1 to 5, each answer and rubric scored once.

    ``clusters``: what each score shares with others (its page); None: nothing.

    ``score_share_1`` to ``score_share_5``: shares. ``score_collapse``: the share of the most
    frequent score (1 for a judge that always says the same). ``score_entropy``: Shannon's, over
    ln 5, 0 to 1. ``score_std``: divided by the number of scores. ``score_distinct``: how many of
    the five values occur. The last three describe the set itself and have no interval.
    """
    there = [score for score in scores if score is not None]
    counts = Counter(there)
    if strange := set(counts) - set(VALUES):
        raise ValueError(f"a score is a whole number from 1 to 5, not {sorted(strange)[0]}")
    n, n_expected = len(there), len(scores)

    def shares_of(value: float) -> Metric:
        return rate_metric([None if s is None else s == value for s in scores], clusters=clusters)

    metrics = {f"score_share_{value}": shares_of(value) for value in VALUES}
    most = max(sorted(counts), key=lambda value: counts[value], default=float(VALUES[0]))
    metrics["score_collapse"] = shares_of(most)
    shares = [count / n for count in counts.values()]
    entropy = -math.fsum(share * math.log(share) for share in shares) / math.log(len(VALUES))

    def summary(value: float, scale: Scale | None) -> Metric:
        return Metric(value if n else None, n, n_expected, scale=scale)

    metrics["score_entropy"] = summary(abs(entropy), UNIT)
    metrics["score_std"] = summary(float(np.std(there)) if n else 0.0, (0.0, 2.0))
    metrics["score_distinct"] = summary(float(len(counts)), (1.0, 5.0))
    return metrics


def minus(a: Score, b: Score) -> float | None:
    """Return a - b; None where one of them is missing."""
    return None if a is None or b is None else float(a) - float(b)
