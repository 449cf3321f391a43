"""May it be released? A gate's rules over a comparison: passed, failed, or held up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.evaluation.paired.words import CANNOT_TELL, GOT_WORSE
from rag_bench.reporting.compared.comparing import Terms, compare_sides
from rag_bench.reporting.compared.opening import open_side
from rag_bench.reporting.compared.policy import CLASSES, Class, Policy
from rag_bench.reporting.compared.shapes import Compared, MetricCompared
from rag_bench.reporting.compared.sides import Side

if TYPE_CHECKING:
    from sqlalchemy import Engine

Outcome = Literal["passed", "failed", "held"]


@dataclass(frozen=True)
class Passed:
    """One metric at the gate; ``reason``: why it does not pass, in words."""

    of: Class
    metric: MetricCompared
    paired: float
    outcome: Outcome
    reason: str | None


@dataclass(frozen=True)
class Gated:
    """What a gate says of ``b`` against ``a``; ``compared``: by class of metrics."""

    metrics: Sequence[Passed]
    compared: Mapping[Class, Compared]

    @property
    def outcome(self) -> Outcome:
        """Failed if a metric failed, held if one is held up, passed otherwise."""
        found = {one.outcome for one in self.metrics}
        return "failed" if "failed" in found else "held" if "held" in found else "passed"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs; the first cases that moved are with each class."""
        return {
            "outcome": self.outcome,
            "metrics": [
                {
                    "class": one.of,
                    "outcome": one.outcome,
                    "reason": one.reason,
                    "paired": round(one.paired, 4),
                    **one.metric.as_json(),
                }
                for one in self.metrics
            ],
            "compared": {name: found.as_json(limit=20) for name, found in self.compared.items()},
        }

    def lines(self) -> Iterator[str]:
        """Yield it in words, what decides first."""
        yield f"The gate: {self.outcome}."
        for one in self.metrics:
            because = f": {one.reason}" if one.reason else ""
            yield f"  {one.outcome:7} {one.of} {one.metric.name}{because}"


def gate(engine: Engine, a: str, b: str, policy: Policy) -> Gated:
    """Hold ``b`` against ``a`` by a gate's rules.

    P is adjusted within a class: advisory metrics take nothing from a critical one.

    Raises:
        NothingToCompareError: one of the two is not there.
        UnknownMetricError: a metric of the rules was not measured.
    """
    return gate_sides(engine, open_side(engine, a, "a"), open_side(engine, b, "b"), policy)


def gate_sides(engine: Engine, a: Side, b: Side, policy: Policy) -> Gated:
    """Hold a side that is opened already against another; see `gate`."""
    compared: dict[Class, Compared] = {}
    for name in CLASSES:
        if policy.metrics[name]:
            terms = Terms(
                metrics=policy.metrics[name],
                margin=policy.margin,
                margins=policy.margins,
                higher=policy.higher,
                lower=policy.lower,
                alpha=policy.alpha,
            )
            compared[name] = compare_sides(engine, a, b, terms)
    metrics = [
        _passed(name, metric, found, policy)
        for name, found in compared.items()
        for metric in found.metrics
    ]
    return Gated(metrics, compared)


def _passed(of: Class, metric: MetricCompared, found: Compared, policy: Policy) -> Passed:
    n_pairs = metric.comparison.difference.n_scored
    lost = sum(
        one.side == "a"
        and (one.metric == metric.name or (one.metric is None and metric.name in one.case.scores))
        for one in found.alone
    )
    paired = n_pairs / (n_pairs + lost) if n_pairs else 0.0
    outcome, reason = _outcome(of, metric, paired, policy)
    return Passed(of, metric, paired, outcome, reason)


def _outcome(
    of: Class, metric: MetricCompared, paired: float, policy: Policy
) -> tuple[Outcome, str | None]:
    word = metric.decision.word
    if of == "advisory":
        return "passed", None if word != GOT_WORSE else "got worse; it does not decide"
    if word == GOT_WORSE:
        return "failed", word
    if paired < policy.least_paired:
        share = f"{paired:.0%} of the cases have a pair, {policy.least_paired:.0%} are needed"
        return "held", share
    if of == "critical" and word == CANNOT_TELL:
        needed = metric.decision.needed
        said = f"{needed.questions:,} questions of {needed.pages:,} pages" if needed else None
        reason = (
            f"cannot tell; {said} would decide" if said else f"{word}: {metric.decision.reason}"
        )
        outcomes: Mapping[str, Outcome] = {"hold": "held", "pass": "passed", "fail": "failed"}
        return outcomes[policy.cannot_tell], reason
    return "passed", None
