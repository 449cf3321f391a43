"""What is said of live assistants beside models: their retrieval is their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_bench.answer_sources import live_assistant
from rag_bench.evaluation.metrics.target_retrieval import PREFIX, UNRESOLVED

_SHOWN = {
    "chunk_hit_rate@1": "hit@1",
    "chunk_hit_rate@5": "hit@5",
    "chunk_mrr": "MRR",
    "chunk_ndcg@5": "nDCG@5",
    "page_hit_rate@1": "page hit@1",
    "page_mrr": "page MRR",
}

Metrics = Mapping[str, Mapping[str, Any]]


def own_retrieval(metrics: Metrics) -> dict[str, Mapping[str, Any]]:
    """Return the measures of a target's own retrieval, of tier 3's metrics, by tier 1's names."""
    return {
        name.removeprefix(PREFIX): value
        for name, value in metrics.items()
        if name.startswith(PREFIX)
    }


def note(model: str, metrics: Metrics) -> str:
    """Return what a reader must know of a target before it is compared with models."""
    said = live_assistant(model).note
    found = own_retrieval(metrics)
    shown = [
        f"{title} {found[name]['value']:.3f}"
        for name, title in _SHOWN.items()
        if name in found and found[name]["value"] is not None
    ]
    if not shown:
        return f"{said} Which contexts it answers from is not known."
    said += f" Of the contexts that it names: {', '.join(shown)}"
    lost = found.get(UNRESOLVED.removeprefix(PREFIX), {}).get("value")
    if lost:
        said += f"; {100 * lost:.0f} % are no chunk or page of the snapshot"
    return f"{said}."
