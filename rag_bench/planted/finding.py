"""What a user would see after a fault was planted: every check is asked of every plant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.aggregate import is_failure
from rag_bench.evaluation.paired.words import FAILED, GOT_WORSE, HELD, MAY_I_RELEASE
from rag_bench.planted.world import Ran, World
from rag_bench.reporting.compared.inputs import IN_WORDS
from rag_bench.resources import BenchmarkResource

if TYPE_CHECKING:
    from rag_bench.reporting.compared.pinned import AgainstBaseline
    from rag_bench.reporting.compared.shapes import MetricCompared
    from rag_bench.store.evaluations.records import StoredEvaluation
    from rag_bench.store.releases.verdicts import StoredVerdict

#: Of the model that answered, as a comparison names it.
_SERVED = "served_model"
#: Passes only if the gate's verdict does, which is looked at by itself: held up is not failed.
_GATE = "may_be_released"


@dataclass(frozen=True)
class Finding:
    """One check that cried; ``figure``: of a comparison, the metric that showed it most."""

    check: str
    said: str
    figure: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as it is stored."""
        return {"check": self.check, "said": self.said, "figure": self.figure}


@dataclass(frozen=True)
class Seen:
    """What is looked at.

    Attributes:
        before: what the stages said when nothing was planted: what failed then finds nothing.
        after: what they say now.
        compared: against the pinned baseline; None: nothing could be measured.
        earlier, now: the evaluations of both sides.
        gate: what the gate said; None: it was not asked.
    """

    before: Ran
    after: Ran
    compared: AgainstBaseline | None = None
    earlier: Sequence[StoredEvaluation] = field(default=())
    now: Sequence[StoredEvaluation] = field(default=())
    gate: StoredVerdict | None = None


def look(world: World, before: Ran, after: Ran) -> Seen:
    """Return what there is to look at after a measurement."""
    from rag_bench.errors import RagBenchError
    from rag_bench.reporting.compared.pinned import against_baseline, evaluations_of
    from rag_bench.store.evaluations import joined
    from rag_bench.store.releases.verdicts import newest_verdict

    try:
        settings_hash = BenchmarkResource().open(world.engine, None).run.hash
    except RagBenchError as error:
        after.errors.append(str(error))
        return Seen(before, after)
    found = against_baseline(world.engine, settings_hash)
    assert found is not None, "a baseline is pinned before anything is planted"
    earlier = evaluations_of(world.engine, found.baseline)
    now, gate = joined(world.engine, settings_hash), newest_verdict(world.engine, settings_hash)
    return Seen(before, after, found, earlier, now, gate)


def failed_steps(seen: Seen) -> Iterator[Finding]:
    """Steps that ended as failed, in the words that the run shows."""
    for said in dict.fromkeys(seen.after.errors):
        if said not in seen.before.errors:
            yield Finding("a step fails", said)


def asset_checks(seen: Seen) -> Iterator[Finding]:
    """Asset checks that do not pass, and did before."""
    failed = {(one.asset, one.name) for one in seen.before.checks if not one.passed}
    for one in seen.after.checks:
        if not one.passed and one.name != _GATE and (one.asset, one.name) not in failed:
            yield Finding(f"{one.asset}: {one.name}", one.said)


def release_gate(seen: Seen) -> Iterator[Finding]:
    """The gate, if it says that something got worse."""
    if seen.gate is not None and seen.gate.outcome == FAILED:
        yield Finding("release gate", MAY_I_RELEASE[FAILED])


def errors_by_code(seen: Seen) -> Iterator[Finding]:
    """Cases without a score, by code, more of them than there were."""
    earlier, now = _errors(seen.earlier), _errors(seen.now)
    for code in sorted(now):
        if now[code] > earlier[code]:
            yield Finding("errors by code", f"{code}: {now[code]}, before {earlier[code]}")


def _errors(evaluations: Sequence[StoredEvaluation]) -> Counter[str]:
    found: Counter[str] = Counter()
    for one in evaluations:
        found.update({code: n for code, n in one.errors.items() if is_failure(code)})
    return found


def comparisons(seen: Seen) -> Iterator[Finding]:
    """Cells of the comparison with the baseline in which a metric got worse."""
    for cell in seen.compared.cells if seen.compared else ():
        if cell.compared is None:
            continue
        worse = [m for m in cell.compared.metrics if m.counts and m.decision.word == GOT_WORSE]
        if worse:
            names = ", ".join(one.name for one in worse)
            shown = min(worse, key=_certainty)
            yield Finding(f"comparison: {_where(cell.label)}", names, _figure(shown))


def _certainty(one: MetricCompared) -> tuple[float, float]:
    value = one.comparison.difference.value
    of_margin = 0.0 if value is None or not one.margin else abs(value) / one.margin
    return (1.0 if one.p_adjusted is None else one.p_adjusted, -of_margin)


def _where(label: str) -> str:
    """Return tier and kind alone, as there is one model of each role."""
    return " ".join(label.split()[:3])


def _figure(one: MetricCompared) -> dict[str, Any]:
    from rag_bench.reporting.compared.shapes import number

    difference = one.comparison.difference
    return {
        "metric": one.name,
        "a": number(one.a),
        "b": number(one.b),
        "difference": number(difference.value),
        "ci_low": number(difference.ci_low),
        "ci_high": number(difference.ci_high),
        "n": difference.n_scored,
    }


def served_models(seen: Seen) -> Iterator[Finding]:
    """Marks of a model that other replies name than before."""
    for name, (a, b) in _differing(seen).items():
        if name.startswith(_SERVED):
            yield Finding("mark of the served model", f"{a} before, {b} now")


#: Every way to find a fault; each is asked of each plant.
CHECKS: Sequence[Callable[[Seen], Iterator[Finding]]] = (
    failed_steps,
    asset_checks,
    errors_by_code,
    comparisons,
    release_gate,
    served_models,
)


def found_by(seen: Seen) -> list[Finding]:
    """Return all that cried."""
    return [one for check in CHECKS for one in check(seen)]


def told(seen: Seen) -> list[str]:
    """Return what the comparison names as different between the two sides, in words.

    This is no alarm: a dump or a prompt that differs is told whatever is in it, and a gate that is
    held up cannot tell.
    """
    held = seen.gate is not None and seen.gate.outcome == HELD
    differing = [f"other {name}" for name in _differing_words(seen)]
    return [*dict.fromkeys(differing), *(["the gate cannot tell"] if held else [])]


def _differing(seen: Seen) -> dict[str, tuple[Any, Any]]:
    return {
        one.name: (one.a, one.b)
        for cell in (seen.compared.cells if seen.compared else ())
        if cell.compared is not None
        for one in cell.compared.inputs
    }


def _differing_words(seen: Seen) -> Iterator[str]:
    for cell in seen.compared.cells if seen.compared else ():
        for one in cell.compared.inputs if cell.compared else ():
            name = one.name.partition(" (")[0]
            if one.cause != "result" and name in IN_WORDS and name != _SERVED:
                yield IN_WORDS[name]
