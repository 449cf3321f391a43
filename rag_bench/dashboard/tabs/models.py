"""LLM Comparison: one row per generation model, each judge's scores beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.labels.following import corrected_section
from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices
from rag_bench.dashboard.page.parts import Page, heading, join, link, paragraph, said
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    metric_cell,
    metric_col,
    number,
    number_cell,
    pager,
    scale_digits,
    shown_page,
    table,
)
from rag_bench.dashboard.shell import without_results
from rag_bench.dashboard.tabs.common import (
    is_checked,
    judge_name,
    measured_line,
    model_name,
    settings_choice,
)
from rag_bench.dashboard.tabs.models_pairs import differences_part, wins_part
from rag_bench.dashboard.tabs.models_topics import weighted_part
from rag_bench.dashboard.tabs.parts.failing_by_model import failing_part

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.board import GeneratorLine
    from rag_bench.reporting.leaderboard import Leaderboard

_PER_PAGE = 100


def page(context: Context) -> Page:
    """Return the page."""
    from rag_bench.reporting.board import generators

    words, made, board = context.words, Page(), context.board
    if board is None:
        made.add(without_results(context))
        return made
    lines = generators(board)
    judge = shown_judge(context, board)
    made.add(choices(settings_choice(context), judge_choice(context, board, judge)))
    made.add(measured_line(context, board))
    if any(row.simulated for row in board.rows):
        made.add(said(words("simulated_present"), "warn"))
    _leaderboard(context, board, lines, made)
    corrected_section(context, board, made, without_labels=False)
    weighted_part(context, board, made)
    wins_part(context, board, lines, judge, made)
    _tradeoffs(context, lines, made)
    differences_part(context, board, lines, judge, made)
    failing_part(context, board.settings_hash, judge, made)
    if context.view.get("rows") == "triples":
        made.add(*_triples(context, board))
    else:
        made.add(
            paragraph(
                link(words("show_triples", n=len(board.rows)), context.view.link(rows="triples"))
            )
        )
    return made


def shown_judge(context: Context, board: Leaderboard) -> str | None:
    """Return the judge whose scores are compared: the address's, else the first that counts."""
    there = [judge for judge in board.ranking.judges if judge]
    there += [judge for judge in board.ranking.left_out if judge]
    wanted = context.view.get("judge")
    return wanted if wanted in there else next(iter(there), None)


def judge_choice(context: Context, board: Leaderboard, judge: str | None) -> Markup:
    """Return the choice of a benchmark judge."""
    there = [one for one in board.ranking.judges if one]
    there += [one for one in board.ranking.left_out if one]
    options = [(one, one) for one in there]
    if not options:
        return Markup("")
    return choice("judge", context.words("compared_by"), options, judge or "")


def _leaderboard(
    context: Context, board: Leaderboard, lines: list[GeneratorLine], made: Page
) -> None:
    from rag_bench.reporting.board import columns_shown

    words = context.words
    lead, shown = lines[0].lead, columns_shown(board)
    judges = list(lines[0].by_judge)
    columns: list[Col | str] = [Col("#", numeric=True), words("generation_model")]
    columns += [
        Col(
            join(
                [
                    words.title(lead.title),
                    " ↑ ",
                    words("by"),
                    " ",
                    judge_name(one, words, checked=is_checked(context, one, lead.metric)),
                ]
            ),
            metric_col(lead.metric, words).help,
            True,
        )
        for one in judges
    ]
    columns += [metric_col(c.metric, words, words.title(c.title)) for c in shown]
    columns += [
        Col(words("latency_ms") + " ↓", numeric=True),
        Col(words("usd_1000") + " ↓", numeric=True),
    ]
    columns.append(Col(words("behind_first"), words_help(context, "behind_first_help")))
    rows = []
    for line in lines:
        standing = line.standing
        gap: object = words("first") if standing.rank == 1 else ""
        if standing.rank is None:
            gap = words("not_ranked", reason=words.sentence(standing.reason or ""))
        elif standing.behind is not None:
            gap = metric_cell(standing.behind.difference.to_json(), words, 2).shown
            if standing.tied:
                gap = join([gap, " ", words("cannot_tell_first")])
        rows.append(
            [
                Cell(line.place, standing.rank if standing.rank is not None else ""),
                Cell(model_name(line.model, words, configured=line.configured), line.model),
                *(metric_cell(line.by_judge[one], words, 2) for one in judges),
                *(metric_cell(line.row.metric(c), words) for c in shown),
                metric_cell(line.latency, words, 0),
                number_cell(
                    line.cost_per_1000,
                    2,
                    title=words("no_price") if line.cost_per_1000 is None else "",
                ),
                Cell(gap),
            ]
        )
    made.add(heading(words("leaderboard")))
    made.add(paragraph(_groups(context, board)))
    made.add(table("models", columns, rows, words, caption=words("leaderboard_caption")))
    scored = {j: [line.by_judge[j] for line in lines] for j in judges} or {
        words.title(lead.title): [line.row.metric(lead) for line in lines]
    }
    made.add(heading(words("scores_with_intervals"), 3))
    made.add(
        figures.bars(
            [line.model for line in lines], scored, f"{words.title(lead.title)} ↑", lead.scale
        )
    )


