"""The report's files: JSON, Markdown, a page, and the registry of all reports."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.ranking import percent
from rag_bench.evaluation.types import few_clusters_note, few_pages
from rag_bench.provenance import git_branch, git_commit
from rag_bench.reporting import baselines, registry, retriever_board
from rag_bench.reporting.board import (
    GeneratorLine,
    all_columns,
    columns_shown,
    gates,
    generators,
    notes,
)
from rag_bench.reporting.board import judges as judge_lines
from rag_bench.reporting.corrected import corrected_table
from rag_bench.reporting.details.board_json import board_json
from rag_bench.reporting.leaderboard import (
    COLUMNS,
    Column,
    Leaderboard,
    Row,
    gate_value,
    lead_column,
)
from rag_bench.reporting.production import against_table, ratings_table, sentences
from rag_bench.reporting.retriever_board import RetrieverBoard
from rag_bench.reporting.retriever_plot import plot_uri

if TYPE_CHECKING:
    from jinja2 import Environment

#: 3.1: metrics that rows share are written once, see ``rows_once`` and ``metrics_of``.
SCHEMA_VERSION = "3.1"
REGISTRY = registry.NAME
register = registry.register
_TIERS = ("0", "1", "2", "3", "judge", "judge_pipeline", "ux")


@dataclass(frozen=True)
class WrittenReport:
    """Where a report was written."""

    json: Path
    markdown: Path
    html: Path
    overall_status: str


def content(
    board: Leaderboard,
    settings: Mapping[str, Any],
    embedding_model: str,
    now: datetime,
    retrievers: RetrieverBoard | None = None,
) -> dict[str, Any]:
    """Return the report as JSON. Top-level tier metrics are those of the best-ranked triple;
    ``retrievers`` are there if several were measured.
    """
    best = board.rows[0]
    found = baselines.verdicts(best.metrics)
    status = baselines.overall_status(found)
    report: dict[str, Any] = {
        "id": now.strftime("%Y%m%d_%H%M%S"),
        "schema_version": SCHEMA_VERSION,
        "run_metadata": {
            "timestamp": now.isoformat(timespec="seconds"),
            "git_branch": git_branch(),
            "git_commit_hash": git_commit(),
            "run_author": os.environ.get("BENCHMARK_RUN_AUTHOR"),
        },
        "overall_status": status,
        "executive_summary": summary(board, found, status),
        "dataset_file": board.dataset.name,
        "dataset_id": board.dataset.id,
        "dataset_type": board.dataset.kind,
        "settings_hash": board.settings_hash,
        "retriever": board.retriever,
        "settings": dict(settings),
        "generation_model": best.generation_model,
        "judge_model": best.benchmark_judge_model,
        "production_judge_model": best.production_judge_model,
        "embedding_model": embedding_model,
        "judge_eval_mode": settings.get("judge_eval_mode"),
        "consistency_runs": settings.get("consistency_runs"),
    }
    for tier in _tiers(best.metrics):
        report[f"tier_{tier}_metrics"] = best.metrics.get(f"tier_{tier}")
    report |= board_json(board)
    if retrievers is not None:
        report["retrievers"] = retrievers.as_json()
    report["baselines"] = [vars(verdict) for verdict in found]
    report["shared_metrics"], report["model_runs"] = rows_once(board.rows)
    return report


def _tiers(metrics: Mapping[str, Any]) -> list[str]:
    """Return the tiers that a report has a field for: these always, and whatever was measured."""
    return [*dict.fromkeys([*_TIERS, *sorted(name.removeprefix("tier_") for name in metrics)])]


def rows_once(rows: Sequence[Row]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the metrics that several rows share, and the rows that refer to them.

    A triple is a join: a thousand of them repeat what a hundred pairs of models and the common
    tiers were measured to. A tier's metrics that stand in one row only stay in its ``metrics``;
    others are an item of the first list, and the row's ``metrics_from`` gives its place there.
    """
    texts = [
        {tier: json.dumps(metrics, sort_keys=True) for tier, metrics in row.metrics.items()}
        for row in rows
    ]
    times = Counter((tier, text) for found in texts for tier, text in found.items())
    shared: list[dict[str, Any]] = []
    place: dict[tuple[str, str], int] = {}
    written = []
    for row, found in zip(rows, texts, strict=True):
        own: dict[str, Any] = {}
        places: dict[str, int] = {}
        for tier, text in found.items():
            if times[tier, text] == 1:
                own[tier] = row.metrics[tier]
                continue
            if (tier, text) not in place:
                place[tier, text] = len(shared)
                shared.append({"tier": tier, "metrics": row.metrics[tier]})
            places[tier] = place[tier, text]
        judge = {"judge_model": row.benchmark_judge_model}
        written.append({**row.as_json(), **judge, "metrics": own, "metrics_from": places})
    return shared, written


