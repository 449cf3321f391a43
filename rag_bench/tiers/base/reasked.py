"""How many of a judge's replies could be read at the second try only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.metrics.rubrics import ASKED_AGAIN_RATE
from rag_bench.evaluation.statistics import rate_metric
from rag_bench.evaluation.types import Metric
from rag_bench.llm.config.roles import Role
from rag_bench.llm.tasks.asking import ASKED_AGAIN, asks_again
from rag_bench.tiers.base.bench import Bench


class Flagged(Protocol):
    """What a job ended with, an error included."""

    @property
    def flags(self) -> tuple[str, ...]: ...


def reask_inputs(bench: Bench) -> list[str]:
    """Return what a judge's evaluation adds to its input hash, so that the switch makes it anew.

    It is in no settings hash: a score read at the second try is a score by the same rubric.
    """
    return ["reask"] if _is_on(bench) else []


def asked_again_metrics(
    bench: Bench, results: Sequence[Flagged], prefix: str = ""
) -> dict[str, Metric]:
    """Return the share of results whose replies needed a second try; nothing if it is off.

    A result without any reply (no call was made, or it failed) is not among them.
    """
    if not _is_on(bench):
        return {}
    replied = [
        ASKED_AGAIN in result.flags
        for result in results
        if not isinstance(result, CaseError)
        or result.code == ErrorCode.METRIC_ERROR
        or ASKED_AGAIN in result.flags
    ]
    return {prefix + ASKED_AGAIN_RATE: rate_metric(replied)}


def _is_on(bench: Bench) -> bool:
    return asks_again(bench.settings.reask_unreadable, Role.benchmark_judge)
