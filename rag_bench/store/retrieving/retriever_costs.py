"""What retrievers cost, as measured on a machine: appended, the newest is shown.

A record has an address of its own beside the settings that were measured, so it is joined with no
result, and no result's name or version has anything of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.retrievers.retrieval_costs import TIER
from rag_bench.hashing import content_hash
from rag_bench.store import evaluations
from rag_bench.store.evaluations import NewEvaluation, StoredEvaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.evaluation.types import Metric


def save_costs(
    engine: Engine,
    identity: Mapping[str, Any],
    metrics: Mapping[str, Metric],
    inputs: Mapping[str, Any],
    started: datetime,
) -> StoredEvaluation:
    """Append the costs of a retriever.

    Args:
        engine: The database.
        identity: The columns that evaluations under the settings that were measured share
            (`rag_bench.tiers.base.bench.Bench.identity`).
        metrics: As of `rag_bench.evaluation.retrievers.retrieval_costs.cost_metrics`.
        inputs: How they were measured.
        started: When measuring began.
    """
    measured = str(identity["settings_hash"])
    new = NewEvaluation(
        tier=TIER,
        kind="metrics",
        input_hash=content_hash([TIER, measured, datetime.now(UTC).isoformat()]),
        started_at=started,
        inputs={**inputs, "costs_of": measured},
        metrics={name: metric.to_json() for name, metric in metrics.items()},
        **{**identity, "settings_hash": _address(measured)},
    )
    return evaluations.save_evaluation(engine, new, [], n_scored=0)


def costs_under(engine: Engine, settings_hash: str) -> StoredEvaluation | None:
    """Return the newest costs under the settings that were measured; None: none were."""
    return evaluations.latest(
        engine, tier=TIER, kind="metrics", settings_hash=_address(settings_hash)
    )


def _address(settings_hash: str) -> str:
    return content_hash([TIER, settings_hash])
