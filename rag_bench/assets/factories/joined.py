"""What the leaderboard is joined from: which evaluations, and which records of which assets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from rag_bench.partitions import cell_key

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation

Joined = Mapping[str, Mapping[str | None, "StoredEvaluation"]]
"""By asset, and by partition of it (None for one without any)."""

_WITHOUT_PARTITIONS = {
    "0": "tier0_embedding_geometry",
    "1": "tier1_retrieval",
    "ux": "tier_ux_dialogs",
}
_OF_JUDGES = {"judge": "benchmark_judge_quality", "judge_pipeline": "production_judge_scores"}
_SUFFIXES = {
    "answers": "answers",
    "scores": "scores",
    "ragas": "ragas_scores",
    "custom": "custom_metrics",
}


def asset_of(evaluation: StoredEvaluation) -> tuple[str, str | None] | None:
    """Return the asset and partition that an evaluation is of; None for one of no asset here."""
    tier, judge = evaluation.tier, evaluation.benchmark_judge_model
    model = evaluation.generation_model
    if tier in _WITHOUT_PARTITIONS:
        return _WITHOUT_PARTITIONS[tier], None
    if tier in _OF_JUDGES:
        return _OF_JUDGES[tier], judge or evaluation.production_judge_model
    if evaluation.kind == "ragas" and model is None:
        return f"tier{tier}_context_scores", judge
    if evaluation.kind not in _SUFFIXES or model is None:
        return None
    return f"tier{tier}_{_SUFFIXES[evaluation.kind]}", str(
        cell_key(model, judge)
    ) if judge else model


def joined_by_asset(found: Iterable[StoredEvaluation]) -> Joined:
    """Return evaluations by the asset and partition that they are of."""
    joined: dict[str, dict[str | None, StoredEvaluation]] = {}
    for evaluation in found:
        place = asset_of(evaluation)
        if place:
            joined.setdefault(place[0], {})[place[1]] = evaluation
    return joined


def ids_of(joined: Joined) -> dict[str, list[int]]:
    """Return the evaluations' ids by asset."""
    return {
        name: sorted(evaluation.id for evaluation in cells.values())
        for name, cells in sorted(joined.items())
    }


def input_versions(joined: Joined) -> dict[str, str]:
    """Return Dagster's tags of the inputs, of exactly what was joined.

    Dagster would name the newest record of each partition, which may be of a run with other
    settings. Many partitions have one version, as Dagster makes it: the hash of all.
    """
    tags = {}
    for name, cells in joined.items():
        if name.endswith("_answers"):
            continue  # what was made of the answers is the input, not they
        versions = [cells[key].version for key in sorted(cells, key=str)]
        whole = None in cells
        version = versions[0] if whole else sha256("".join(versions).encode()).hexdigest()
        tags[f"dagster/input_data_version/{name}"] = version
    return tags
