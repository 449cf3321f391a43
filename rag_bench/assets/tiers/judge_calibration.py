"""How well each benchmark judge follows people's labels, by each rubric that people labelled by."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.cells import keys_of, log_progress, recorded, sweep_asset
from rag_bench.partitions import Partitions
from rag_bench.resources import DatabaseResource
from rag_bench.tiers import registry
from rag_bench.tiers.registry import Axis

if TYPE_CHECKING:
    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.store.labels.calibrating import Calibration

NAME, CHECK = "judge_calibration", "judges_err_alike_on_all_models"
#: What to do where nobody labelled.
WITHOUT_LABELS = (
    "Nobody labelled an answer that this judge scored. Draw answers and label them: `rag-bench "
    "label draw EVALUATION`, or the dashboard, Judge Comparison, Labels (docs/labels.md)."
)


def build(partitions: Partitions) -> dg.AssetsDefinition:
    """Return the asset over the benchmark judges."""

    @sweep_asset(
        name=NAME,
        group_name="judges",
        # What it is about; and a partitioned asset of no input would have the UI's "Materialize
        # all" ask for its partitions alone.
        deps=[step.asset for step in registry.scoring()],
        kinds={"postgres", "scipy"},
        partitions_def=partitions.by(Axis.JUDGE),
        code_version="1",
        description="Each benchmark judge against people's labels of drawn answers, by each "
        "rubric: sensitivity, specificity, kappa, rank correlation, severity, by model and by "
        "language. Made anew when judge, prompt, guideline or labels change. Asks no model.",
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=NAME,
                description="No judge errs otherwise on one model or language than on others, as "
                "far as the labels can tell.",
            )
        ],
    )
    def judge_calibration(
        context: dg.AssetExecutionContext, database: DatabaseResource
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        from rag_bench.store.labels.kept_calibrations import keep, of_judge

        engine = database.engine
        unlike: dict[str, list[str]] = {}
        with log_progress(context):
            for judge in keys_of(context, partitions.by(Axis.JUDGE)):
                found = of_judge(engine, judge)
                kept = [keep(engine, one, run_id=context.run.run_id) for one in found]
                context.log_event(
                    dg.AssetMaterialization(
                        context.asset_key, partition=judge, metadata=_metadata(found, kept)
                    )
                )
                if notes := [note for one in found for note in one.notes()]:
                    unlike[judge] = notes
        yield dg.AssetCheckResult(
            check_name=CHECK,
            passed=not unlike,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(unlike)} judges err otherwise on some models or languages",
            metadata={"judges": dg.MetadataValue.json(unlike)},
        )
        yield recorded()

    return judge_calibration


def _metadata(found: "list[Calibration]", kept: "list[StoredEvaluation]") -> dict[str, Any]:
    if not found:
        return {"note": WITHOUT_LABELS, "n_labels": 0}
    columns = ("rubric", "labels", "sensitivity", "specificity", "kappa", "severity")
    records = [
        dg.TableRecord(
            {
                "rubric": one.metric,
                "labels": one.n_labels,
                **{name: _figure(one.metrics[name].to_json()) for name in columns[2:]},
            }
        )
        for one in found
    ]
    schema = dg.TableSchema([dg.TableColumn(name) for name in columns])
    return {
        "n_labels": sum(one.n_labels for one in found),
        "figures": dg.MetadataValue.table(records, schema=schema),
        "notes": dg.MetadataValue.json([note for one in found for note in one.notes()]),
        "guidelines": ", ".join(sorted({g for one in found for g in one.labels.guidelines})),
        "evaluation_ids": ", ".join(str(one.id) for one in kept),
    }


def _figure(metric: dict[str, Any]) -> str:
    if metric["value"] is None:
        return "–"
    low, high = metric["ci_low"], metric["ci_high"]
    between = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{metric['value']:.2f}{between}"