def metrics_of(report: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return all metrics of one of a report's ``model_runs`` by tier, of any schema version."""
    shared = report.get("shared_metrics", [])
    places = row.get("metrics_from", {})
    return {**row["metrics"], **{tier: shared[n]["metrics"] for tier, n in places.items()}}


def entry(report: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return what the registry keeps of a report: all but the rows' metrics, which its file has."""
    kept = {name: value for name, value in report.items() if name != "shared_metrics"}
    rows = [
        {name: value for name, value in row.items() if name not in ("metrics", "metrics_from")}
        for row in report["model_runs"]
    ]
    return {**kept, "model_runs": rows, "report_file": file}


def summary(board: Leaderboard, found: list[baselines.Verdict], status: str) -> str:
    """Say in a few sentences what was found, without more certainty than the data has."""
    best = board.rows[0]
    lead = lead_column(board.rows)
    metric = best.metric(lead)
    parts = [
        f"{len(board.rows)} combinations of models were compared on {board.n_questions} "
        f"questions of the dataset {board.dataset.name}."
    ]
    if metric and metric["value"] is not None:
        interval = (
            f" (95 % interval {metric['ci_low']:.2f} to {metric['ci_high']:.2f})"
            if metric["ci_low"] is not None
            else ""
        )
        parts.append(
            f"First is {best.generation_model}; by judge {best.benchmark_judge_model} it has "
            f"{lead.title} {metric['value']:.2f} of {metric.get('scale', [0, 5])[1]:g}{interval}, "
            f"{metric['n_scored']} of {metric['n_expected']} answers scored."
        )
        if few := few_clusters_note(metric):
            parts.append(f"It rests on {few}.")
        if others := _tied(board, lead):
            parts.append(
                f"{', '.join(others)} cannot be told from it: this data does not tell them apart "
                "for certain."
            )
    if board.baseline:
        parts += sentences(board.baseline)
    unranked = [line for line in board.ranking.standings if line.reason]
    if unranked:
        words = "; ".join(f"{line.model}: {line.reason}" for line in unranked)
        parts.append(f"Not ranked: {words}.")
    missed = [verdict for verdict in found if not verdict.met]
    words = ", ".join(f"{v.metric} {v.value:.2f} (target {v.target:g})" for v in missed)
    areas = ", ".join(baselines.areas_missed(found))
    parts.append(
        f"Status: {status}"
        + (f"; areas that miss a target: {areas}; targets missed: {words}." if missed else ".")
    )
    if any(row.simulated for row in board.rows):
        parts.append("Models named simulator/sim-* are simulated: they show that the bench works.")
    return " ".join(parts)


def _tied(board: Leaderboard, column: Column) -> list[str]:
    """Return the models that cannot be told from the first: by the paired test of the board, or,
    where no scores of single questions are stored, by intervals that overlap.
    """
    if board.ranking.n_common:
        return [line.model for line in board.ranking.standings if line.tied]
    return _overlapping(board, column)


def _overlapping(board: Leaderboard, column: Any) -> list[str]:
    best = board.rows[0]
    first = best.metric(column)
    if not first or first["ci_low"] is None:
        return []
    names = []
    for row in board.rows[1:]:
        metric = row.metric(column)
        same_judge = row.benchmark_judge_model == best.benchmark_judge_model
        if not metric or metric["ci_high"] is None or not same_judge:
            continue
        if row.generation_model != best.generation_model and metric["ci_high"] >= first["ci_low"]:
            names.append(row.generation_model)
    return list(dict.fromkeys(names))


def write(
    report: Mapping[str, Any],
    board: Leaderboard,
    folder: Path,
    retrievers: RetrieverBoard | None = None,
) -> WrittenReport:
    """Write ``rag_benchmark_<timestamp>.json``, ``.md`` and ``.html`` and register the report.

    Raises:
        RagBenchError: the registry is damaged; the report's own files are there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / REGISTRY
    with registry.locked(path):
        first_id, number = report["id"], 1
        while (folder / f"rag_benchmark_{report['id']}.json").exists():  # several in one second
            number += 1
            report = {**report, "id": f"{first_id}_{number}"}
        name = f"rag_benchmark_{report['id']}"
        texts = {
            ".json": json.dumps(report, ensure_ascii=False, indent=1),
            ".md": render("report.md.j2", report, board, retrievers),
            ".html": render("report.html.j2", report, board, retrievers),
        }
        for suffix, text in texts.items():
            _replace(folder / f"{name}{suffix}", text)
        registry.append(path, entry(report, f"{name}.json"))
    return WrittenReport(
        folder / f"{name}.json",
        folder / f"{name}.md",
        folder / f"{name}.html",
        report["overall_status"],
    )


def _replace(path: Path, text: str) -> None:
    staging = path.with_name(f".{path.name}.{os.getpid()}.part")
    staging.write_text(text, encoding="utf-8")
    staging.replace(path)


def render(
    template: str,
    report: Mapping[str, Any],
    board: Leaderboard,
    retrievers: RetrieverBoard | None = None,
) -> str:
    """Fill one of the templates beside this file."""
    made = environment(template)
    made.filters["few"] = few_pages
    made.filters["worst"] = gate_value
    lead = lead_column(board.rows)
    lines = generators(board)
    judges = list(lines[0].by_judge) if lines else []
    return made.get_template(template).render(
        report=report,
        board=board,
        columns=all_columns(board, COLUMNS),
        lead=lead,
        shown=columns_shown(board),
        lines=lines,
        judges=judges,
        shades=_shades(lines, judges),
        examined=judge_lines(board),
        gates=gates(board),
        corrected=corrected_table(board.corrections),
        notes=notes(board),
        against=against_table(board.baseline) if board.baseline else ([], []),
        rated=ratings_table(board.baseline.ratings) if board.baseline else ([], []),
        **_by_topic(board),
        agreed=report.get("judge_agreement"),
        tiers=_tiers(board.rows[0].metrics) if board.rows else [],
        retrievers=retrievers,
        retriever_notes=retriever_board.notes(retrievers) if retrievers else [],
        retriever_plot=plot_uri(retrievers) if retrievers else "",
        title_of=retriever_board.title_of,
        now=datetime.now(UTC),
    )


def _by_topic(board: Leaderboard) -> dict[str, Any]:
    """Return the tables of scores by topic of traffic, as templates name them."""
    found = board.by_topic
    if found is None or not found.weighted:
        return {"by_topic": None, "topics": None, "topics_of": ""}
    best = (board.rows[0].generation_model, board.rows[0].benchmark_judge_model)
    pair = next((one for one in (best, (best[0], None)) if one in found.weighted), None)
    pair = pair or next(iter(found.weighted))
    return {"by_topic": found.table(), "topics": found.topic_table(pair), "topics_of": pair[0]}


def environment(template: str) -> Environment:
    """Return what fills templates of this kind: escaped as HTML, or as Markdown."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    is_html = template.endswith(".html.j2")
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=is_html,
        finalize=None if is_html else _as_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["number"] = _number
    made.filters["interval"] = _interval
    made.filters["pair"] = lambda two: _interval(*two) if two else "–"
    made.filters["measured"] = _measured
    made.filters["short"] = _short
    made.filters["cell"] = _cell
    made.filters["share"] = lambda value: "–" if value is None else percent(value)
    return made


def _as_markdown(value: Any) -> Any:
    # Names are other people's: one must not end a line, a cell, or begin a tag.
    if not isinstance(value, str):
        return value
    return " ".join(value.split()).replace("|", "\\|").replace("<", "&lt;")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None and high is None else f"{_number(low)} … {_number(high)}"


def _measured(metric: Mapping[str, Any]) -> str:
    """Return a metric's value; a count, which has neither scale nor interval, without decimals."""
    value = metric["value"]
    is_count = value is not None and not metric.get("scale") and metric["ci_low"] is None
    return f"{value:,.0f}" if is_count and float(value).is_integer() else _number(value)


def _short(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"


def _cell(value: str | float | int | None) -> str:
    return str(value) if isinstance(value, (str, int)) else _number(value)


def _shades(lines: Sequence[GeneratorLine], judges: Sequence[str]) -> dict[tuple[str, str], float]:
    """Return how dark each cell of the heatmap is, 0 to 1: every judge by its own range, as judges
    have scales of their own.
    """
    shades = {}
    for judge in judges:
        found = {
            line.model: metric["value"]
            for line in lines
            if (metric := line.by_judge[judge]) and metric["value"] is not None
        }
        if found:
            low, width = min(found.values()), max(found.values()) - min(found.values())
            for model, value in found.items():
                shades[model, judge] = (value - low) / width if width else 0.5
    return shades
