"""Compare two runs or evaluations: by every metric, case by case, with a word for each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.evaluation.comparison import ROUNDING, Comparison, compare_paired
from rag_bench.evaluation.paired.across import widened
from rag_bench.evaluation.paired.decision import Decision, decide
from rag_bench.evaluation.paired.detectable import ALPHA
from rag_bench.evaluation.paired.p_values import holm
from rag_bench.evaluation.paired.pairing import Pairing, pair_cases
from rag_bench.evaluation.paired.words import CANNOT_TELL, MARGIN
from rag_bench.evaluation.statistics import SCALE_TOLERANCE
from rag_bench.evaluation.text.text_folding import fold
from rag_bench.evaluation.types import Scale
from rag_bench.reporting.compared.across import across, judges_of
from rag_bench.reporting.compared.inputs import differences, made_alike
from rag_bench.reporting.compared.opening import open_side
from rag_bench.reporting.compared.shapes import Alone, Changed, Compared, MetricCompared
from rag_bench.reporting.compared.sides import Side, SideCase, bare_name, collapsed, described
from rag_bench.store.labels.checked import Scored, never_checked_by

if TYPE_CHECKING:
    from sqlalchemy import Engine

_NOT_SCORED = "not scored for this metric"
_OTHER_SCALE = "its scores are not on one scale"


class UnknownMetricError(RagBenchError):
    """A metric was named that neither side has; ``metric`` is its name."""

    def __init__(self, metric: str, there: Collection[str]) -> None:
        names = ", ".join(sorted(there)) or "none"
        super().__init__(f"Neither side has a score by {metric!r}. There are: {names}.")
        self.metric = metric


class ContradictionError(RagBenchError):
    """More and less of a metric are both called better."""

    def __init__(self, metric: str) -> None:
        super().__init__(f"Of {metric!r} more and less are both called better: say one.")
        self.metric = metric


@dataclass(frozen=True)
class _Pair:
    """A case of both sides, its repeats collapsed."""

    a: SideCase
    b: SideCase
    first: Mapping[str, float]
    second: Mapping[str, float]
    cluster: Hashable


@dataclass(frozen=True)
class Terms:
    """By what, and how strictly, two sides are compared.

    Attributes:
        metrics: only these; None: all that both sides have. P-values are adjusted over what is
            compared, so fewer metrics show more.
        margin: what may be lost, as a part of each metric's scale.
        margins: the same by metric, in its own units; for those without a scale the only way.
        higher: metrics, not described here, of which more is better.
        lower: those of which less is better.
        alpha: of the two-sided tests, over all metrics together.
    """

    metrics: Sequence[str] | None = None
    margin: float = MARGIN
    margins: Mapping[str, float] = field(default_factory=dict)
    higher: Collection[str] = ()
    lower: Collection[str] = ()
    alpha: float = ALPHA

    def margin_of(self, name: str, scale: Scale | None) -> float | None:
        """Return a metric's margin in its own units; None: it has no scale, and none is given."""
        if name in self.margins:
            return self.margins[name]
        return None if scale is None else self.margin * (scale[1] - scale[0])

    def direction(self, name: str) -> bool | None:
        """Return whether more is better; None where neither is, or it is not known."""
        if name in self.lower or name in self.higher:
            return name in self.higher
        entry = described(name)
        return entry.higher_is_better if entry is not None else None


def compare(engine: Engine, a: str, b: str, terms: Terms = Terms()) -> Compared:
    """Compare ``b`` with ``a``, the earlier or trusted one.

    Each is a run (its id or the beginning of it), an evaluation (its number) or a generation model
    (its key, with or without a settings hash); see `open_side`.

    Raises:
        NothingToCompareError: one of the two is not there.
        UnknownMetricError: a metric is named that neither side has.
        ContradictionError: more and less of a metric are both called better.
    """
    return compare_sides(engine, open_side(engine, a, "a"), open_side(engine, b, "b"), terms)


