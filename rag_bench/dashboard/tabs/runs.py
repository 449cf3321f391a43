"""Run Details: what was run, with its status and settings; one of them whole; metrics over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices, search_box
from rag_bench.dashboard.page.parts import (
    Page,
    direction,
    heading,
    link,
    metric_help,
    paragraph,
    said,
)
from rag_bench.dashboard.page.tables import Cell, Col, metric_cell, paged, pager, table
from rag_bench.dashboard.tabs.common import SHORT, model_names, moment, step_name, tier_name
from rag_bench.dashboard.tabs.runs_evaluation import evaluation_page
from rag_bench.dashboard.tabs.runs_service import run_page, service_runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words

_PER_PAGE = 50
_STATUSES = ("succeeded", "partial", "failed")
# More lines in one plot are told apart by nobody.
_LINES = 12


def page(context: Context) -> Page:
    """Return the page."""
    view = context.view
    if view.get("run"):
        return run_page(context, view.get("run"))
    wanted = view.get("evaluation")
    if wanted:
        return evaluation_page(context, wanted)
    made = Page()
    _evaluations(context, made)
    made.add(*service_runs(context))
    _history(context, made)
    return made


def status_cell(status: str, words: Words) -> Cell:
    """Return a status in words, with a sign besides its colour."""
    signs = {"succeeded": "✓", "partial": "◐", "failed": "✗", "cancelled": "■"}
    tone = {"succeeded": "good", "failed": "bad"}.get(status, "")
    return Cell(f"{signs.get(status, '…')}\u00a0{words(f'status_{status}')}", status, tone=tone)


def errors_text(errors: Mapping[str, int]) -> str:
    """Return how many cases have which code."""
    return ", ".join(f"{code} {n}" for code, n in sorted(errors.items()))


def _evaluations(context: Context, made: Page) -> None:
    from rag_bench.store.evaluations.listing import ORDERS, listed, tiers_measured

    words, view = context.words, context.view
    tiers = context.keep(tiers_measured)
    made.add(heading(words("evaluations")), paragraph(words("evaluations_help")))
    order = view.get("sort") if view.get("sort") in ORDERS else ORDERS[0]
    status = view.get("status") if view.get("status") in _STATUSES else ""
    any_one = [("", words("all"))]
    made.add(
        choices(
            choice(
                "tier",
                words("tier"),
                [*any_one, *((t, tier_name(t, words)) for t in tiers)],
                view.get("tier"),
            ),
            choice(
                "status",
                words("status"),
                [*any_one, *((s, words(f"status_{s}")) for s in _STATUSES)],
                status,
            ),
            choice("sort", words("order"), [(o, words(f"order_{o}")) for o in ORDERS], order),
            search_box("model", words("model_key"), view.get("model")),
        )
    )
    rows, total = paged(
        view,
        _PER_PAGE,
        lambda offset: listed(
            context.engine,
            tier=view.get("tier"),
            status=status,
            model=view.get("model"),
            order=order,
            limit=_PER_PAGE,
            offset=offset,
        ),
    )
    if not total:
        made.add(said(words("no_evaluations"), "empty"))
        return
    cells: list[list[Any]] = [
        [
            Cell(link(f"№ {one.id}", view.link(evaluation=one.id)), one.id),
            moment(one.finished_at),
            step_name(one.tier, one.kind, words),
            model_names(one.models, words),
            status_cell(one.status, words),
            errors_text(one.errors),
            Cell(one.settings_hash[:SHORT], one.settings_hash),
            Cell((one.dump_sha256 or "")[:SHORT], one.dump_sha256 or ""),
            dagster_link(context, one.dagster_run_id),
        ]
        for one in rows
    ]
    titles = ("evaluation", "finished", "tier", "models", "status", "errors_by_code")
    columns = [*(words(t) for t in (*titles, "settings_hash", "dump_hash")), "Dagster"]
    made.add(table("evaluations", columns, cells, words, caption=words("evaluations")))
    made.add(pager(view, total, _PER_PAGE, words))


def dagster_link(context: Context, run_id: str | None) -> Cell:
    """Return a link to a run in the Dagster UI; its id alone where no address is known."""
    if not run_id:
        return Cell("")
    if not context.dagster_url:
        return Cell(run_id[:8], run_id)
    address = f"{context.dagster_url}/runs/{run_id}"
    made = Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>')
    return Cell(made.format(address, run_id[:8]), run_id)


def _history(context: Context, made: Page) -> None:
    from rag_bench.reporting.leaderboard import lead_column
    from rag_bench.store.evaluations.listing import history, metrics_of_tier, tiers_measured

    words, view, board = context.words, context.view, context.board
    tiers = context.keep(tiers_measured)
    made.add(heading(words("history")))
    if not tiers:
        made.add(said(words("no_evaluations"), "empty"))
        return
    lead = lead_column(board.rows) if board else None
    standard = lead.tier.removeprefix("tier_") if lead else tiers[0]
    tier = view.get("kind") if view.get("kind") in tiers else standard
    names = context.keep(metrics_of_tier, tier)
    first = lead.metric if lead and lead.metric in names else next(iter(names), "")
    metric = view.get("metric") if view.get("metric") in names else first
    made.add(
        choices(
            choice(
                "kind", words("tier"), [(t, tier_name(t, words)) for t in tiers], tier, ("metric",)
            ),
            choice("metric", words("measure"), [(n, n) for n in names], metric),
        )
    )
    dataset = board.dataset.id if board else None
    found = context.keep(history, tier, metric, dataset)
    if not found:
        found = context.keep(history, tier, metric, None)
    if not found:
        made.add(paragraph(words("no_value")))
        return
    series: dict[str, list[tuple[Any, float | None]]] = {}
    for point in found:
        name = point.model or metric
        if name in series or len(series) < _LINES:
            at = f"{point.at:%Y-%m-%dT%H:%M:%S}"
            series.setdefault(name, []).append((at, point.metric["value"]))
    marks, last = [], found[0].dump_sha256
    for point in found:
        if point.dump_sha256 != last:
            marks.append((f"{point.at:%Y-%m-%dT%H:%M:%S}", words("new_dump")))
            last = point.dump_sha256
    made.add(paragraph(words("history_help", n=len(found))))
    made.add(figures.lines(series, words("finished"), metric + direction(metric), marks=marks))
    rows: list[list[Any]] = [
        [
            Cell(
                link(f"№ {p.evaluation_id}", view.link(evaluation=p.evaluation_id)), p.evaluation_id
            ),
            moment(p.at),
            model_names(p.model, words),
            metric_cell(p.metric, words),
            Cell((p.dump_sha256 or "")[:SHORT], p.dump_sha256 or ""),
            Cell(p.settings_hash[:SHORT], p.settings_hash),
        ]
        for p in reversed(found)
    ]
    columns: list[Col | str] = [words("evaluation"), words("finished"), words("models")]
    columns.append(Col(metric + direction(metric), metric_help(metric, words), True))
    columns += [words("dump_hash"), words("settings_hash")]
    made.add(table("history", columns, rows, words, caption=words("history")))
