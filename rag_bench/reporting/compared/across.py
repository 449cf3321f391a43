"""Two judges are two rulers: scores of one are carried over a bridge to the other's, with a mark.

What `rag-bench judge-bridge` stored links means of rubrics, tier by tier. Where it links what two
sides were scored by, the scores that the bridge begins at are put on the scale of its end, and the
comparison is widened by the link's own error. Where nothing links them the difference is told and
no word is said of it, as it may be the judges'.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.instrument.bridge import Link
from rag_bench.evaluation.precision import published
from rag_bench.evaluation.rubrics import PREFIX
from rag_bench.reporting.bridges import how_to_link, link_between, linked
from rag_bench.reporting.compared.sides import Side, bare_name

if TYPE_CHECKING:
    from sqlalchemy import Engine

_BY = " by "
#: Of a run of the service answers are scored by the steps of this tier.
_TIER_OF_RUNS = "3"
# What says nothing of an answer by a judge's own measure.
_NO_SCORE = ("asked_again_rate", "semantic_similarity")


@dataclass(frozen=True)
class Carried:
    """A metric of one side on the other judge's scale.

    Attributes:
        evaluation: the bridge's number.
        old, new: the judges at its ends; scores by ``old`` were carried to the scale of ``new``.
        link: of means.
    """

    evaluation: int
    old: str
    new: str
    link: Link

    def raw(self, mean: float) -> float:
        """Return a carried mean as its own judge gave it."""
        return (mean - self.link.intercept) / self.link.slope

    def error_at(self, mean: float) -> float:
        """Return the link's standard error at a carried mean."""
        return self.link.error_at(self.raw(mean))

    def as_json(self, mean: float | None, side: str) -> dict[str, Any]:
        """Return it for programs; ``side`` is the one that crossed, ``mean`` its carried mean."""
        return {
            "evaluation_id": self.evaluation,
            "from": self.old,
            "to": self.new,
            "side": side,
            "own_mean": None if mean is None else published(self.raw(mean)),
            "link_error": None if mean is None else published(self.error_at(mean)),
        }


def scored_by_judge(metric: str) -> bool:
    """Whether a metric is what a benchmark judge holds of an answer."""
    name = bare_name(metric)
    return name.startswith((PREFIX, "ragas_")) and not name.endswith(_NO_SCORE)


def judges_of(metric: str, a: Side, b: Side) -> list[str]:
    """Return the benchmark judges of two sides' scores by a metric, each once.

    It is in the metric's name, or of the whole side; what crossed a bridge has two.
    """
    found: list[str] = []
    for side in (a, b):
        if metric in side.carried:
            found += [side.carried[metric].old, side.carried[metric].new]
        elif _BY in metric:
            found.append(metric.partition(_BY)[2])
        else:
            judge = side.made_with.get("judge_model")
            found += [judge] if isinstance(judge, str) else list(judge or ())
    return list(dict.fromkeys(found))


def across(engine: Engine, a: Side, b: Side) -> tuple[Side, Side]:
    """Return both sides so that what two judges scored stands on one scale, or is marked.

    Where a metric has the judge in its name the carried one takes the other's name. Done once: a
    side that crossed already, or is marked, comes back as it is.
    """
    if a.carried or b.carried or a.two_judges or b.two_judges:
        return a, b
    for mine, theirs, judge_a, judge_b in _of_two_judges(engine, a, b):
        tier = _tier(a, mine)
        forward = link_between(engine, judge_a, judge_b, tier, bare_name(mine))
        back = None if forward else link_between(engine, judge_b, judge_a, tier, bare_name(mine))
        if forward is not None:
            a = _carried(a, mine, theirs, Carried(*forward))
        elif back is not None:
            b = _carried(b, theirs, mine, Carried(*back))
        else:
            why = how_to_link(engine, judge_a, judge_b, bare_name(mine))
            a = _marked(_renamed(a, mine, theirs, float), theirs, why)
            b = _marked(b, theirs, why)
    return a, b


def _of_two_judges(engine: Engine, a: Side, b: Side) -> list[tuple[str, str, str, str]]:
    """Return what one judge scored on one side and another on the other: the names, the judges."""
    if a.kind not in ("evaluation", "run") and b.kind not in ("evaluation", "run"):
        return _by_names(engine, a, b)
    first, second = a.made_with.get("judge_model"), b.made_with.get("judge_model")
    if not first or not second or first == second:
        return []
    return [
        (name, name, str(first), str(second))
        for name in sorted(a.metrics & b.metrics)
        if scored_by_judge(name)
    ]


def _by_names(engine: Engine, a: Side, b: Side) -> list[tuple[str, str, str, str]]:
    """As `_of_two_judges`, of sides whose metrics are named with tier, model and judge.

    A judge that scored both sides needs no bridge, nor do the others then.
    """

    def by_stem(names: set[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name in sorted(names):
            stem, by, judge = name.partition(_BY)
            if by and scored_by_judge(name):
                found.setdefault(stem, []).append(judge)
        return found

    here, there = by_stem(a.metrics), by_stem(b.metrics)
    found = []
    for stem in sorted(here.keys() & there.keys()):
        free = list(here[stem])
        if set(free) & set(there[stem]):
            continue
        for second in there[stem]:
            if not free:
                break
            first = next((one for one in free if linked(engine, one, second)), free[0])
            free.remove(first)
            found.append((f"{stem}{_BY}{first}", f"{stem}{_BY}{second}", first, second))
    return found


def _tier(side: Side, metric: str) -> str:
    if side.kind == "run":
        return _TIER_OF_RUNS
    return str(side.made_with.get("tier") or metric.partition(".")[0])


def _carried(side: Side, name: str, called: str, by: Carried) -> Side:
    return replace(
        _renamed(side, name, called, by.link.carried), carried={**side.carried, called: by}
    )


def _marked(side: Side, name: str, why: str) -> Side:
    return replace(side, two_judges={**side.two_judges, name: why})


def _renamed(side: Side, name: str, called: str, changed: Callable[[float], float]) -> Side:
    def scores(found: Mapping[str, float]) -> Mapping[str, float]:
        if name not in found:
            return found
        return {
            called if n == name else n: changed(v) if n == name else v for n, v in found.items()
        }

    return replace(
        side,
        cases=[replace(case, scores=scores(case.scores)) for case in side.cases],
        scales={called if n == name else n: scale for n, scale in side.scales.items()},
    )
