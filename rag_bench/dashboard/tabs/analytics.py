"""What the three analyses of users' questions share on their tabs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.parts import (
    Page,
    direction,
    heading,
    join,
    link,
    metric_help,
    paragraph,
    said,
)
from rag_bench.dashboard.page.tables import Cell, Col, metric_cell, number, number_cell, table
from rag_bench.dashboard.tabs.common import moment

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.store.evaluations import StoredEvaluation


def newest_analysis(
    context: Context, tier: str, command: str, made: Page
) -> StoredEvaluation | None:
    """Return the newest result of an analysis, and say what it is of; where there is none, how to
    get one.
    """
    from markupsafe import Markup

    from rag_bench.store.evaluations.listing import whole
    from rag_bench.store.snapshots import current_snapshot
    from rag_bench.tiers.traffic.analytics import newest

    words = context.words
    found = context.keep(newest, tier)
    if found is None:
        made.add(
            said(
                join([words("no_analysis"), " ", Markup("<code>{}</code>").format(command)]),
                "empty",
            )
        )
        return None
    row = whole(context.engine, found.id) or {}
    result = found.inputs.get("result") or {}
    text = words(
        "analysis_of",
        n=number(result.get("questions_sampled")),
        all=number(result.get("questions_in_source")),
        at=moment(found.finished_at),
    )
    opened = link(f"№ {found.id}", context.view.link("runs", evaluation=found.id))
    made.add(paragraph(join([text, " ", opened])))
    snapshot = current_snapshot(context.engine)
    if snapshot is not None and row.get("dump_sha256") not in (None, snapshot.sha256):
        made.add(said(words("analysis_of_old_dump"), "warn"))
    return found


def metrics_table(context: Context, found: StoredEvaluation, name: str, made: Page) -> None:
    """Add the metrics of an analysis with their intervals."""
    words = context.words
    rows: list[list[Any]] = [
        [
            Cell(join([metric + direction(metric), metric_help(metric, words)]), metric),
            metric_cell(value, words),
        ]
        for metric, value in sorted(found.metrics.items())
    ]
    columns: list[Col | str] = [words("measure"), Col(words("value"), numeric=True)]
    made.add(heading(words("in_numbers")))
    made.add(table(name, columns, rows, words, caption=words("in_numbers")))


def months_part(context: Context, records: Sequence[Mapping[str, Any]] | None, made: Page) -> None:
    """Add what questions got month by month; of results of before nothing is known of months."""
    from rag_bench.dashboard.page import figures

    words = context.words
    if records is None:
        return
    made.add(heading(words("by_month")))
    if not records:
        made.add(paragraph(words("no_times")))
        return
    counted = "used_chunks" in records[0]
    made.add(paragraph(words("by_month_help")))
    if counted:
        made.add(paragraph(words("by_month_chunks_help")))
    series = {"with_answers_rate": words("answered_share")}
    if "mean_best_similarity" in records[0]:
        series["mean_best_similarity"] = words("similarity")
    made.add(
        figures.lines(
            {
                title: [(one["month"], one[name]["value"]) for one in records]
                for name, title in series.items()
            },
            words("month"),
            ", ".join(series.values()),
        )
    )
    columns: list[Col | str] = [words("month"), Col(words("questions"), numeric=True)]
    columns += [Col(title, metric_help(name, words), True) for name, title in series.items()]
    columns += [Col(words("found_chunks"), numeric=True)] if counted else []
    rows: list[list[Any]] = [
        [
            one["month"],
            number_cell(one["questions"]),
            *(metric_cell(one[name], words) for name in series),
            *([number_cell(one["used_chunks"])] if counted else []),
        ]
        for one in records
    ]
    made.add(table("by-month", columns, rows, words, caption=words("by_month")))
