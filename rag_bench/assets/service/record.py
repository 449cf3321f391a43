"""How a run of the evaluation service is recorded in Dagster, whoever executed it.

A run that Dagster executes records itself; one that the service executed is recorded by the sensor
`eval_run_outbox`, without a Dagster run. Both by this function, so both have equal records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from rag_bench.assets.factories.describe import followed, metrics_table, reading_order
from rag_bench.hashing import content_hash

NAME = "eval_run"
KEY = dg.AssetKey(NAME)
PARTITIONS = dg.DynamicPartitionsDefinition(name="eval_runs")
#: The only partition as long as there is no run: Dagster refuses to materialize an asset that has
#: none, and with it everything that is selected beside it, without a word of what to do.
NO_RUN = "no-run-yet"
CODE_VERSION = "1"
#: What the chunks that runs retrieve come from.
INPUT = "chunk_embeddings"

#: Columns that say what was asked and what came of it; no times, which no two runs share.
_SHOWN = ("status", "n_cases", "n_calls", "user_id", "trace_id", "mode", "place")
_OBJECTS = ("counts", "errors", "flags", "config", "labels")


def event_of(
    row: Mapping[str, Any], inputs: Mapping[str, str]
) -> dg.AssetMaterialization | dg.AssetObservation:
    """Return the event that tells how a run ended.

    A run in which nothing was measured is no result, so it is an observation.

    Args:
        row: of `eval_run`.
        inputs: tags of what it was made from, by `input_tags`.
    """
    arguments: dict[str, Any] = {"partition": row["id"], "metadata": metadata_of(row)}
    if row["status"] == "failed" or not row["aggregates"]:
        return dg.AssetObservation(KEY, **arguments)
    outcome = [row[name] for name in ("config", "counts", "errors", "status")]
    metrics = {name: metric.get("n_scored") for name, metric in row["aggregates"].items()}
    tags = {
        "dagster/data_version": content_hash([row["id"], row["attempt"], outcome, metrics]),
        "dagster/code_version": CODE_VERSION,
        **inputs,
    }
    return dg.AssetMaterialization(KEY, **arguments, tags=tags)


def metadata_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a person reads about a run: its metrics, counts, what it asked and cost."""
    from rag_bench.privacy.given_names import mask_given, masked_json

    found: dict[str, Any] = {"metrics": metrics_table(row["aggregates"])}
    found |= {
        name: followed(name, row["aggregates"][name])
        for name in reading_order(row["aggregates"])
        if row["aggregates"][name].get("value") is not None
    }
    found |= {name: row[name] for name in _SHOWN}
    # Dagster's UI asks nobody who they are.
    given = {"labels": masked_json(row["labels"], mask_given, names_too=True)}
    given["config"] = masked_json(row["config"], mask_given)
    objects = {name: given.get(name, row[name]) for name in _OBJECTS}
    found |= {name: dg.MetadataValue.json(value) for name, value in objects.items() if value}
    found["cost_usd"] = float(row["cost_usd"])
    if row["error_code"]:
        cause = f"{row['error_code']}: {row['error_detail'] or ''}".rstrip(": ")
        [found["cause"]] = mask_given([cause])
    if row["baseline"]:
        found["baseline"] = row["baseline"]
    # Where the whole result is: the API's address is not known here.
    found |= {"result": f"/eval/runs/{row['id']}", "report": f"/eval/runs/{row['id']}/report"}
    return found


def input_tags(instance: dg.DagsterInstance) -> dict[str, str]:
    """Return the tags that say which chunks a run that ends now was made from."""
    records = instance.fetch_materializations(dg.AssetKey(INPUT), limit=1).records
    event = records[0].asset_materialization if records else None
    version = (event.tags or {}).get("dagster/data_version") if event else None
    return {
        f"dagster/input_data_version/{INPUT}": version or "INITIAL",
        f"dagster/input_event_pointer/{INPUT}": str(records[0].storage_id if records else "NULL"),
    }
