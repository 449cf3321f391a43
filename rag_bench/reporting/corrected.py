"""Scores corrected by people's labels, as the leaderboard and the report show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.people.guidelines import labelled_metrics
from rag_bench.store.labels.judged import Corrections, corrections
from rag_bench.store.labels.labels import newest_label_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from rag_bench.evaluation.people.corrected import Correction
    from rag_bench.evaluation.types import Metric
    from rag_bench.reporting.leaderboard import Row

COLUMNS = (
    *("generation model", "judge", "score, raw", "score, corrected"),
    *("good answers, raw", "good answers, corrected", "labels", "how"),
)


def corrections_of(engine: Engine, settings_hash: str, rows: Sequence[Row]) -> Corrections | None:
    """Return the corrected scores of a board's leading rubric; None where nobody labelled."""
    from rag_bench.reporting.leaderboard import lead_column

    lead = lead_column(rows)
    if lead.metric not in labelled_metrics() or not newest_label_id(engine):
        return None
    found = corrections(engine, settings_hash, lead.tier.removeprefix("tier_"), lead.metric)
    return found if any(one.n_labels for one in found.found.values()) else None


def corrected_table(found: Corrections | None) -> tuple[tuple[str, ...], list[list[str]]]:
    """Return columns and rows; no row without labels."""
    if found is None:
        return COLUMNS, []
    return COLUMNS, [
        [
            model,
            judge,
            *(_figure(m) for m in (one.raw_mean, one.mean, one.raw_good, one.good)),
            str(one.n_labels),
            _how(one),
        ]
        for (model, judge), one in found.found.items()
    ]


def corrected_json(found: Corrections | None) -> dict[str, Any]:
    """Return the field of a board, and nothing where nobody labelled."""
    if found is None:
        return {}
    rows: list[Mapping[str, Any]] = [
        {"generation_model": model, "judge": judge, **one.as_json()}
        for (model, judge), one in found.found.items()
    ]
    return {"corrected_scores": {"metric": found.metric, "tier": found.tier, "rows": rows}}


def _how(one: Correction) -> str:
    words = str(one.method or f"not corrected: {one.reason}").replace("_", " ")
    disputed = [f"{one.n_disputed} to settle"] if one.n_disputed else []
    return "; ".join([words, *one.marks, *disputed])


def _figure(metric: Metric | None) -> str:
    if metric is None or metric.value is None:
        return "–"
    if metric.ci_low is None or metric.ci_high is None:
        return f"{metric.value:.3f}"
    return f"{metric.value:.3f} [{metric.ci_low:.3f}, {metric.ci_high:.3f}]"