def compare_sides(engine: Engine, a: Side, b: Side, terms: Terms) -> Compared:
    """Compare two sides that are opened already; see `compare`.

    What two judges scored is carried over their bridge, or has no word (`across`).
    """
    a, b = across(engine, a, b)
    _check(terms, a, b)
    carried = {**a.carried, **b.carried}
    two_judges = {**a.two_judges, **b.two_judges}
    pairing = pair_cases([case.asked for case in a.cases], [case.asked for case in b.cases])
    pairs = [_pair(a, b, mine, theirs) for mine, theirs in pairing.pairs]
    names = _names(a, b, terms)
    scales = {**b.scales, **a.scales}
    # What crossed a bridge may lie beyond the ends of its scale.
    apart = {name for name in names if name not in carried and not _one_scale(name, a, b, pairs)}
    means = {name: _means(name, pairs) for name in names}
    found = {
        name: _tested(
            name,
            () if name in apart else pairs,
            scales.get(name),
            terms.alpha,
            _link_error(a, b, name, means),
        )
        for name in names
    }
    directions = {name: terms.direction(name) for name in names}
    tested = {name: one for name, one in found.items() if name not in two_judges}
    adjusted = _adjusted(tested, directions)
    allowed = {name: terms.margin_of(name, scales.get(name)) for name in names}
    unlike = differences(engine, a, b)
    one_system = made_alike(a, b, unlike)
    said = {**dict.fromkeys(apart, _OTHER_SCALE), **two_judges}
    decisions = {
        name: decide(
            found[name],
            adjusted.get(name),
            higher_is_better=directions[name],
            margin=allowed[name],
            scale=scales.get(name),
            alpha=terms.alpha,
            unchanged=one_system and name not in carried and _alike(name, pairs),
        )
        if name not in said
        else Decision(CANNOT_TELL, reason=said[name])
        for name in names
    }
    unchecked = _never_checked(engine, names, a, b)
    rows = [
        MetricCompared(
            name,
            directions[name],
            *means[name],
            found[name],
            adjusted.get(name),
            allowed[name],
            decisions[name],
            dict(Counter(one.reason for one in _unscored([name], pairs)).most_common()),
            carried.get(name),
            "" if name not in carried else "a" if name in a.carried else "b",
            unchecked[name],
        )
        for name in names
    ]
    # A bridge links means: of a single answer it does not say what the other judge would give.
    directed = {
        name: direction
        for name, direction in directions.items()
        if direction is not None and name not in {*carried, *two_judges, *apart}
    }
    changed = [one for name, up in directed.items() for one in _changed(name, up, pairs, allowed)]
    return Compared(
        a=a,
        b=b,
        alpha=terms.alpha,
        margin=terms.margin,
        paired_by=pairing.rule,
        n_pairs=len(pairs),
        n_pages=len({pair.cluster for pair in pairs}),
        pages_known=sum(pair.a.page is not None or pair.b.page is not None for pair in pairs),
        n_tests=len(adjusted),
        metrics=rows,
        only_in_a=_in_order(a.metrics - b.metrics) if terms.metrics is None else [],
        only_in_b=_in_order(b.metrics - a.metrics) if terms.metrics is None else [],
        inputs=unlike,
        alone=[*_alone(a, b, pairing), *_unscored(names, pairs)],
        worse=[one for one in changed if one.worse],
        better=[one for one in changed if not one.worse],
    )


def _check(terms: Terms, a: Side, b: Side) -> None:
    """Refuse terms that contradict each other, or name what neither side has: a slip of the pen
    would else be answered with another margin than was asked for.
    """
    for name in terms.higher:
        if name in terms.lower:
            raise ContradictionError(name)
    there = a.metrics | b.metrics
    for name in (*(terms.metrics or ()), *terms.margins, *terms.higher, *terms.lower):
        if name not in there:
            raise UnknownMetricError(name, there)


def _one_scale(name: str, a: Side, b: Side, pairs: Sequence[_Pair]) -> bool:
    """Return whether both sides score by a metric on one scale, and no pair is further apart than
    its ends are.
    """
    scales = {side.scales[name] for side in (a, b) if name in side.scales}
    if len(scales) != 1:
        return not scales
    [(low, high)] = scales
    return all(
        abs(pair.second[name] - pair.first[name]) <= high - low + SCALE_TOLERANCE
        for pair in pairs
        if name in pair.first and name in pair.second
    )


def _alike(name: str, pairs: Sequence[_Pair]) -> bool:
    """Whether no pair that both sides scored differs."""
    return all(
        abs(pair.second[name] - pair.first[name]) <= ROUNDING
        for pair in pairs
        if name in pair.first and name in pair.second
    )


def _never_checked(
    engine: Engine, names: Sequence[str], a: Side, b: Side
) -> dict[str, tuple[str, ...]]:
    """Return, by metric, the judges of whose scores by it no label of people says anything."""
    scored = {name: [Scored(j, bare_name(name)) for j in judges_of(name, a, b)] for name in names}
    found = set(never_checked_by(engine, [one for of in scored.values() for one in of]))
    return {name: tuple(one.judge for one in of if one in found) for name, of in scored.items()}


