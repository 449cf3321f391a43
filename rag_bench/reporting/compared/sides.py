"""One side of a comparison, whatever it was measured by: its cases, and what made them."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.aggregate import is_failure
from rag_bench.evaluation.catalogue import known
from rag_bench.evaluation.metric_spec import MetricSpec
from rag_bench.evaluation.paired.pairing import Asked
from rag_bench.evaluation.types import Scale

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.compared.across import Carried
    from rag_bench.store.eval_runs.comparing import RunToCompare
    from rag_bench.store.evaluations import Case
    from rag_bench.store.evaluations.comparing import EvaluationToCompare

State = Literal["done", "errored there", "not there yet"]
Kind = Literal["run", "evaluation", "model", "settings", "dump"]


def described(name: str) -> MetricSpec | None:
    """Return what a metric is, whether or not its tier, model and judge stand in its name."""
    return known(name) or known(bare_name(name))


def bare_name(name: str) -> str:
    """Return a metric's name without the tier, the model and the judge that stand in it."""
    return name.partition(" of ")[0].partition(" by ")[0].rpartition(".")[2]


@dataclass(frozen=True)
class SideCase:
    """One case: which it is, its page if that is known, and its scores.

    ``position``: in its run. ``state``: why a score may be missing.
    """

    position: int
    asked: Asked
    page: Hashable | None
    scores: Mapping[str, float]
    state: State = "done"


@dataclass(frozen=True)
class Side:
    """A run or an evaluation with its cases.

    ``made_with``: by name, what its numbers were made with. ``scales``: of metrics that have one.
    ``dump``: sha256 of the snapshot, None without. ``carried``: by metric, the bridge that its
    scores came over; ``two_judges``: by metric, why no word is said of it (`across`).
    """

    kind: Kind
    id: str
    status: str
    cases: Sequence[SideCase]
    made_with: Mapping[str, Any]
    scales: Mapping[str, Scale] = field(default_factory=dict)
    dump: str | None = None
    carried: Mapping[str, Carried] = field(default_factory=dict)
    two_judges: Mapping[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> set[str]:
        """Names of the metrics that at least one case has."""
        return {name for case in self.cases for name in case.scores}

    def as_json(self) -> dict[str, Any]:
        """Return what names it."""
        wanted = ("tier", "kind", "generation_model", "judge_model", "production_judge_model")
        models = {name: self.made_with[name] for name in wanted if self.made_with.get(name)}
        return {
            "kind": self.kind,
            "id": self.id,
            "status": self.status,
            "n_cases": len(self.cases),
            "made_with": models,
        }

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class NothingToCompareError(RagBenchError):
    """One of the two, ``side`` (``a`` or ``b``), is not there, or ``several`` are meant."""

    def __init__(self, side: str, detail: str, *, several: bool = False) -> None:
        super().__init__(detail)
        self.side = side
        self.several = several


def of_run(engine: Engine, run: RunToCompare) -> Side:
    """Return a run of the service as a side."""
    from rag_bench.reporting.compared.inputs import of_the_run
    from rag_bench.store.eval_runs.comparing import cases_to_compare, made_with

    with engine.connect() as connection:
        cases = [
            SideCase(
                case.position,
                Asked(case.case_id, case.named, case.question, case.reference),
                case.page or case.chunk,
                {} if case.metrics is None else _numbers(case.metrics),
                _state(case.metrics is not None, case.errored),
            )
            for case in cases_to_compare(connection, run)
        ]
        made = of_the_run(run.config, made_with(connection, run.id))
    return Side(
        "run", run.id, run.status, cases, made, _scales({}, cases), run.config.get("dump_sha256")
    )


def of_evaluation(engine: Engine, found: EvaluationToCompare) -> Side:
    """Return an evaluation as a side; its repeats are collapsed to the case."""
    from rag_bench.reporting.compared.inputs import of_the_evaluation
    from rag_bench.store import datasets
    from rag_bench.store.evaluations import cases_of

    items = {}
    if found.dataset_id is not None:
        items = {item.item_id: item for item in datasets.items_of(engine, found.dataset_id)}
    by_case: dict[str, list[Case]] = {}
    for case in cases_of(engine, found.id):
        by_case.setdefault(case.case_id, []).append(case)
    cases = []
    for position, (case_id, repeats) in enumerate(by_case.items()):
        item = items.get(case_id)
        question, reference = (item.question, item.reference_answer) if item else (None, None)
        failed = all(is_failure(repeat.error_code) for repeat in repeats)
        cases.append(
            SideCase(
                position,
                Asked(case_id, True, question, reference),
                item.cluster if item else None,
                collapsed([_measured(repeat.scores, found.metrics) for repeat in repeats]),
                _state(True, failed),
            )
        )
    return Side(
        "evaluation",
        str(found.id),
        found.status,
        cases,
        of_the_evaluation(found),
        _scales(found.metrics, cases),
        found.dump_sha256,
    )


def collapsed(repeats: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each score over the repeats that have it: more repeats, one case."""
    found: dict[str, list[float]] = {}
    for scores in repeats:
        for name, value in scores.items():
            found.setdefault(name, []).append(value)
    return {name: math.fsum(values) / len(values) for name, values in found.items()}


def _state(done: bool, errored: bool) -> State:
    return "errored there" if errored else "done" if done else "not there yet"


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, (bool, int, float)) and math.isfinite(value)
    }


def _measured(scores: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the scores that are metrics; a case also holds what they were made of."""
    return {
        name: value
        for name, value in _numbers(scores).items()
        if name in metrics or known(name) is not None
    }


def _scales(metrics: Mapping[str, Any], cases: Sequence[SideCase]) -> dict[str, Scale]:
    """Return the scales of metrics: as described, else as their evaluation says."""
    found: dict[str, Scale] = {}
    for name in {name for case in cases for name in case.scores}:
        entry, stored = described(name), metrics.get(name)
        scale = stored.get("scale") if isinstance(stored, Mapping) else None
        if entry is not None and entry.scale is not None:
            found[name] = entry.scale
        elif scale is not None:
            found[name] = (float(scale[0]), float(scale[1]))
    return found
