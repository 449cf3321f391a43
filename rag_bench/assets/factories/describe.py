"""What a person reads about a materialization in the UI: tables, plots, plain words."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.evaluation.catalogue import known as described
from rag_bench.evaluation.instrument.served import FIELD
from rag_bench.evaluation.types import few_pages
from rag_bench.reporting.instruments import mark_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from sqlalchemy import Engine

    from rag_bench.store.evaluations import StoredEvaluation
    from rag_bench.tiers.base.bench import Bench

_PREVIEW_CHARACTERS = 160
_DRAWN_WIDTH = 25


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dg.TableMetadataValue:
    """Return a table that the UI shows as it is: Markdown of 1,000 characters or more it hides
    behind a link. Cells are cut; a missing value is empty, and fractions have three decimals.
    """
    records = [
        dg.TableRecord({name: _value(value) for name, value in zip(columns, row, strict=True)})
        for row in rows
    ]
    kinds = {
        name: "int" if records and all(type(r.data[name]) is int for r in records) else "string"
        for name in columns
    }
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in kinds.items()])
    return dg.MetadataValue.table(records, schema=schema)


def words_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], engine: Engine | None = None
) -> dg.TableMetadataValue:
    """Return a table of users' words: as `table`, masked before it is cut.

    Dagster's UI asks nobody who they are. ``engine``: of the store whose chunks' names are public;
    None: nobody's is.
    """
    from rag_bench.privacy.masking import mask_all
    from rag_bench.privacy.public_names import NOBODY
    from rag_bench.store.public_names import current_names

    texts = list({cell for row in rows for cell in row if isinstance(cell, str)})
    names = NOBODY if engine is None else current_names(engine)
    shown = dict(zip(texts, mask_all(texts, names), strict=True))
    return table(columns, [[shown.get(c, c) if isinstance(c, str) else c for c in r] for r in rows])


def _value(value: Any) -> str | int | bool:
    if isinstance(value, bool | int):
        return value
    return _cut(number(value) if isinstance(value, float) else "" if value is None else str(value))


def _cut(text: str) -> str:
    # Not split(), which would break up what a no-break space holds together.
    text = re.sub(r"[ \t\r\n]+", " ", text).strip(" ")
    return text if len(text) <= _PREVIEW_CHARACTERS else text[: _PREVIEW_CHARACTERS - 1] + "…"


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for people; a missing one is a dash, never 0."""
    if value is None:
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"


def reading_order(names: Iterable[str]) -> list[str]:
    """Return metrics' names as people look for them: by name, @5 before @10, latencies last."""

    def key(name: str) -> tuple[bool, list[tuple[int, str]]]:
        parts = re.split(r"(\d+)", name)
        return "latency" in name, [(int(p), "") if p.isdigit() else (-1, p) for p in parts]

    return sorted(names, key=key)