def _pair(a: Side, b: Side, mine: Sequence[int], theirs: Sequence[int]) -> _Pair:
    one, other = a.cases[mine[0]], b.cases[theirs[0]]
    page = one.page if one.page is not None else other.page
    if page is None:
        # Where no page is known, what is asked in the same words belongs together.
        question = one.asked.question
        page = ("question", fold(question)) if question is not None else ("case", one.asked.case_id)
    return _Pair(
        one,
        other,
        collapsed([a.cases[place].scores for place in mine]),
        collapsed([b.cases[place].scores for place in theirs]),
        page,
    )


def _names(a: Side, b: Side, terms: Terms) -> list[str]:
    if terms.metrics is None:
        return _in_order(a.metrics & b.metrics)
    return list(dict.fromkeys(terms.metrics))


def _in_order(names: Collection[str]) -> list[str]:
    place = {name: number for number, name in enumerate(CATALOGUE)}

    def where(name: str) -> tuple[int, str]:
        entry = described(name)
        return (place[entry.name] if entry is not None else len(place)), name

    return sorted(names, key=where)


def _link_error(
    a: Side, b: Side, name: str, means: Mapping[str, tuple[float | None, float | None]]
) -> float | None:
    """Return the standard error of the bridge that a side's mean came over; None: it did not."""
    for side, mean in zip((a, b), means[name], strict=True):
        if name in side.carried and mean is not None:
            return side.carried[name].error_at(mean)
    return None


def _tested(
    name: str,
    pairs: Sequence[_Pair],
    scale: Scale | None,
    alpha: float,
    link_error: float | None,
) -> Comparison:
    numbered = [(str(number), pair) for number, pair in enumerate(pairs)]
    # Only where at least one side has a score is one expected.
    expected = [(key, pair) for key, pair in numbered if name in pair.first or name in pair.second]
    first = {key: pair.first.get(name) for key, pair in expected}
    second = {key: pair.second.get(name) for key, pair in expected}
    scored = [value for value in (*first.values(), *second.values()) if value is not None]
    if link_error is not None and scale is not None:
        # A line has no ends: what was carried may lie beyond those of the scale.
        scale = (min(scale[0], *scored), max(scale[1], *scored)) if scored else scale
    found = compare_paired(
        first,
        second,
        {key: pair.cluster for key, pair in expected},
        # Grades from 1 to 5 that are all 1 are no yes and no.
        yes_no=scale in (None, (0.0, 1.0)) and all(value in (0.0, 1.0) for value in scored),
        scale=scale,
        alpha=alpha,
    )
    return found if link_error is None else widened(found, link_error, alpha=alpha)


def _adjusted(
    found: Mapping[str, Comparison], directions: Mapping[str, bool | None]
) -> dict[str, float]:
    """Return Holm's p of the metrics that are tested: those with a direction and two pages."""
    tested = {
        name: one.p_value
        for name, one in found.items()
        if one.p_value is not None and one.n_clusters > 1 and directions[name] is not None
    }
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def _means(name: str, pairs: Sequence[_Pair]) -> tuple[float | None, float | None]:
    """Return the mean of either side over the pairs that both scored."""
    both = [
        (pair.first[name], pair.second[name])
        for pair in pairs
        if name in pair.first and name in pair.second
    ]
    if not both:
        return None, None
    first, second = (math.fsum(side) / len(both) for side in zip(*both, strict=True))
    return first, second


def _unscored(names: Sequence[str], pairs: Sequence[_Pair]) -> list[Alone]:
    """Return, metric by metric, the paired cases that one side has no score of, and why."""
    found = []
    for name in names:
        for pair in pairs:
            if (name in pair.first) == (name in pair.second):
                continue
            lacking, has = (pair.b, "a") if name in pair.first else (pair.a, "b")
            why = _NOT_SCORED if lacking.state == "done" else lacking.state
            found.append(Alone(has, lacking, why, name))
    return found


def _alone(a: Side, b: Side, pairing: Pairing) -> list[Alone]:
    return [
        *(Alone("a", a.cases[place], reason) for place, reason in pairing.only_first),
        *(Alone("b", b.cases[place], reason) for place, reason in pairing.only_second),
    ]


def _changed(
    name: str, higher: bool, pairs: Sequence[_Pair], margins: Mapping[str, float | None]
) -> list[Changed]:
    """Return the cases whose score moved, those that moved most first."""
    found: list[Changed] = []
    margin = margins[name] or 0.0
    for pair in pairs:
        if name not in pair.first or name not in pair.second:
            continue
        difference = pair.second[name] - pair.first[name]
        if abs(difference) <= ROUNDING:
            continue
        beyond = abs(difference) > margin + ROUNDING
        worse = (difference < 0) is higher
        found.append(
            Changed(pair.a, pair.b, name, pair.first[name], pair.second[name], worse, beyond)
        )
    return sorted(found, key=lambda one: (-abs(one.difference), one.case_b.position))
