"""A gate that asks again before it blocks: which cases, and what is said after their new answers.

Only cases whose scores differ between the two runs move a paired comparison, so only those are
asked again, in both runs. Two readings of the new answers count, as each alone would err to one
side:

* *fresh*: the new scores in place of the first. A verdict of "worse" chose the first ones for
  being bad; the new ones were chosen by nobody, so under no change a second alarm is a new test.
  But cases that happened to agree the first time are not asked again, so a true loss looks smaller
  than it is: the fresh reading must never let a release pass.
* *pooled*: the mean of both. It still holds what the first alarm was chosen by, so a pass by it is
  no gift, and it scatters less than the first alone.

So it got worse if both say so; it is no worse if the pooled one says so; else it cannot be told.
"""

from __future__ import annotations

from collections.abc import Mapping

from rag_bench.evaluation.paired.words import CANNOT_TELL, GOT_WORSE, NO_WORSE, Word

# Scores have six decimals; a difference below is rounding.
_ROUNDING = 1e-9


def cases_that_decide(
    first: Mapping[str, Mapping[str, float]],
    second: Mapping[str, Mapping[str, float]],
    metrics: frozenset[str],
) -> list[str]:
    """Return the cases, sorted, whose scores differ by one of the metrics.

    ``first``, ``second``: scores by case, then by metric; a case counts where both have a score.
    """
    return sorted(
        case
        for case in first.keys() & second.keys()
        if any(
            metric in first[case]
            and metric in second[case]
            and abs(first[case][metric] - second[case][metric]) > _ROUNDING
            for metric in metrics
        )
    )


def with_fresh(
    scores: Mapping[str, float], fresh: Mapping[str, float], metrics: frozenset[str], *, pool: bool
) -> dict[str, float]:
    """Return a case's scores with the new ones in place, or with the mean of both (``pool``).

    A metric that the new answer has no score by keeps its first one.
    """
    found = dict(scores)
    for metric in metrics:
        if metric in scores and metric in fresh:
            new = fresh[metric]
            found[metric] = (scores[metric] + new) / 2 if pool else new
    return found


def word_after(fresh: Word, pooled: Word) -> Word:
    """Return what is said of a metric after its cases were asked again."""
    if fresh == GOT_WORSE and pooled == GOT_WORSE:
        return GOT_WORSE
    return NO_WORSE if pooled == NO_WORSE else CANNOT_TELL
