"""What a run's results come to, part by part: counts, metrics over all cases, errors, flags.

Of a case only its numbers are kept, so that a run of any size takes little memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from rag_bench.errors import ErrorCode
from rag_bench.eval_runs.executing.wanted import Wanted, is_by_chunks
from rag_bench.eval_runs.flags import REGRESSION, in_order
from rag_bench.evaluation import catalogue
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.types import Metric, Scale
from rag_bench.store.datasets import Item
from rag_bench.store.eval_runs.results import CaseResult


class Counted(Protocol):
    """An evaluation as far as it is counted."""

    @property
    def kind(self) -> str:
        """What was measured."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """As they are stored, by name."""


@dataclass
class _Scores:
    """One metric's values with the pages that they come from, and how many should be there."""

    values: list[float] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    n_expected: int = 0
    scale: Scale | None = None
    withheld: Counter[str] = field(default_factory=Counter)


class Results:
    """The results of a run's parts so far. ``n_cases``: of the whole run."""

    def __init__(self, n_cases: int, wanted: Wanted) -> None:
        self._n_cases, self._wanted = n_cases, wanted
        self._states: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        self._scores: dict[str, _Scores] = {}
        self._run_regressed = False
        self._n_answered = 0

    def add(
        self,
        results: Sequence[CaseResult],
        items: Sequence[Item],
        evaluations: Iterable[Counted],
    ) -> None:
        """Count a part: its cases with their questions, and what they were made from."""
        n_by_chunks = sum(bool(item.chunk_hashes) for item in items)
        for result, item in zip(results, items, strict=True):
            self._count(result, item)
        for evaluation in evaluations:
            for name, said in evaluation.metrics.items():
                if not self._wanted.counts(evaluation.kind, name):
                    continue
                scores = self._scores.setdefault(name, _Scores())
                by_chunks = is_by_chunks(name)
                scores.n_expected += n_by_chunks if by_chunks else int(said["n_expected"])
                scores.withheld.update(said.get("withheld") or {})
                if said.get("scale"):
                    low, high = said["scale"]
                    scores.scale = (float(low), float(high))

    def add_stored(
        self,
        results: Sequence[Mapping[str, Any] | None],
        items: Sequence[Item],
        evaluations: Sequence[Counted],
    ) -> None:
        """Count a part that an earlier execution stored; without its evaluations by what the
        results say themselves, which is less: not of which cases more was expected.
        """
        found = [CaseResult(0, result, _is_errored(result)) for result in results]
        if evaluations:
            self.add(found, items, evaluations)
            return
        for case, item in zip(found, items, strict=True):
            self._count(case, item)
            result = case.result
            if result is None:
                continue
            failed = {one.get("metric") for one in result["errors"] or ()}
            for name, value in result["metrics"].items():
                if value is not None or name in failed:
                    self._scores.setdefault(name, _Scores()).n_expected += 1

    def _count(self, result: CaseResult, item: Item) -> None:
        self._states[_state(result)] += 1
        if result.result is None:
            return
        scored = any(value is not None for value in result.result["metrics"].values())
        self._n_answered += scored or result.result["llm_answer"] is not None
        self._errors.update({str(one["code"]) for one in result.result["errors"] or ()})
        self._flags.update(result.result["flags"])
        for name, value in result.result["metrics"].items():
            if value is not None:
                scores = self._scores.setdefault(name, _Scores())
                scores.values.append(float(value))
                scores.clusters.append(item.cluster)

    @property
    def counts(self) -> dict[str, Any]:
        """Cases by state, which add up to all of them, and by flag."""
        counts: dict[str, Any] = {
            name: self._states[name] for name in ("scored", "failed", "errored")
        }
        counts["missing"] = self._n_cases - sum(counts.values())
        flagged = {flag: n for flag, n in self._flags.items() if n}
        counts["flagged"] = {flag: flagged[flag] for flag in in_order(flagged)}
        return counts

    @property
    def errors(self) -> dict[str, int]:
        """Cases by the code of their errors, most frequent first."""
        return dict(sorted(self._errors.items(), key=lambda one: (-one[1], one[0])))

    @property
    def flags(self) -> list[str]:
        """Flags that at least one case has; that it got worse only where the whole run did.

        Models answer a question now better, now worse: a single case proves no regression.
        """
        of_cases = {flag for flag, n in self._flags.items() if n and flag != REGRESSION}
        return in_order(of_cases | ({REGRESSION} if self._run_regressed else set()))

    @property
    def status(self) -> str:
        """What a run is that ends so: ``failed`` if no case has an answer or a score."""
        counts = self.counts
        if counts["scored"] + counts["failed"] == self._n_cases:
            return "succeeded"
        return "partial" if self._n_answered else "failed"

    def regressed(self, n_cases: int, *, run: bool) -> None:
        """Count the cases that got worse than in the baseline; ``run``: it did as a whole."""
        self._flags[REGRESSION] = n_cases
        self._run_regressed = run

    def aggregates(self, *, intervals: bool = True) -> dict[str, Any]:
        """Return every metric over all cases, as evaluations store one.

        ``intervals``: False while more is to come: they take long, and would be of no use.
        """
        return {
            name: self._metric(name, scores, intervals).to_json()
            for name, scores in sorted(self._scores.items())
        }

    def _metric(self, name: str, scores: _Scores, intervals: bool) -> Metric:
        known = catalogue.known(name)
        scale = scores.scale or (known.scale if known else None)
        missing = max(0, scores.n_expected - len(scores.values))
        values: list[float | None] = [*scores.values, *[None] * missing]
        clusters = [*scores.clusters, *[""] * missing]
        if known is not None and known.kind == "rate":
            yes = [None if value is None else value == 1 for value in values]
            found = rate_metric(yes, clusters=clusters)
        elif intervals:
            found = mean_metric(values, clusters, scale=scale)
        else:
            # Of how many pages they are is not counted here, so nothing is said of it.
            one = mean_metric(values, [""] * len(values), scale=scale)
            found = replace(one, n_clusters=None)
        if scores.withheld:
            return replace(found, withheld=dict(sorted(scores.withheld.items())))
        return found


def _is_errored(result: Mapping[str, Any] | None) -> bool:
    errors = (result or {}).get("errors") or ()
    return any(one["code"] != ErrorCode.NO_CITATIONS for one in errors)


def _state(result: CaseResult) -> str:
    if result.result is None:
        return "missing"
    if result.errored:
        return "errored"
    return "failed" if misses_a_target(result.result["metrics"]) else "scored"


def misses_a_target(metrics: Mapping[str, float | None]) -> bool:
    """Tell whether a score is worse than its metric's target, where it has one."""
    for name, value in metrics.items():
        known = catalogue.known(name)
        if known is None or value is None:
            continue
        for target in known.targets:
            worse = value < target.value if known.higher_is_better else value > target.value
            if worse:
                return True
    return False
