"""What the three analyses of users' questions share on their tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.parts import (
    Cell,
    Col,
    Page,
    direction,
    heading,
    join,
    link,
    metric_cell,
    metric_help,
    paragraph,
    said,
    table,
)
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
    found = newest(context.engine, tier)
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
        n=result.get("questions_sampled", ""),
        all=result.get("questions_in_source", ""),
        at=moment(found.finished_at),
    )
    number = link(f"№ {found.id}", context.view.link("runs", evaluation=found.id))
    made.add(paragraph(join([text, " ", number])))
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
