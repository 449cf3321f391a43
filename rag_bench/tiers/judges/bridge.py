"""Succession of judges: stored answers scored by the new one as well, and what links the two.

The new judge is asked exactly what a sweep would ask it, so its scores are a sweep's, and whatever
the ledger has costs nothing. What both judges scored is compared metric by metric
(`rag_bench.evaluation.instrument.bridge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.evaluation.instrument.bridge import Bridge, Pair, bridge
from rag_bench.evaluation.rubrics import PREFIX, SCALE
from rag_bench.hashing import content_hash
from rag_bench.store import evaluations
from rag_bench.store.case_scores import case_scores
from rag_bench.store.evaluations import StoredEvaluation
from rag_bench.store.evaluations.bridges import TIER
from rag_bench.tiers import registry
from rag_bench.tiers.base.evaluate import (
    Measured,
    Planned,
    Roles,
    Task,
    Work,
    evaluate,
    evaluate_one,
)
from rag_bench.tiers.base.text_vectors import Progress, silent
from rag_bench.tiers.registry import Step

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.tiers.base.bench import Bench
    from rag_bench.tiers.base.models import Models

VERSION = "1"


class NothingToBridgeError(ConfigurationError):
    """The old judge has scored no answers under a run's settings; the message says what to do."""


@dataclass(frozen=True)
class Span:
    """What a bridge is built over: the steps that score by rubrics, and the old judge's models."""

    old: str
    new: str
    steps: Mapping[str, Sequence[str]]  # generation models by asset

    def keys(self, asset: str) -> list[tuple[str, str]]:
        """Return the cells of an asset that the new judge scores."""
        return [(generator, self.new) for generator in self.steps[asset]]


def span_of(bench: Bench, old: str, new: str) -> Span:
    """Return what the new judge has to score, so that both have scored the same answers.

    Raises:
        NothingToBridgeError: the old judge has scored nothing under these settings.
        ConfigurationError: both are one judge.
    """
    if old == new:
        raise ConfigurationError("A bridge has two ends: name two judges.")
    found: dict[str, list[str]] = {}
    for step in registry.scoring():
        rows = evaluations.latest_of_kind(
            bench.engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
        )
        mine = [
            str(row.generation_model)
            for row in rows
            if row.benchmark_judge_model == old and row.status != "failed"
        ]
        if mine:
            found[step.asset] = sorted(mine)
    if not found:
        raise NothingToBridgeError(
            f"{old} has scored no answers under these settings ({bench.run.hash[:12]}, dataset "
            f"{bench.dataset.name}): give those that it scored under, or sweep with it first."
        )
    return Span(old, new, found)


def planned(bench: Bench, models: Models, span: Span) -> Iterable[tuple[Step, list[Planned[Any]]]]:
    """Yield each step with the tasks of the new judge."""
    for asset in span.steps:
        step = registry.step_named(asset)
        yield step, list(registry.resolve(step.work)(bench, models, step, span.keys(asset)))


async def rejudge(bench: Bench, models: Models, span: Span) -> list[StoredEvaluation]:
    """Have the new judge score what the old one did; return its evaluations.

    Raises:
        RagBenchError: answers are not there any more.
    """
    done: list[StoredEvaluation] = []
    for step, tasks in planned(bench, models, span):
        ready = [one for one in tasks if isinstance(one, Task)]
        if blocked := [one for one in tasks if not isinstance(one, Task)]:
            raise RagBenchError(blocked[0].why)
        label = f"{span.new}: tier {step.tier}"
        await evaluate(bench, models, ready, lambda _, found: done.append(found), label)
    return done


@dataclass(frozen=True)
class _Conditions:
    """A bridge has settings of its own, so it enters no ``model_runs``."""

    engine: Engine
    settings: Mapping[str, Any]
    columns: Mapping[str, Any]
    progress: Progress = field(default=silent)
    retry_failed: bool = False

    def input_hash(self, *parts: Any) -> str:
        return content_hash([TIER, dict(self.settings), *parts])

    def identity(self) -> Mapping[str, Any]:
        return {
            **self.columns,
            "settings_hash": content_hash(dict(self.settings)),
            "settings": dict(self.settings),
        }


def build(bench: Bench, old: str, new: str) -> StoredEvaluation:
    """Compare the scores of both judges under a bench's settings and store what links them.

    Raises:
        RagBenchError: they have scored no common answers.
    """
    pages = {item.item_id: item.cluster for item in bench.items}
    bridges: dict[str, Bridge] = {}
    versions: list[Any] = []
    for step in registry.scoring():
        rows = evaluations.latest_of_kind(
            bench.engine, tier=step.tier, kind=step.kind, settings_hash=bench.run.hash
        )
        mine = [row for row in rows if row.benchmark_judge_model in (old, new)]
        versions += sorted((row.id, row.version) for row in mine)
        for metric in sorted({n for row in mine for n in row.metrics if n.startswith(PREFIX)}):
            pairs = _pairs(bench, step, metric, old, new, pages)
            if pairs:
                bridges[f"tier_{step.tier}.{metric}"] = bridge(pairs, scale=SCALE)
    if not bridges:
        raise RagBenchError(f"{old} and {new} have scored no common answers under these settings.")
    settings = {"bridge": [old, new], "of": bench.run.hash}
    identity = bench.identity()
    columns = {name: identity[name] for name in ("dataset_id", "dump_sha256", "dagster_run_id")}
    result = {"old": old, "new": new, "metrics": {n: one.as_json() for n, one in bridges.items()}}

    def measure(_: Sequence[Any]) -> Measured:
        return Measured({}, [], n_scored=0, inputs={"result": result})

    return evaluate_one(
        _Conditions(bench.engine, settings, columns),
        Task(
            None,
            TIER,
            "metrics",
            (VERSION, versions),
            VERSION,
            lambda: Work([], measure),
            Roles(benchmark_judge_model=new),
        ),
    )


def _pairs(
    bench: Bench, step: Step, metric: str, old: str, new: str, pages: Mapping[str, Any]
) -> list[Pair]:
    scores = case_scores(
        bench.engine, bench.run.hash, tier=step.tier, kind=step.kind, metric=metric
    )
    found = []
    for model in sorted({model for model, judge in scores if judge == old}):
        first, second = scores[model, old], scores.get((model, new), {})
        found += [
            Pair(model, case, pages.get(case, case), first[case], second[case])
            for case in sorted(first.keys() & second.keys())
        ]
    return found
