"""What a person reads about a synthetic dataset in the UI: by type, why left out, samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.describe import number, span, table, words_table
from rag_bench.evaluation.question_sets import self_preference

if TYPE_CHECKING:
    from rag_bench.questions.synthetic import SyntheticReport
    from rag_bench.store.datasets import Item

_SHOWN_LEFT_OUT = 12
_COUNTS = ("asked", "kept", "unusable", "rejected", "not_criticised", "duplicate")


def synthetic_metadata(
    report: SyntheticReport, items: Sequence[Item], judges: Sequence[str]
) -> dict[str, Any]:
    """Return a synthetic dataset's metadata. ``judges``: those that may score answers to it."""
    record, info = report.record, report.dataset
    if info is None:
        raise ValueError("there is no dataset to describe")
    own = self_preference(record, judges)
    warnings = [*record["warnings"], *map(_judged_by_its_maker, own, own.values())]
    return {
        "dataset": str(info),
        "dataset_id": info.id,
        "by_type": types_table(record),
        "left_out": reasons_table(record),
        "left_out_questions": left_out_table(record),
        "preview": samples_table(record["types"], items),
        "warnings": dg.MetadataValue.md("\n".join(f"- {text}" for text in warnings) or "none"),
        "n_items": info.n_items,
        "n_chunks": report.n_chunks,
        "n_asked_now": report.n_new,
        **{f"n_{name}": record["counts"][name] for name in _COUNTS if name != "kept"},
        "errors": dg.MetadataValue.json(record["errors"]),
        "rejected_by": dg.MetadataValue.json(record["rejected_by"]),
        "written_by": record["writer"],
        "criticised_by": record["critic"] or "nobody",
        "near_duplicate_threshold": record["near_duplicate_threshold"],
        "encoder": record["encoder"],
        "prompts": dg.MetadataValue.json(record["prompts"]),
    }


def types_table(record: Mapping[str, Any]) -> dg.TableMetadataValue:
    """Return counts, round trip and overlap by type; a dash where a type has none."""
    rows = [
        [
            name,
            *(found[count] for count in _COUNTS),
            *(_share(found["round_trip"], cutoff) for cutoff in ("hit@1", "hit@10", "all@10")),
            _metric(found["lexical_overlap"]),
        ]
        for name, found in record["by_type"].items()
    ]
    columns = ["type", *(name.replace("_", " ") for name in _COUNTS)]
    columns += ["own chunk first", "own chunk in 10", "all own chunks in 10", "words of the chunk"]
    return table(columns, rows)


def reasons_table(record: Mapping[str, Any]) -> dg.TableMetadataValue:
    """Return how many questions each reason left out."""
    reasons = [
        *((f"rejected: {name}", n) for name, n in record["rejected_by"].items()),
        *((f"not criticised: {code}", n) for code, n in record["not_criticised"].items()),
        *((f"unusable: {code}", n) for code, n in record["errors"].items()),
        ("near-duplicate", record["counts"]["duplicate"]),
    ]
    return table(["reason", "questions"], [row for row in reasons if row[1]])


def left_out_table(record: Mapping[str, Any]) -> dg.TableMetadataValue:
    """Return the first questions that were left out, with their reasons."""
    some = record["left_out"][:_SHOWN_LEFT_OUT]
    rows = [
        [one["type"], one["question"], one.get("reason") or f"repeats {one.get('repeats')}"]
        for one in some
    ]
    return words_table(["type", "question", "why it was left out"], rows)


def samples_table(types: Sequence[str], items: Sequence[Item]) -> dg.TableMetadataValue:
    """Return a few questions of each type."""
    each = max(2, 8 // len(types))
    rows = [
        [name, item.question, item.reference_answer]
        for name in types
        for item in [one for one in items if one.details.get("type") == name][:each]
    ]
    return words_table(["type", "question", "reference answer"], rows)


def _share(trip: Mapping[str, Any] | None, name: str) -> str:
    return _metric(trip[name] if trip else None)


def _metric(metric: Mapping[str, Any] | None) -> str:
    if metric is None or metric["value"] is None:
        return "–"
    return f"{number(metric['value'], 2)} ({span(metric)}, {metric['n_scored']})"


def _judged_by_its_maker(judge: str, did: Sequence[str]) -> str:
    return f"{judge} {' and '.join(did)} these questions: its scores may favour them."
