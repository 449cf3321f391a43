"""May it be released? A gate's rules over a comparison: passed, failed, or held up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.paired.words import CANNOT_TELL, GOT_WORSE, MAY_I_RELEASE, Outcome
from rag_bench.reporting.compared.across import across
from rag_bench.reporting.compared.comparing import Terms, compare_sides
from rag_bench.reporting.compared.opening import open_side
from rag_bench.reporting.compared.policy import CLASSES, Class, Policy
from rag_bench.reporting.compared.shapes import Compared, MetricCompared
from rag_bench.reporting.compared.sides import Side, bare_name
from rag_bench.store.labels.checked import Scored, mark_by_metric

if TYPE_CHECKING:
    from sqlalchemy import Engine


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
    """What a gate says of ``b`` against ``a``; ``compared``: by class of metrics.

    ``missing``: metrics of the rules that neither side has; one that decides holds the gate up.
    """

    metrics: Sequence[Passed]
    compared: Mapping[Class, Compared]
    missing: Mapping[str, Class] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """Failed if a metric failed, held if one is held up, passed otherwise."""
        found = {one.outcome for one in self.metrics}
        if any(of != "advisory" for of in self.missing.values()):
            found.add("held")
        return "failed" if "failed" in found else "held" if "held" in found else "passed"

    def as_json(self) -> dict[str, Any]:
        """Return it for programs; the first cases that moved are with each class."""
        return {
            "outcome": self.outcome,
            "may_i_release": MAY_I_RELEASE[self.outcome],
            "missing": dict(self.missing),
            "metrics": [
                {
                    **one.metric.as_json(),
                    "class": one.of,
                    "outcome": one.outcome,
                    "reason": one.reason or one.metric.decision.reason,
                    "paired": round(one.paired, 4),
                }
                for one in self.metrics
            ],
            "compared": {name: found.as_json(limit=20) for name, found in self.compared.items()},
        }

    def lines(self) -> Iterator[str]:
        """Yield it in words, what decides first."""
        yield f"The gate: {self.outcome}. {MAY_I_RELEASE[self.outcome]}"
        for name, of in self.missing.items():
            outcome, what = ("passed", "it does not decide")
            if of != "advisory":
                outcome, what = "held", "measure it first"
            yield f"  {outcome:7} {of} {name}: not measured; {what}"
        for one in self.metrics:
            because = f": {one.reason}" if one.reason else ""
            by = one.metric.carried
            across = f" (across a bridge, from {by.old} to {by.new})" if by else ""
            yield f"  {one.outcome:7} {one.of} {one.metric.name}{across}{because}"
        unchecked = [
            Scored(judge, bare_name(one.metric.name))
            for one in self.metrics
            for judge in one.metric.never_checked
        ]
        yield from filter(None, [mark_by_metric(unchecked)])


def gate(engine: Engine, a: str, b: str, policy: Policy) -> Gated:
    """Hold ``b`` against ``a`` by a gate's rules.

    P is adjusted within a class: advisory metrics take nothing from a critical one.

    Raises:
        NothingToCompareError: one of the two is not there.
        UnknownMetricError: a metric of the rules was not measured.
    """
    return gate_sides(engine, open_side(engine, a, "a"), open_side(engine, b, "b"), policy)


def gate_sides(engine: Engine, a: Side, b: Side, policy: Policy) -> Gated:
    """Hold a side that is opened already against another; see `gate`.

    Where tier, model and judge stand in the metrics' names a metric of the rules means all of
    that name. What two judges scored is carried over their bridge, or holds the gate up where it
    decides.
    """
    a, b = across(engine, a, b)
    there = a.metrics | b.metrics
    policy = _spelt_out(policy, there)
    compared: dict[Class, Compared] = {}
    for name in CLASSES:
        if policy.metrics[name]:
            terms = Terms(
                metrics=policy.metrics[name],
                margin=policy.margin,
                # The rules may be of more than was measured here.
                margins={name: own for name, own in policy.margins.items() if name in there},
                higher=[name for name in policy.higher if name in there],
                lower=[name for name in policy.lower if name in there],
                alpha=policy.alpha,
            )
            compared[name] = compare_sides(engine, a, b, terms)
    metrics = [
        _passed(name, metric, found, policy)
        for name, found in compared.items()
        for metric in found.metrics
    ]
    return Gated(metrics, compared)


def gated(engine: Engine, a: Side, b: Side, policy: Policy) -> Gated:
    """Hold a side against another by rules that may name what was not measured; such a metric
    holds the gate up where it decides.
    """
    a, b = across(engine, a, b)
    kept, missing = measured(policy, a.metrics | b.metrics)
    return replace(gate_sides(engine, a, b, kept), missing=missing)


def measured(policy: Policy, there: Collection[str]) -> tuple[Policy, dict[str, Class]]:
    """Return the rules without the metrics that are not there, and these."""
    bare = {bare_name(name) for name in there} | set(there)
    missing = {
        name: of for of, names in policy.metrics.items() for name in names if name not in bare
    }
    kept = {
        of: tuple(name for name in names if name not in missing)
        for of, names in policy.metrics.items()
    }
    return replace(policy, metrics=kept), missing


def _spelt_out(policy: Policy, there: Collection[str]) -> Policy:
    """Return the rules with the whole names of their metrics in place of the bare ones."""
    whole: dict[str, list[str]] = {}
    for name in sorted(there):
        whole.setdefault(bare_name(name), []).append(name)

    def names(one: str) -> list[str]:
        return [one] if one in there or one not in whole else whole[one]

    return replace(
        policy,
        metrics={of: tuple(n for m in ms for n in names(m)) for of, ms in policy.metrics.items()},
        margins={n: margin for m, margin in policy.margins.items() for n in names(m)},
        higher=tuple(n for m in policy.higher for n in names(m)),
        lower=tuple(n for m in policy.lower for n in names(m)),
    )


def _passed(of: Class, metric: MetricCompared, found: Compared, policy: Policy) -> Passed:
    n_pairs = metric.comparison.difference.n_scored
    lost = sum(
        one.side == "a"
        and (one.metric == metric.name or (one.metric is None and metric.name in one.case.scores))
        for one in found.alone
    )
    paired = n_pairs / (n_pairs + lost) if n_pairs else 0.0
    outcome, reason = outcome_of(of, metric, paired, policy)
    return Passed(of, metric, paired, outcome, reason)


def outcome_of(
    of: Class, metric: MetricCompared, paired: float, policy: Policy
) -> tuple[Outcome, str | None]:
    """Return what a metric's word makes of it in its class, and why it does not pass."""
    word = metric.decision.word
    if of == "advisory":
        return "passed", None if word != GOT_WORSE else "got worse; it does not decide"
    if word == GOT_WORSE:
        return "failed", word
    if not metric.comparison.difference.n_scored:
        return "held", f"{word}: {metric.decision.reason}"
    if paired < policy.least_paired:
        share = f"{paired:.0%} of the cases have a pair, {policy.least_paired:.0%} are needed"
        return "held", share
    if of == "critical" and word == CANNOT_TELL:
        needed = metric.decision.needed
        said = f"{needed.questions:,} questions of {needed.pages:,} pages" if needed else None
        reason = (
            f"cannot tell; {said} would decide" if said else f"{word}: {metric.decision.reason}"
        )
        if said and metric.decision.alike:
            reason += f"; {metric.decision.reason}"
        outcomes: Mapping[str, Outcome] = {"hold": "held", "pass": "passed", "fail": "failed"}
        return outcomes[policy.cannot_tell], reason
    return "passed", None
