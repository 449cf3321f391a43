"""Targets of the production team, and the overall status that follows from them.

The targets are those of the forerunner's report, as the team set them for itself; its retrieval
targets apply to the chunk-level metrics of the same name. Each stands with its metric's entry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.evaluation.metric_spec import MetricSpec, Target


def _declared() -> list[tuple[MetricSpec, Target]]:
    """Return the targets that metrics' entries name, in their order."""
    found = [(metric, target) for metric in CATALOGUE.values() for target in metric.targets]
    return sorted(found, key=lambda pair: (pair[1].place, pair[0].name))


def _areas() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for metric, target in TARGETS:
        found[target.area] = (*found.get(target.area, ()), metric.name)
    return found


TARGETS: Sequence[tuple[MetricSpec, Target]] = _declared()
#: What the targets measure, each once, with the metrics that show it: hit rates, MRR and nDCG are
#: read off the same ranked lists, rubrics off the same answers, precision and recall off the same
#: verdicts. One fault moves all of an area's metrics, so an area that misses counts once, however
#: many of its targets it misses.
AREAS: Mapping[str, tuple[str, ...]] = _areas()
_ATTENTION_UP_TO = 2  # areas that miss; more is critical


@dataclass(frozen=True)
class Verdict:
    """A metric against its target."""

    tier: str
    metric: str
    value: float
    target: float
    met: bool
    area: str


def verdicts(metrics: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[Verdict]:
    """Compare every measured metric that has a target; what was not measured is left out."""
    found = []
    for metric, target in TARGETS:
        tier = f"tier_{target.tier}"
        value = metrics.get(tier, {}).get(metric.name, {}).get("value")
        if value is not None:
            met = value >= target.value if metric.higher_is_better else value <= target.value
            found.append(Verdict(tier, metric.name, value, target.value, met, target.area))
    return found


def overall_status(found: list[Verdict]) -> str:
    """Return good, attention (one or two areas miss), critical, or insufficient_data."""
    if not found:
        return "insufficient_data"
    missed = areas_missed(found)
    if not missed:
        return "good"
    return "attention" if len(missed) <= _ATTENTION_UP_TO else "critical"


def areas_missed(found: list[Verdict]) -> list[str]:
    """Return the areas in which at least one target is missed, as they stand in ``AREAS``."""
    missed = {verdict.area for verdict in found if not verdict.met}
    return [area for area in AREAS if area in missed]
