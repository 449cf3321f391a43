"""Partitioned assets that call models: many cells in one run, each recorded as it ends."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION

from rag_bench import progress
from rag_bench.assets.factories.calls import calls_metadata
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import evaluation_metadata
from rag_bench.assets.factories.trials import log_cell
from rag_bench.errors import RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.tiers.base.causes import RETRY_FLAG

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.bench import Bench

#: Dagster's names of the tags that hold a run's range of partition keys.
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"

#: How many materializations back the input of a cell is looked for.
_RECENT = 50


#: What all assets of the sweep share: a backfill is one run per range of keys.
SWEEP: dict[str, Any] = {
    "backfill_policy": dg.BackfillPolicy.single_run(),
}


def sweep_asset(**arguments: Any) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return Dagster's asset decorator with what all assets of the sweep share."""
    declare = asset(**{**SWEEP, **arguments})

    def quietly(function: Callable[..., Any]) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            # The one beta parameter in use; nothing else may hide behind it.
            warnings.filterwarnings(
                "ignore", message="Parameter `backfill_policy`", category=dg.BetaWarning
            )
            return declare(function)

    return quietly


def recorded() -> dg.MaterializeResult:
    """Return the output of a step whose cells recorded themselves.

    Without an output Dagster skips, in the same run and in words that nobody sees, whatever
    depends on the asset. With an ordinary one it would record every partition a second time, with
    one data version and one input for all. This is how Dagster marks the outputs of its own assets
    that log their events themselves (it has no public name; a test tells if that ends).
    """
    return dg.MaterializeResult(metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def result_version(evaluation: StoredEvaluation) -> str:
    """Return the data version of an evaluation: equal for equal results of equal inputs."""
    return evaluation.version


def _version(record: dg.EventLogRecord | None) -> str | None:
    materialization = record.asset_materialization if record else None
    return (materialization.tags or {}).get("dagster/data_version") if materialization else None


def _counted(evaluation: StoredEvaluation) -> str:
    """Return the codes of an evaluation's errors, each with its number of cases."""
    return ", ".join(f"{code} {n}" for code, n in evaluation.errors.items())


def _asked(evaluation: StoredEvaluation) -> dict[str, Any]:
    """Return what this step asked for a cell; nothing where no model is ever asked."""
    from rag_bench.llm.transport.tally import current_tally

    tally = current_tally()
    roles = ("generation_model", "benchmark_judge_model", "production_judge_model")
    models = tuple(model for role in roles if (model := getattr(evaluation, role)))
    return {} if tally is None else calls_metadata(tally.of_cell(models))


@dataclass(frozen=True)
class _Ended:
    """A finished cell, as it is recorded; ``asked``: metadata of its calls."""

    partition: str | None
    evaluation: StoredEvaluation
    upstream_version: str | None
    bench: Bench
    more: Mapping[str, Any] | None
    asked: dict[str, Any]


class Recorder:
    """Records a materialization per cell, with the lineage of exactly that cell.

    Dagster's own record of a run over many partitions gives all of them one data version and one
    input; ours names, for each cell, the version of the very partition that it was made from.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        bench: Bench,
        upstream: str | None = None,
    ) -> None:
        self._context = context
        self._bench = bench
        self._upstream = upstream
        self._shared: dict[str, str] = {}
        # Many cells are made from one: all judges' from a generator's answers.
        self._tags_of: dict[tuple[str | None, str | None], dict[str, str]] = {}
        for dependency in context.assets_def.asset_deps[context.asset_key]:
            if dependency.to_user_string() != upstream:
                self._shared |= self._input_tags(dependency)
        self._with_errors: list[_Ended] = []
        self.failed: list[str] = []
        self._causes: dict[str, list[str]] = {}  # cells by why they failed
        self._kept = False  # a failed cell holds replies that are not asked for again
        self._missing = False  # a failed cell lacks replies that the next run asks for
        #: Why cells could not even begin; each says what to do about it.
        self.blocked: list[str] = []

    def block(self, why: str) -> None:
        """Note why cells cannot begin; several of one cause say it once."""
        if why not in self.blocked:
            self.blocked.append(why)

    def _input_tags(
        self, asset: dg.AssetKey, partition: str | None = None, version: str | None = None
    ) -> dict[str, str]:
        """Return the tags that say from which materialization of an input a cell was made.

        Without both of them Dagster calls the cell out of date ("has a new dependency") for ever.
        """
        found = self._context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset, asset_partitions=[partition] if partition else None),
            limit=_RECENT,
        ).records
        # A run with other settings may have been recorded since the one that we were made from.
        made_from = next(
            (r for r in found if version in (None, _version(r)) and self._may_be_ours(r)), None
        )
        name = asset.to_user_string()
        return {
            f"dagster/input_data_version/{name}": version or _version(made_from) or "INITIAL",
            f"dagster/input_event_pointer/{name}": str(
                made_from.storage_id if made_from else "NULL"
            ),
        }

    def _may_be_ours(self, record: dg.EventLogRecord) -> bool:
        """Whether a record is of no settings, as a snapshot is, or of this run's."""
        event = record.asset_materialization
        settings = event.metadata.get("settings_hash") if event else None
        return settings is None or settings.value == self._bench.run.hash

    def __call__(
        self,
        partition: str | None,
        evaluation: StoredEvaluation,
        upstream_version: str | None = None,
        bench: Bench | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Record a finished cell; one that must be run again is noted as failed instead.

        ``partition``: None of an asset without any, which has one result. ``bench`` that it was
        measured on, if not the step's; ``more`` metadata to begin with.

        Cells with errors are recorded when the step ends: why they failed is masked, and what that
        loads is not to be imported beside cells that run.
        """
        asked = _asked(evaluation)
        ended = _Ended(partition, evaluation, upstream_version, bench or self._bench, more, asked)
        if not evaluation.n_errors:
            self._record(ended)
            return
        self._with_errors.append(ended)
        counted = _counted(evaluation)
        self._context.log.warning(f"{self._named(partition)}: {counted}; why is said at the end.")

    def _named(self, partition: str | None) -> str:
        return partition or self._context.asset_key.to_user_string()

    def _record(self, ended: _Ended) -> None:
        partition, evaluation, bench = ended.partition, ended.evaluation, ended.bench
        named = self._named(partition)
        retryable = bool(evaluation.status == "failed" or evaluation.needs_retry)
        why = self._why(evaluation)
        if evaluation.status != "failed":
            self._log(
                partition,
                result_version(evaluation),
                {**(ended.more or {}), **evaluation_metadata(bench, evaluation)}
                | ended.asked
                | why,
                evaluation.generation_model,
                ended.upstream_version,
            )
        else:
            # Nothing was measured, so nothing is materialized; the partition says why all the same.
            metadata = evaluation_metadata(bench, evaluation) | ended.asked | why
            self._context.log_event(
                dg.AssetObservation(self._context.asset_key, partition=partition, metadata=metadata)
            )
        if why:
            self._context.log.warning(f"{named}: {why['cause']}")
        if retryable:
            self.failed.append(f"{named} ({_counted(evaluation)})")
            self._causes.setdefault(why.get("cause", ""), []).append(named)
            self._missing |= evaluation.needs_retry
            self._kept |= not evaluation.needs_retry

    def _why(self, evaluation: StoredEvaluation) -> dict[str, Any]:
        """Return the most frequent cause of a cell's failures and what to do, as metadata."""
        from rag_bench.llm.config.providers import Providers
        from rag_bench.store.evaluations import failures_of
        from rag_bench.store.public_names import masked
        from rag_bench.tiers.base.causes import most_frequent

        if not evaluation.n_errors:
            return {}
        asked = (
            evaluation.benchmark_judge_model,
            evaluation.production_judge_model,
            evaluation.generation_model,
        )
        providers = Providers.from_environment()
        addresses = {name: providers.provider(name).base_url or "" for name in providers.names}
        cause = most_frequent(
            failures_of(self._bench.engine, evaluation.id),
            [model for model in asked if model],
            addresses,
        )
        if cause is None:
            return {}
        # A provider may repeat what it was sent; its own address is what the reader looks for.
        ours = [re.escape(address) for address in addresses.values() if address]
        leave = re.compile("|".join(ours)) if ours else None
        [text] = masked(self._bench.engine, [str(cause)], leave=leave)
        return {"cause": text}

    def nothing(self, partition: str | None, why: str, generation_model: str | None = None) -> None:
        """Record a cell in which there is nothing to measure: it is neither missing nor failed."""
        metadata = {"note": why, "n_metrics": 0, "settings_hash": self._bench.run.hash}
        self._log(partition, content_hash(["nothing", why]), metadata, generation_model, None)

    def _log(
        self,
        partition: str | None,
        version: str,
        metadata: Mapping[str, Any],
        generation_model: str | None,
        upstream_version: str | None,
    ) -> None:
        tags = {"dagster/data_version": version, **self._shared}
        code_version = self._context.assets_def.code_versions_by_key[self._context.asset_key]
        if code_version:
            tags["dagster/code_version"] = code_version
        if self._upstream:
            made_from = (generation_model, upstream_version)
            if made_from not in self._tags_of:
                self._tags_of[made_from] = self._input_tags(dg.AssetKey(self._upstream), *made_from)
            tags |= self._tags_of[made_from]
        event = dg.AssetMaterialization(
            self._context.asset_key, partition=partition, metadata=metadata, tags=tags
        )
        log_cell(self._context, self._bench, event)

    def record_failed(self) -> None:
        """Record the cells with errors; when no cell runs any more."""
        while self._with_errors:
            self._record(self._with_errors.pop(0))

    def close(self) -> None:
        """End the step: as failed if cells have to be run again, after all others were recorded."""
        self.record_failed()
        problems = [reason.rstrip(".") + "." for reason in self.blocked]
        if self.failed:
            problems.append(
                f"{len(self.failed)} of the cells are not complete: {'; '.join(self.failed)}."
            )
            for cause, cells in self._causes.items():
                if cause:
                    more = f" and {len(cells) - 1} more" if len(cells) > 1 else ""
                    problems.append(f"Why, in {cells[0]}{more}: {cause.rstrip('.')}.")
            problems.append("Everything that was answered is kept.")
            if self._missing:
                problems.append(
                    "Run the same command, or materialize these partitions again, to ask only for "
                    "what is missing."
                )
            if self._kept:
                problems.append(
                    "Replies that came and could not be used are asked for again only with "
                    f"{RETRY_FLAG} (retry_failed in the run config)."
                )
        if problems:
            raise dg.Failure(" ".join(problems), allow_retries=False)


def keys_of(
    context: dg.AssetExecutionContext, partitions: dg.PartitionsDefinition[str]
) -> Sequence[str]:
    """Return the partition keys of the run, checked: Dagster launches unknown ones, too.

    ``context.partition_keys`` is not enough: the runs of a job's backfill over a grid carry, beside
    their own range, the dimensions of the whole backfill's first key, and Dagster believes those;
    the runs would end well and do one cell.

    Raises:
        RagBenchError: no partition, or a key names what the settings do not have.
    """
    tags = context.run.tags
    if RANGE_START in tags:
        ends = [tags[RANGE_START], tags[RANGE_END]]
    elif context.has_partition_key:
        ends = [str(context.partition_key)] * 2
    else:
        raise RagBenchError(
            "This asset is split into partitions: choose which of them to materialize."
        )
    known = {str(key) for key in partitions.get_partition_keys()}
    strangers = sorted(set(ends) - known)
    if strangers:
        raise RagBenchError(
            f"No such partition: {', '.join(strangers)}. Add the model to its list in the "
            "environment, or the retriever to its file, and reload the definitions."
        )
    return partitions.get_partition_keys_in_range(dg.PartitionKeyRange(*ends))


def log_progress(context: dg.AssetExecutionContext) -> Any:
    """Write progress into the run's log while the block runs."""
    return progress.listening(progress.Throttle(context.log.info))
