"""Every metric that there is: what the families in `evaluation.metrics` and extensions declare."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType

from rag_bench import extensions
from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.answer_metrics import AnswerMetrics, RepeatMetrics
from rag_bench.evaluation.metric_spec import MetricSpec
from rag_bench.hashing import file_sha256

_OURS = "rag_bench.evaluation.metrics."
_FAMILIES = extensions.modules("evaluation.metrics")


def _of_answers(module: ModuleType) -> tuple[AnswerMetrics | RepeatMetrics, ...]:
    return tuple(getattr(module, "OF_ANSWERS", ()))


def _entries_of(module: ModuleType) -> Iterator[MetricSpec]:
    """Yield what a module declares, a metric that stands in both places once."""
    found = dict.fromkeys(getattr(module, "METRICS", ()))
    for group in _of_answers(module):
        found |= dict.fromkeys(group.metrics)
    yield from found


def _by_name() -> dict[str, MetricSpec]:
    found: dict[str, MetricSpec] = {}
    for module in _FAMILIES:
        for metric in _entries_of(module):
            if metric.name in found:
                raise ConfigurationError(
                    f"{module.__name__} declares {metric.name!r}, which is there already."
                )
            found[metric.name] = metric
    return found


#: By name, family by family.
CATALOGUE: dict[str, MetricSpec] = _by_name()
#: Groups of metrics of answers, each with the function that computes it.
OF_ANSWERS: tuple[AnswerMetrics | RepeatMetrics, ...] = tuple(
    group for module in _FAMILIES for group in _of_answers(module)
)


def spec(name: str) -> MetricSpec:
    """Return a metric's description. Raises KeyError for a name that no tier computes."""
    found = known(name)
    if found is None:
        raise KeyError(name)
    return found


def known(name: str) -> MetricSpec | None:
    """Return a metric's description, None if no tier computes it.

    A metric whose cutoff is a setting has one entry, under ``@k``.
    """
    return CATALOGUE.get(name) or CATALOGUE.get(re.sub(r"@\d+$", "@k", name))


def families() -> list[str]:
    """Return the names of the families: a module's own for ours, the full one for extensions'."""
    return [_family_of(module) for module in _FAMILIES]


def _family_of(module: ModuleType) -> str:
    name = module.__name__
    return name.rpartition(".")[2] if name.startswith(_OURS) else name


def family(name: str) -> tuple[MetricSpec, ...]:
    """Return what a family declares, in its order. Raises KeyError for one that is not there."""
    for module in _FAMILIES:
        if _family_of(module) == name:
            return tuple(_entries_of(module))
    raise KeyError(name)


def of_answers(
    tier: str, wanted: Collection[str] | None = None
) -> Iterator[tuple[AnswerMetrics | RepeatMetrics, tuple[MetricSpec, ...]]]:
    """Yield the groups of metrics that a tier computes of answers, each with those of that tier.

    ``wanted``: only these, by name; None: all.
    """
    for group in OF_ANSWERS:
        metrics = tuple(
            metric
            for metric in group.metrics
            if tier in metric.tiers and (wanted is None or metric.name in wanted)
        )
        if metrics:
            yield group, metrics


def added_versions(tier: str, wanted: Collection[str] | None = None) -> dict[str, str]:
    """Return the versions of a tier's metrics of answers that its code version does not hold;
    ``wanted`` as of `of_answers`.

    They enter the input hash: a metric that was added, or changed, is counted for answers that are
    there already, without a call. Those of an extension are of its file's contents too.
    """
    found: dict[str, str] = {}
    for group, metrics in of_answers(tier, wanted):
        if group.version is not None:
            source = _source_of(group)
            version = group.version if source is None else f"{group.version}-{source[:12]}"
            found |= {metric.name: version for metric in metrics}
    return found


def _source_of(group: AnswerMetrics | RepeatMetrics) -> str | None:
    """Return the hash of the extension's file that a group of metrics comes from; None for ours,
    whose versions are raised by hand.
    """
    for module in _FAMILIES:
        if group in _of_answers(module) and not module.__name__.startswith(_OURS):
            return file_sha256(Path(str(module.__file__)))
    return None
