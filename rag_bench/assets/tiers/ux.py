"""Group ux: tier ux, over the dialogs of real users. No model is asked."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.cells import log_progress, result_version
from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import evaluation_metadata, picture, table
from rag_bench.assets.factories.trials import apart
from rag_bench.assets.inputs.datasets import manual_dataset, synthetic_dataset
from rag_bench.assets.inputs.embeddings import question_embeddings
from rag_bench.resources import BenchmarkResource, DatabaseResource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from rag_bench.store.evaluations import Case

GROUP = "ux"
_LONGEST_SHOWN = 6  # turns; longer dialogs share a row of the table


@asset(
    group_name=GROUP,
    kinds={"postgres", "numpy"},
    deps=[question_embeddings, manual_dataset, synthetic_dataset],
    code_version="3",
)
def tier_ux_dialogs(
    context: dg.AssetExecutionContext, database: DatabaseResource, benchmark: BenchmarkResource
) -> dg.MaterializeResult:
    """Tier ux: what the cache of answers rated 5 would hit in real dialogs, how far follow-up
    questions stay on the subject, and whether a question asked again gets the same answer.

    Dialogs are made of `question_answer` by user and time. A dump without questions of users
    leaves every measure undefined.
    """
    from rag_bench.store.evaluations import cases_of
    from rag_bench.tiers.base.evaluate import evaluate_one
    from rag_bench.tiers.traffic.ux import STEP, dialog_tasks

    bench = benchmark.open(database.engine, context.run.run_id)
    with log_progress(context):
        [task] = dialog_tasks(bench, None, STEP, [None])
        evaluation = evaluate_one(bench, task)
    cases = cases_of(database.engine, evaluation.id)
    metadata: dict[str, Any] = {}
    if cases:
        metadata["plot"] = picture(_curves(cases, bench.run.cache_threshold))
        metadata["dialogs"] = _lengths(cases)
    else:
        metadata["note"] = "no data: the snapshot holds no questions of users"
    metadata |= evaluation_metadata(bench, evaluation)
    if said := evaluation.inputs.get("ratings_note"):
        metadata["ratings"] = said
    flags = [flag for case in cases for flag in case.flags]
    metadata["left_out"] = dg.MetadataValue.json({f: flags.count(f) for f in sorted(set(flags))})
    result: dg.MaterializeResult[None] = dg.MaterializeResult(
        data_version=dg.DataVersion(result_version(evaluation)), metadata=metadata
    )
    return apart(context, bench, result)


def _curves(cases: "Sequence[Case]", threshold: float) -> "Figure":
    """Draw the share of questions that hit by threshold, against all and against earlier rows."""
    from matplotlib.figure import Figure as NewFigure

    from rag_bench.tiers.traffic.ux import hit_curve

    thresholds = [n / 200 for n in range(100, 201)]
    figure = NewFigure(figsize=(7.5, 3.2))
    axes = figure.subplots()
    for name, label in (("best_rated", "any other row"), ("best_earlier", "earlier rows only")):
        shares = hit_curve(cases, name, thresholds)
        if shares[0] is not None:
            axes.plot(thresholds, [s or 0.0 for s in shares], label=label)
    axes.axvline(threshold, color="#888888", linewidth=1, linestyle="--")
    axes.annotate(f" {threshold:g}", (threshold, 1.0), fontsize=8, color="#555555")
    axes.set(xlim=(0.5, 1.0), ylim=(0.0, 1.05))
    axes.set_xlabel("least cosine with a question rated 5", fontsize=8)
    axes.set_ylabel("share of questions that hit", fontsize=8)
    axes.set_title("Cache hits of real questions by threshold", fontsize=10, loc="left")
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8, frameon=False)
    return figure


def _lengths(cases: "Sequence[Case]") -> dg.TableMetadataValue:
    """Return a table of dialogs by their number of questions."""
    from collections import Counter

    turns = Counter(case.scores["dialog"] for case in cases if "dialog" in case.scores)
    lengths = Counter(min(n, _LONGEST_SHOWN) for n in turns.values())
    rows = [
        [f"{n} or more" if n == _LONGEST_SHOWN else n, lengths[n], lengths[n] / len(turns)]
        for n in sorted(lengths)
    ]
    return table(["questions in the dialog", "dialogs", "share"], rows)


ASSETS = [tier_ux_dialogs]