def words_help(context: Context, key: str) -> Markup:
    """Return help that stands in the words of the page."""
    from rag_bench.dashboard.page.parts import help_text

    return help_text(context.words(key), context.words)


def _groups(context: Context, board: Leaderboard) -> str:
    words, ranking = context.words, board.ranking
    tied = [one.model for one in ranking.standings if one.tied or one.rank == 1]
    parts = []
    if ranking.n_common:
        parts.append(
            words("ordered_on", n=ranking.n_common, all=ranking.n_cases, pages=ranking.n_clusters)
        )
    if len(tied) > 1:
        parts.append(words("group_tied", models=", ".join(tied)))
    elif tied:
        parts.append(words("leads_alone", model=tied[0]))
    for judge, reason in ranking.left_out.items():
        parts.append(words("judge_left_out", judge=judge or "", reason=words.sentence(reason)))
    return " ".join(parts)


def _tradeoffs(context: Context, lines: list[GeneratorLine], made: Page) -> None:
    from rag_bench.reporting.details.pairs_of_models import front

    words = context.words
    lead = lines[0].lead
    quality = {line.model: line.row.value(lead) for line in lines}
    for key, unit, digits, costs in (
        ("cost_front", words("usd_1000"), 2, {line.model: line.cost_per_1000 for line in lines}),
        (
            "latency_front",
            words("latency_ms"),
            0,
            {line.model: line.latency["value"] if line.latency else None for line in lines},
        ),
    ):
        known = {
            model: (float(cost), float(value))
            for model, cost in costs.items()
            if cost is not None and (value := quality[model]) is not None
        }
        made.add(heading(words(key)))
        if not known:
            made.add(paragraph(words(f"{key}_unknown")))
            continue
        best = front(known)
        groups = {
            words("on_front"): [(*known[model], model) for model in best],
            words("off_front"): [(*at, model) for model, at in known.items() if model not in best],
        }
        made.add(paragraph(words("front_help")))
        made.add(
            figures.points(
                {name: found for name, found in groups.items() if found},
                f"{unit} ↓",
                f"{words.title(lead.title)} ↑",
                line=[known[model] for model in best],
                line_name=words("front"),
                scale=lead.scale,
            )
        )
        rows: list[list[Any]] = [
            [
                Cell(model_name(model, words), model),
                number_cell(known[model][0], digits),
                number_cell(known[model][1], scale_digits(lead.scale)),
                words("yes") if model in best else words("no"),
            ]
            for model in sorted(known, key=lambda m: known[m])
        ]
        columns: list[Col | str] = [
            words("model"),
            Col(unit, numeric=True),
            Col(words.title(lead.title), numeric=True),
            words("on_front"),
        ]
        made.add(table(key.replace("_", "-"), columns, rows, words, caption=words(key)))


def _triples(context: Context, board: Leaderboard) -> list[object]:
    from rag_bench.reporting.board import all_columns
    from rag_bench.reporting.leaderboard import COLUMNS

    words, view = context.words, context.view
    page = shown_page(view, len(board.rows), _PER_PAGE)
    shown = all_columns(board, COLUMNS)
    columns: list[Col | str] = [
        Col("#", numeric=True),
        words("generation_model"),
        words("benchmark_judge"),
        words("production_judge"),
    ]
    columns += [metric_col(c.metric, words, words.title(c.title)) for c in shown]
    rows = [
        [
            number_cell(row.rank),
            Cell(model_name(row.generation_model, words), row.generation_model),
            Cell(model_name(row.benchmark_judge_model, words), row.benchmark_judge_model or ""),
            Cell(model_name(row.production_judge_model, words), row.production_judge_model or ""),
            *(metric_cell(row.metric(c), words) for c in shown),
        ]
        for row in board.rows[_PER_PAGE * (page - 1) : _PER_PAGE * page]
    ]
    return [
        heading(words("triples")),
        paragraph(words("triples_help")),
        paragraph(link(words("hide_triples"), view.link(rows=None))),
        table(
            "triples",
            columns,
            rows,
            words,
            caption=words("triples_caption", n=number(len(board.rows))),
        ),
        pager(view, len(board.rows), _PER_PAGE, words),
    ]
