"""Every metric that there is: what the families in `evaluation.metrics` and extensions declare."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from rag_bench import extensions
from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.answer_metrics import AnswerMetrics, RepeatMetrics
from rag_bench.evaluation.metric_spec import MetricSpec
from rag_bench.hashing import file_sha256

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


def family(name: str) -> tuple[MetricSpec, ...]:
    """Return what one of the built-in modules of the room declares."""
    (module,) = (m for m in _FAMILIES if m.__name__ == f"rag_bench.evaluation.metrics.{name}")
    return tuple(_entries_of(module))


def source_of(group: AnswerMetrics | RepeatMetrics) -> str | None:
    """Return the hash of the extension's file that a group of metrics comes from; None for ours,
    whose versions are raised by hand.
    """
    for module in _FAMILIES:
        if group in _of_answers(module) and not module.__name__.startswith("rag_bench."):
            return file_sha256(Path(str(module.__file__)))
    return None
