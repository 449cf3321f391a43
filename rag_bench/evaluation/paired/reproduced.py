"""Does a side still give its stored scores when it is asked again? Of cases chosen by those scores.

A gate asks again the cases whose stored scores differ between the sides. So a side's stored scores
of these cases are no fair sample: where it was ahead it was ahead in part by luck, and asked again
it falls back though nothing has changed. What keeps that from being taken for a change:

* All cases of a side together were not chosen by their scores. Where the others were asked as well,
  all count.
* Else only cases count that the new scores would have chosen, too. Without a change the stored and
  the new score of such a case may as well have come the other way round, so signs can be flipped.
  By yes and no alone none is left: a score that changes then agrees with the other side's.
* The level is `LEVEL`, not 5 %: that the gate was asked to ask again is a choice too, of a whole
  in which one side was ahead. At worst (only this side scatters, the alarm just reached) the side
  falls back by 1.65 of the test's standard errors on average, with a spread of 0.74: beyond the
  2.81 of this level in 1 of 17.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

from rag_bench.evaluation.comparison import Comparison, compare_paired
from rag_bench.evaluation.paired.asked_again import cases_that_decide

#: Of the two-sided test, over all metrics and sides that are tested together.
LEVEL = 0.005

ByMetric = Mapping[str, Mapping[str, float]]
"""Scores by case, then by metric."""


def cases_that_count(stored_other: ByMetric, fresh: ByMetric, metrics: Collection[str]) -> set[str]:
    """Return the cases that were asked again whose new scores would have chosen them as well."""
    return set(cases_that_decide(fresh, stored_other, frozenset(metrics)))


def against_stored(
    metric: str,
    stored: ByMetric,
    fresh: ByMetric,
    counting: Collection[str],
    clusters: Mapping[str, Hashable],
) -> Comparison:
    """Compare a side's new scores by a metric with its stored ones, new minus stored.

    ``counting``: the cases that may count; ``clusters``: a page for each. By `p_exact`, the test's
    conservative p, it is decided.
    """
    both = [
        case
        for case in counting
        if metric in stored.get(case, {}) and metric in fresh.get(case, {})
    ]
    return compare_paired(
        {case: stored[case][metric] for case in both},
        {case: fresh[case][metric] for case in both},
        {case: clusters[case] for case in both},
        alpha=LEVEL,
    )
