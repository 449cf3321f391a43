"""What tier ux shows beside its metrics: cache hits by threshold, lengths of dialogs."""

from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.assets.factories.describe import picture, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from rag_bench.store.evaluations import Case, StoredEvaluation
    from rag_bench.tiers.base.bench import Bench

_LONGEST_SHOWN = 6  # turns; longer dialogs share a row of the table


def shown(bench: "Bench", evaluation: "StoredEvaluation") -> dict[str, Any]:
    """Return metadata of the dialogs."""
    from rag_bench.store.evaluations import cases_of

    cases = cases_of(bench.engine, evaluation.id)
    metadata: dict[str, Any] = {}
    if cases:
        metadata["plot"] = picture(_curves(cases, bench.run.cache_threshold))
        metadata["dialogs"] = _lengths(cases)
    else:
        metadata["note"] = "no data: the snapshot holds no questions of users"
    if said := evaluation.inputs.get("ratings_note"):
        metadata["ratings"] = said
    flags = [flag for case in cases for flag in case.flags]
    metadata["left_out"] = dg.MetadataValue.json({f: flags.count(f) for f in sorted(set(flags))})
    return metadata


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
