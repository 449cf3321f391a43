"""What a person reads about a materialization in the UI: tables, plots, plain words."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.bench import Bench

_PREVIEW_CHARACTERS = 160


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return a Markdown table; cells are cut and cannot break it."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    text = number(value) if isinstance(value, float) else "" if value is None else str(value)
    text = " ".join(text.replace("|", "\\|").split())
    return text if len(text) <= _PREVIEW_CHARACTERS else text[: _PREVIEW_CHARACTERS - 1] + "…"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for people; a missing one is a dash, never 0."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"


def metrics_table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Return metrics with their 95 % intervals and how many cases they rest on."""
    rows = []
    for name, metric in metrics.items():
        interval = (
            f"{number(metric['ci_low'])} … {number(metric['ci_high'])}"
            if metric["ci_low"] is not None
            else "–"
        )
        bounds = (
            f"{number(metric['low_if_missing'])} … {number(metric['high_if_missing'])}"
            if metric["n_scored"] < metric["n_expected"] and "low_if_missing" in metric
            else ""
        )
        scale = "–".join(f"{end:g}" for end in metric["scale"]) if "scale" in metric else ""
        rows.append(
            [
                name,
                number(metric["value"]),
                interval,
                f"{metric['n_scored']} of {metric['n_expected']}",
                scale,
                bounds,
            ]
        )
    columns = [
        "metric",
        "value",
        "95 % interval",
        "scored",
        "scale",
        "if missing were worst/best",
    ]
    return markdown_table(columns, rows)


def evaluation_metadata(bench: Bench, evaluation: StoredEvaluation) -> dict[str, Any]:
    """Return an evaluation's metadata: each metric as a number (the UI plots those), a table of
    all with intervals, the errors, and what it was made from.
    """
    metadata: dict[str, Any] = {
        name: float(metric["value"])
        for name, metric in evaluation.metrics.items()
        if metric["value"] is not None
    }
    metadata |= {
        "metrics": dg.MetadataValue.md(metrics_table(evaluation.metrics)),
        "errors": dg.MetadataValue.json(dict(evaluation.errors)),
        "n_errors": evaluation.n_errors,
        "status": evaluation.status,
        "evaluation_id": evaluation.id,
        "reused": evaluation.reused,
        "settings_hash": evaluation.settings_hash,
        "settings": dg.MetadataValue.json(bench.run.as_json()),
        "dataset": str(bench.dataset),
        "n_questions": len(bench.items),
        "dump_sha256": bench.snapshot.sha256,
        "encoder": bench.encoder_identity.name,
    }
    for role in ("generation_model", "benchmark_judge_model", "production_judge_model"):
        model = getattr(evaluation, role)
        if model:
            metadata[role] = model
            if model.startswith("simulator/"):
                metadata["simulated"] = True
    return metadata


def picture(figure: Figure) -> dg.MarkdownMetadataValue:
    """Return a figure as metadata that the UI shows as an image."""
    return dg.MetadataValue.md(f"![plot]({data_uri(figure)})")


def data_uri(figure: Figure) -> str:
    """Return a figure as a PNG inside a URL, so that no file has to travel with it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def bars(
    title: str,
    labels: Sequence[str],
    values: Sequence[float | None],
    intervals: Sequence[tuple[float | None, float | None]],
    axis: str,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draw horizontal bars with 95 % intervals; a missing value leaves its row empty."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(7.5, 0.9 + 0.38 * max(len(labels), 1)))
    axes = figure.subplots()
    for row, (value, (low, high)) in enumerate(zip(values, intervals, strict=True)):
        if value is None:
            axes.text(limits[0] if limits else 0, row, " no result", va="center", color="#888888")
            continue
        axes.barh(row, value, color="#4c78a8", height=0.62)
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color="#222222", linewidth=1.4)
        axes.annotate(
            f"{value:.2f}", (max(value, high or value), row), (5, 0),
            textcoords="offset points", va="center", fontsize=8,
        )  # fmt: skip
    axes.set_yticks(range(len(labels)), labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(axis, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    if limits:
        axes.set_xlim(limits[0], limits[1] + 0.08 * (limits[1] - limits[0]))
    return figure