def metrics_table(metrics: Mapping[str, Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return metrics with their 95 % intervals, drawn and in figures, and how many cases they
    rest on.
    """
    rows = []
    for name in reading_order(metrics):
        metric = metrics[name]
        interval = span(metric)
        bounds = (
            f"{number(metric['low_if_missing'])} … {number(metric['high_if_missing'])}"
            if metric["n_scored"] < metric["n_expected"] and "low_if_missing" in metric
            else ""
        )
        scale = " to ".join(f"{end:g}" for end in metric["scale"]) if metric.get("scale") else ""
        rows.append(
            [
                name,
                _metric_value(metric),
                interval,
                drawn(metric),
                _together(_scored(metric)),
                _together(scale),
                _together(bounds),
            ]
        )
    columns = [
        "metric",
        "value",
        "95 % interval",
        "on its scale",
        "scored",
        "scale",
        "if missing were worst/best",
    ]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return table(columns, rows)


def drawn(metric: Mapping[str, Any] | None, scale: Sequence[float] | None = None) -> str:
    """Draw a metric on its scale in a line of text, its interval around it: ``··├──●─┤···``.

    An image of more than 1,000 characters is behind a link in the UI; this is not. Empty where
    there is no value or no scale.
    """
    scale = scale or (metric or {}).get("scale")
    if not metric or metric["value"] is None or not scale:
        return ""
    low, high = scale

    def place(value: float) -> int:
        share = (value - low) / (high - low)
        return round(min(max(share, 0.0), 1.0) * (_DRAWN_WIDTH - 1))

    cells = ["·"] * _DRAWN_WIDTH
    if metric["ci_low"] is not None:
        first, last = place(metric["ci_low"]), place(metric["ci_high"])
        cells[first : last + 1] = ["─"] * (last + 1 - first)
        cells[first], cells[last] = "├", "┤"
    cells[place(metric["value"])] = "●"
    return "".join(cells)


def _scored(metric: Mapping[str, Any]) -> str:
    scored = f"{metric['n_scored']} of {metric['n_expected']}"
    withheld = sum((metric.get("withheld") or {}).values())
    return f"{scored}, withheld for {withheld}" if withheld else scored


def span(metric: Mapping[str, Any] | None) -> str:
    """Return a metric's 95 % interval for a table; a dash if it has none.

    Where it rests on too few pages to be trusted, that is said beside it.
    """
    if metric is None:
        return "–"
    few = few_pages(metric)
    if metric["ci_low"] is None:
        return f"– {few}".strip()
    return _together(f"{number(metric['ci_low'])} … {number(metric['ci_high'])} {few}".strip())


def _together(text: str) -> str:
    return text.replace(" ", "\u00a0")


def _metric_value(metric: Mapping[str, Any]) -> str:
    value = metric["value"]
    if value is not None and not metric.get("scale") and metric["ci_low"] is None:
        # Counts have neither scale nor interval, and no decimals.
        return f"{value:,.0f}" if float(value).is_integer() else number(value)
    return number(value)


def followed(name: str, metric: Mapping[str, Any]) -> float | int:
    """Return a metric's value as the UI plots it; a count is a whole number."""
    value = float(f"{metric['value']:.6g}")
    known = described(name)
    is_count = known.kind == "count" if known else not metric.get("scale")
    return int(value) if is_count and value.is_integer() else value


def evaluation_metadata(bench: Bench, evaluation: StoredEvaluation) -> dict[str, Any]:
    """Return an evaluation's metadata, the most telling first: a table of all metrics with
    intervals, each metric as a number (the UI plots those; six digits, the store has all), the
    errors, and what it was made from.
    """
    metadata: dict[str, Any] = {"metrics": metrics_table(evaluation.metrics)}
    metadata |= {
        name: followed(name, evaluation.metrics[name])
        for name in reading_order(evaluation.metrics)
        if evaluation.metrics[name]["value"] is not None
    }
    metadata |= {
        "errors": dg.MetadataValue.json(dict(evaluation.errors)),
        "n_errors": evaluation.n_errors,
        "flags": dg.MetadataValue.json(dict(evaluation.flags)),
        "status": evaluation.status,
        # Text, or the UI would plot it among the metrics.
        "evaluation_id": str(evaluation.id),
        "reused": evaluation.reused,
        "settings_hash": evaluation.settings_hash,
        "settings": dg.MetadataValue.json(bench.run.as_json()),
        "retriever": bench.retriever.name,
        "dataset": str(bench.public_dataset),
        "n_questions": len(bench.items),
        "dump_sha256": bench.snapshot.sha256,
        "encoder": bench.encoder_identity.name,
    }
    withheld = {n: m["withheld"] for n, m in evaluation.metrics.items() if m.get("withheld")}
    if withheld:
        metadata["withheld"] = dg.MetadataValue.json(withheld)
    metadata |= _beside_ratings(bench, evaluation)
    if FIELD in evaluation.inputs:
        metadata["served_by"] = dg.MetadataValue.json(dict(evaluation.inputs[FIELD]))
    if mark := mark_of(evaluation.inputs):
        metadata["instrument"] = mark
    if "remark" in evaluation.inputs:
        metadata["remark"] = evaluation.inputs["remark"]
    for role in ("generation_model", "benchmark_judge_model", "production_judge_model"):
        model = getattr(evaluation, role)
        if model:
            metadata[role] = model
            if model.startswith("simulator/"):
                metadata["simulated"] = True
    return metadata


def prepare() -> None:
    """Import what `evaluation_metadata` needs: cells are recorded while others run."""
    import rag_bench.reporting.production  # noqa: F401


def _beside_ratings(bench: Bench, evaluation: StoredEvaluation) -> dict[str, Any]:
    """Return how a judge scored what users rated; nothing for other results."""
    if evaluation.kind != "scores" or evaluation.generation_model != PRODUCTION_LOG.key:
        return {}
    from rag_bench.reporting.production import ratings_of, ratings_table
    from rag_bench.store.evaluations import cases_of

    found = ratings_of(evaluation, cases_of(bench.engine, evaluation.id))
    return {"scores_by_rating": table(*ratings_table(found))} if found else {}


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
    # Without a scale these are counts, which have no decimals.
    are_counts = limits is None and all(v is None or float(v).is_integer() for v in values)
    for row, (value, (low, high)) in enumerate(zip(values, intervals, strict=True)):
        if value is None:
            axes.text(limits[0] if limits else 0, row, " no result", va="center", color="#888888")
            continue
        axes.barh(row, value, color="#4c78a8", height=0.62)
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color="#222222", linewidth=1.4)
        label = f"{value:,.0f}" if are_counts else f"{value:.2f}"
        axes.annotate(
            label, (max(value, high or value), row), (5, 0),
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


def heatmap(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float | None]],
) -> Figure:
    """Draw numbers as coloured cells, each column by its own range; a missing one stays white.

    Judges have scales of their own, so a colour tells models apart within a column only.
    """
    import numpy as np
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(2.6 + 1.1 * max(len(columns), 1), 1.6 + 0.36 * max(len(rows), 1)))
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[:].set_visible(False)
    axes.set_yticks(range(len(rows)), rows, fontsize=8)
    axes.set_xticks(range(len(columns)), columns, fontsize=8, rotation=30, ha="right")
    table = np.array([[np.nan if v is None else v for v in row] for row in values], dtype=float)
    table = table.reshape(len(rows), len(columns))
    if table.size and np.isfinite(table).any():
        shades = np.full(table.shape, np.nan)
        for column in range(table.shape[1]):
            found = table[:, column]
            if np.isfinite(found).any():
                low, width = np.nanmin(found), np.nanmax(found) - np.nanmin(found)
                shades[:, column] = (found - low) / width if width else found * 0 + 0.5
        axes.imshow(shades, cmap="Blues", vmin=-0.2, vmax=1.4, aspect="auto")
        for (row, column), value in np.ndenumerate(table):
            text = "–" if np.isnan(value) else f"{value:.2f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=8)
    return figure
