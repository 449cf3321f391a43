"""The three words that end a comparison: got worse, no worse than the margin, cannot tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from rag_bench.evaluation.comparison import Comparison
from rag_bench.evaluation.paired.across import link_detectable
from rag_bench.evaluation.paired.detectable import ALPHA, Needed, clusters_if_alike, needed
from rag_bench.evaluation.paired.words import CANNOT_TELL, GOT_WORSE, NO_WORSE, Word
from rag_bench.evaluation.statistics import unlike_share
from rag_bench.evaluation.types import Scale

#: Why it is no worse where one system was measured twice.
UNCHANGED = "by construction: no pair differs, nor does anything that the two were made with"
_NO_MARGIN = "it has no scale, so there is no margin"


@dataclass(frozen=True)
class Decision:
    """What is said of one metric.

    ``better``: it is better by more than chance; a word of its own it has not, as it passes.
    ``reason``: why it cannot be told, or why no question had to be asked to tell it. ``needed``: so
    many questions and pages would decide. ``alike``: no pair differs, and still it cannot be told.
    """

    word: Word
    better: bool = False
    reason: str | None = None
    needed: Needed | None = None
    alike: bool = False


def decide(
    found: Comparison,
    p_adjusted: float | None,
    *,
    higher_is_better: bool | None,
    margin: float | None,
    scale: Scale | None = None,
    alpha: float = ALPHA,
    unchanged: bool = False,
) -> Decision:
    """Say whether the second run got worse than the first.

    *Got worse*: the whole 95 % interval of the difference lies on the bad side of 0, and p,
    adjusted for all metrics that are tested together, is below ``alpha``. *No worse than the
    margin*: the interval's bad end is nearer to 0 than ``margin`` (in the metric's own units). Else
    it cannot be told, which is not that both are alike. Where all pages differ by the same and the
    metric has no scale there is no interval; then p alone says on which side of 0 it is.

    That no pair differs is proof only where nothing differs in what the two were made with
    (``unchanged``): they are one system, and no worse by construction, whatever else is asked. Else
    of pages that were not asked so many may differ as `unlike_share` says, each by the whole scale.
    """
    value, low, high = found.difference.value, found.difference.ci_low, found.difference.ci_high
    if value is None:
        return Decision(CANNOT_TELL, reason="no case has a score on both sides")
    if higher_is_better is None:
        return Decision(CANNOT_TELL, reason="it is not known which direction is better")
    if unchanged and not value:
        return Decision(NO_WORSE, reason=UNCHANGED)
    if found.n_clusters < 2 or p_adjusted is None:
        return Decision(CANNOT_TELL, reason="all cases are of one page")
    if low is None or high is None:
        return _alike(value if higher_is_better else -value, p_adjusted < alpha, margin)
    if not higher_is_better:
        value, low, high = -value, -high, -low
    if high < 0 and p_adjusted < alpha:
        return Decision(GOT_WORSE)
    better = low > 0 and p_adjusted < alpha
    if margin is not None and low > -margin:
        return Decision(NO_WORSE, better)
    if margin is None:
        return Decision(CANNOT_TELL, better, _NO_MARGIN)
    reason = "too few questions or pages"
    if high < 0:
        reason = "worse if it were the only metric; among all that are tested it may be chance"
    more = _needed(found, value, margin, scale)
    alike = found.spread is None and not value
    if alike:
        reason = f"no pair differs, but of pages not asked {unlike_share(found.n_clusters):.1%} may"
    if more is None and found.link_error and high >= 0:
        reason = "the bridge's own error is too wide: let one judge score both sides"
    return Decision(CANNOT_TELL, better, reason, more, alike)


def _alike(gain: float, beyond_chance: bool, margin: float | None) -> Decision:
    """Say what is known where all pages differ by the same ``gain`` and no scale bounds it."""
    if not gain:
        return Decision(CANNOT_TELL, reason="none differs, and it has no scale")
    if not beyond_chance:
        return Decision(CANNOT_TELL, reason="all differ alike")
    if gain < 0:
        return Decision(GOT_WORSE)
    if margin is None:
        return Decision(CANNOT_TELL, True, _NO_MARGIN)
    return Decision(NO_WORSE, True)


def overall(words: Iterable[Word]) -> Word:
    """Return the word of several metrics: the worst; no metric at all cannot be told."""
    found = set(words)
    if GOT_WORSE in found:
        return GOT_WORSE
    return NO_WORSE if found == {NO_WORSE} else CANNOT_TELL


def _needed(found: Comparison, value: float, margin: float, scale: Scale | None) -> Needed | None:
    n, clusters = found.difference.n_scored, found.n_clusters
    if found.spread is None:
        if scale is None:
            return None
        pages = clusters_if_alike(margin, scale[1] - scale[0])
        return Needed(-(-pages * n // clusters), pages)
    # Between 0 and the margin both are to be told from what was seen; else the one from the other.
    apart = max(-value, margin + value) if -margin < value < 0 else margin
    # More questions make the bridge no surer: what it takes is left out of what they must show.
    left = apart**2 - link_detectable(found.link_error) ** 2
    return needed(found.spread, math.sqrt(left)) if left > 0 else None
