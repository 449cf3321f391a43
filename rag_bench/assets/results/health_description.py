"""What a run's dataset can still tell: as an asset, with checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.describe import number, table

if TYPE_CHECKING:
    from rag_bench.tiers.base.bench import Bench

CHECKS = {
    "no_answer_is_stale": "No item names a chunk that the current snapshot lacks and that nobody "
    "has decided about.",
    "questions_tell_models_apart": "The best model leaves room for a better one, and some items "
    "tell models apart.",
    "questions_are_not_copied": "At most a fifth of the questions repeat their chunk's wording.",
}
_MOST_COPIED = 0.2
_SHOWN = 20


def metadata_of(bench: Bench, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the UI shows of a dataset's health."""
    covered = found["coverage"]
    rows: list[Sequence[Any]] = []
    for name in ("chunks", "pages"):
        one = covered[name]
        rows.append([name, one["covered"], one["all"], number(one["share"]), len(one["gone"])])
    topics = covered["topics"]
    if topics:
        rows.append(
            ["topics", topics["covered"], topics["all"], number(topics["traffic_covered"]), 0]
        )
    leaks = [
        [
            language,
            *(number(one[name]["value"]) for name in ("lexical_overlap", "copied_rate")),
            one["copied_rate"]["n_scored"],
        ]
        for language, one in found["leakage"]["by_language"].items()
    ]
    metadata: dict[str, Any] = {
        "dataset": str(bench.public_dataset),
        "settings_hash": bench.run.hash,
        "n_items": found["n_items"],
        "coverage": table(["of", "covered", "all", "share", "gone"], rows),
        "leakage": table(["language", "overlap of words", "copied", "questions"], leaks),
        "n_stale": found["stale"]["items"],
        "n_stale_waiting": found["stale"]["waiting"],
        "n_copied": len(found["leakage"]["copied"]),
    }
    told = found["discrimination"]
    if told is None:
        metadata["note"] = "Not scored as a whole yet, so what its questions tell is unknown."
        return metadata
    best = told["best"]["value"]
    return metadata | {
        "n_all_right": len(told["all_right"]),
        "n_all_wrong": len(told["all_wrong"]),
        "n_telling": len(told["telling"]),
        "n_unmeasured": len(told["unmeasured"]),
        "best_model": told["best_model"] or "none",
        "best": number(best),
        "ceiling": number(told["ceiling"]["value"]),
        "all_wrong": dg.MetadataValue.json(told["all_wrong"][:_SHOWN]),
        "all_right": dg.MetadataValue.json(told["all_right"][:_SHOWN]),
        "by": told["by"],
    }


def checks_of(found: Mapping[str, Any]) -> list[dg.AssetCheckResult]:
    """Return the results of the asset's checks."""
    waiting, told = found["stale"]["waiting"], found["discrimination"]
    languages = found["leakage"]["by_language"].values()
    copied = len(found["leakage"]["copied"])
    asked = sum(one["copied_rate"]["n_scored"] for one in languages)
    if told is None or told["n_models"] < 2:
        tells, what = True, "Fewer than two models were scored on all of it."
    else:
        tells = bool(told["telling"]) and not told["exhausted"]
        what = (
            f"{len(told['telling'])} items tell models apart, {len(told['all_right'])} are right "
            f"for all, {len(told['all_wrong'])} for none; the best model has "
            f"{number(told['best']['value'])}."
        )
    said = {
        "no_answer_is_stale": (
            not waiting,
            f"{waiting} items wait for somebody: `rag-bench dataset stale list`.",
        ),
        "questions_tell_models_apart": (tells, what),
        "questions_are_not_copied": (
            copied <= _MOST_COPIED * asked,
            f"{copied} of {asked} questions repeat their chunk's wording.",
        ),
    }
    return [
        dg.AssetCheckResult(
            check_name=name,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description=description,
        )
        for name, (passed, description) in said.items()
    ]
