"""What the leaderboard is joined from: which evaluations, and which records of which assets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from rag_bench.partitions import cell_key
from rag_bench.tiers import registry

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation

Joined = Mapping[str, Mapping[str | None, "StoredEvaluation"]]
"""By asset, and by partition of it (None for one without any)."""


def asset_of(evaluation: StoredEvaluation) -> tuple[str, str | None] | None:
    """Return the asset and partition that an evaluation is of; None for one of no tier."""
    step = registry.step_of(evaluation)
    if step is None:
        return None
    generator, judge = evaluation.generation_model, evaluation.benchmark_judge_model
    if generator and judge:
        return step.asset, str(cell_key(generator, judge))
    return step.asset, generator or judge or evaluation.production_judge_model


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
    inputs = {step.asset for step in registry.joined()}
    for name, cells in joined.items():
        if name not in inputs:
            continue
        versions = [cells[key].version for key in sorted(cells, key=str)]
        whole = None in cells
        version = versions[0] if whole else sha256("".join(versions).encode()).hexdigest()
        tags[f"dagster/input_data_version/{name}"] = version
    return tags
