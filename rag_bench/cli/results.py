"""``rag-bench leaderboard``: what came out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from rag_bench.cli.app import app, console, open_engine, uncut

if TYPE_CHECKING:
    from rag_bench.reporting.leaderboard import Leaderboard
    from rag_bench.store.evaluations import MeasuredSettings


# With more the table does not fit a screen.
_JUDGES_SHOWN = 4
_LONGEST_NAME = 56  # letters on one line
_TRIPLES_SHOWN = 20


@app.command()
def leaderboard(
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    settings: Annotated[
        str,
        typer.Option(help="A settings hash or its beginning; empty: the newest without a limit."),
    ] = "",
    triples: Annotated[
        bool,
        typer.Option(
            "--triples",
            help="Also show the combinations of a generation model, a benchmark judge and a "
            "production judge; most of their rows repeat each other.",
        ),
    ] = False,
    rows: Annotated[
        int | None, typer.Option(help="So many combinations of models; 20 of --triples.", min=1)
    ] = None,
) -> None:
    """Show the models, best first, one row each. Asks no model."""
    from rag_bench.reporting.leaderboard import build
    from rag_bench.store.evaluations import MeasuredSettings

    engine = open_engine()
    board = build(engine, settings or None)
    if as_json:
        typer.echo(json.dumps(board.as_json(), ensure_ascii=False, indent=1))
    else:
        show(board, console, rows or (_TRIPLES_SHOWN if triples else 0))
        measured = MeasuredSettings.newest_first(engine)
        newest = measured[0]
        if not settings and newest.settings_hash != board.settings_hash:
            console.print(
                f"There is a newer trial of {newest.limit} questions: --settings "
                f"{newest.settings_hash[:12]}.",
                highlight=False,
            )
        for one in _of_other_retrievers(board, measured):
            console.print(
                f"Measured by the retriever {one.retriever} as well: --settings "
                f"{one.settings_hash[:12]}.",
                highlight=False,
            )


def _of_other_retrievers(
    board: Leaderboard, measured: Sequence[MeasuredSettings]
) -> list[MeasuredSettings]:
    """Return the newest whole run of each other retriever on the same questions."""
    found: dict[str, MeasuredSettings] = {}
    for one in measured:
        if one.limit is None and one.dataset_id == board.dataset.id:
            found.setdefault(one.retriever, one)
    found.pop(board.retriever, None)
    return list(found.values())


def show(board: Leaderboard, to: Console, rows: int = 0) -> None:
    """Print a leaderboard, and so many of its combinations."""
    from rag_bench.reporting.board import notes

    # Wide enough for the models' names, also where the output goes into a file.
    printer = uncut(210, to)
    printer.print(_generators(board))
    for table in (*_baseline(board), _judges(board), _corrected(board), _gates(board)):
        if table.row_count:
            printer.print(table)
    if rows:
        printer.print(_combinations(board, rows))
        if len(board.rows) > rows:
            printer.print(f"… and {len(board.rows) - rows} more (--rows N, --json)")
    for note in notes(board):
        printer.print(note, highlight=False, markup=False)
    if not rows:
        printer.print(
            f"{len(board.rows)} combinations of models: --triples, --json.", highlight=False
        )


def _generators(board: Leaderboard) -> Table:
    from rag_bench.reporting.board import columns_shown, generators
    from rag_bench.reporting.leaderboard import lead_column
    from rag_bench.store.labels.checked import NEVER_CHECKED

    lines, lead = generators(board), lead_column(board.rows)
    table = Table(
        title=f"Leaderboard on {board.n_questions} questions of {board.dataset}, "
        f"settings {board.settings_hash[:12]}, retriever {board.retriever}",
        title_justify="left",
    )
    table.add_column("#", no_wrap=True)
    _add_names(table, "generation model", [line.label for line in lines])
    judges = list(lines[0].by_judge) if lines else []
    for judge in judges[:_JUDGES_SHOWN] or [""]:
        by = f"\nby {judge.rpartition('/')[2]}" if judge else ""
        by += f"\n({NEVER_CHECKED})" if judge in board.lead_never_checked else ""
        table.add_column(f"{lead.title}{by}", justify="right", max_width=17, overflow="fold")
    for column in columns_shown(board):
        table.add_column(column.title, justify="right")
    for name in ("scored", "latency\nms", "USD per\n1,000"):
        table.add_column(name, justify="right")
    table.add_column("behind the first", no_wrap=True)
    for line in lines:
        leading = [line.by_judge.get(judge) for judge in judges[:_JUDGES_SHOWN]]
        leading = leading or [line.row.metric(lead)]
        table.add_row(
            line.place,
            line.label,
            *(_number(metric["value"] if metric else None) for metric in leading),
            *(_number(line.row.value(column)) for column in columns_shown(board)),
            f"{line.n_scored}/{line.n_expected}",
            _number(line.latency["value"] if line.latency else None, 0),
            _number(line.cost_per_1000, 2),
            line.against_first,
        )
    if len(judges) > _JUDGES_SHOWN:
        table.caption = f"{len(judges) - _JUDGES_SHOWN} more judges: --json"
    return table


def _baseline(board: Leaderboard) -> list[Table]:
    """Return the models against what users got, and scores beside ratings; none without a log."""
    from rag_bench.reporting.production import against_table, ratings_table

    if board.baseline is None:
        return []
    tables = []
    for title, (columns, rows) in (
        ("Against what users got, on the same questions", against_table(board.baseline)),
        (
            "Scores of what users got, by the rating they gave",
            ratings_table(board.baseline.ratings),
        ),
    ):
        table = Table(title=title, title_justify="left")
        for number, column in enumerate(columns):
            table.add_column(column, justify="left" if number < 3 else "right", no_wrap=number == 0)
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        tables.append(table)
    return tables


def _cell(value: str | float | None) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return _number(value) if isinstance(value, float) or value is None else value


def _judges(board: Leaderboard) -> Table:
    from rag_bench.reporting.board import judges

    table = Table(title="Benchmark judges", title_justify="left")
    _add_names(table, "benchmark judge", [line.model for line in judges(board)])
    for name in ("AUC", "consistency", "error rate"):
        table.add_column(name, justify="right")
    table.add_column("orders the models", overflow="fold")
    table.add_column("checked against people", overflow="fold")
    for line in judges(board):
        measured = line.metrics or {}
        auc = measured.get("label_auc", {}).get("value")
        if auc is None:
            auc = measured.get("constructed_auc", {}).get("value")
        table.add_row(
            line.model + ("" if line.configured else " (not configured)"),
            _number(auc),
            *(
                _number(measured.get(name, {}).get("value"))
                for name in ("consistency_score", "error_rate")
            ),
            ("yes" if line.counts else f"no: {line.reason}")
            + ("" if line.metrics else " (not checked by tier judge)"),
            line.people,
        )
    return table


def _corrected(board: Leaderboard) -> Table:
    from rag_bench.reporting.corrected import corrected_table

    columns, rows = corrected_table(board.corrections)
    table = Table(title="Scores corrected by people's labels", title_justify="left")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _gates(board: Leaderboard) -> Table:
    from rag_bench.reporting.board import gates
    from rag_bench.reporting.leaderboard import SHOW_F1, gate_value

    table = Table(title="Production judges", title_justify="left")
    table.add_column("#", no_wrap=True)
    _add_names(table, "production judge", [line.model for line in gates(board)])
    names = ("accuracy", "precision", "recall", "f1_score", "avg_latency_ms")
    for title in ("accuracy", "precision", "recall", "F1", "latency\nms", "F1 at\nworst"):
        table.add_column(title, justify="right")
    for name in ("read", "USD per\n1,000"):
        table.add_column(name, justify="right")
    table.add_column("remark", overflow="fold")
    for line in gates(board):
        f1 = line.metric(SHOW_F1.metric)
        table.add_row(
            "–" if line.rank is None else str(line.rank),
            line.model + ("" if line.configured else " (not configured)"),
            *(
                _number(
                    (line.metric(name) or {}).get("value"), 0 if name.endswith("latency_ms") else 3
                )
                for name in names
            ),
            _number(gate_value(f1)),
            f"{f1['n_scored']}/{f1['n_expected']}" if f1 else "–",
            _number(line.cost_per_1000, 2),
            line.remark,
        )
    return table


def _combinations(board: Leaderboard, rows: int) -> Table:
    from rag_bench.reporting.board import all_columns
    from rag_bench.reporting.leaderboard import COLUMNS, lead_column

    table = Table(title="Combinations", title_justify="left")
    table.add_column("#", no_wrap=True)
    shown = board.rows[:rows]
    _add_names(table, "generation model", [row.generation_model for row in shown])
    _add_names(table, "benchmark judge", [row.benchmark_judge_model or "" for row in shown])
    _add_names(table, "production judge", [row.production_judge_model or "" for row in shown])
    columns = all_columns(board, COLUMNS)
    for column in columns:
        table.add_column(column.title, justify="right")
    table.add_column("scored", justify="right")
    leading = lead_column(board.rows)
    for row in shown:
        lead = row.metric(leading)
        table.add_row(
            str(row.rank),
            row.generation_model,
            row.benchmark_judge_model or "–",
            row.production_judge_model or "–",
            *(_number(row.value(column)) for column in columns),
            f"{lead['n_scored']}/{lead['n_expected']}" if lead else "–",
        )
    return table


def _add_names(table: Table, title: str, names: Sequence[str]) -> None:
    """Add a column of models' names: each on one line, or numbers had no room beside a long one."""
    if max(map(len, names), default=0) <= _LONGEST_NAME:
        table.add_column(title, no_wrap=True)
    else:
        table.add_column(title, overflow="fold", max_width=_LONGEST_NAME)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
