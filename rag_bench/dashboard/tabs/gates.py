"""Prod Judge Comparison: which judge decides best whether an answer is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices
from rag_bench.dashboard.page.parts import Page, heading, join, paragraph, said
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    long_cell,
    metric_cell,
    metric_col,
    number,
    number_cell,
    paged,
    pager,
    table,
)
from rag_bench.dashboard.shell import without_results
from rag_bench.dashboard.tabs.common import (
    measured_elsewhere,
    measured_line,
    model_name,
    settings_choice,
    simulated_note,
)

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.board import GateLine

#: As the guide's table has them, then what stands behind.
METRICS = ("accuracy", "precision", "recall", "f1_score", "avg_latency_ms")
_MORE = ("specificity", "p50_latency_ms", "p95_latency_ms")
_CELLS = ("true_positives", "false_positives", "false_negatives", "true_negatives", "unreadable")
_PER_PAGE = 25


def page(context: Context) -> Page:
    """Return the page."""
    from rag_bench.reporting.board import gates

    words, made, board = context.words, Page(), context.board
    if board is None:
        made.add(without_results(context))
        return made
    made.add(choices(settings_choice(context)), measured_line(context, board))
    lines = gates(board)
    if not lines:
        there = measured_elsewhere(context, "judge_pipeline", "gates")
        made.add(said(join([words("no_gates"), " ", there]), "empty"))
        return made
    made.add(simulated_note((line.model for line in lines), words))
    _table(context, lines, made)
    _confusion(context, lines, made)
    _trade(context, lines, made)
    _wrong(context, lines, board.settings_hash, made)
    return made


def _table(context: Context, lines: list[GateLine], made: Page) -> None:
    words = context.words
    columns: list[Col | str] = [Col("#", numeric=True), words("production_judge")]
    columns += [metric_col(name, words) for name in (*METRICS, *_MORE)]
    columns += [Col(words("usd_1000_verdicts") + " ↓", numeric=True), words("remark")]
    rows: list[list[Any]] = [
        [
            number_cell(line.rank),
            Cell(model_name(line.model, words, configured=line.configured), line.model),
            *(
                metric_cell(line.metric(name), words, 0 if name.endswith("_ms") else 3)
                for name in (*METRICS, *_MORE)
            ),
            number_cell(line.cost_per_1000, 2),
            _remark(context, line),
        ]
        for line in lines
    ]
    made.add(heading(words("gates")), paragraph(words("gates_help")))
    made.add(table("gates", columns, rows, words, caption=words("gates_caption")))
    made.add(
        figures.bars(
            [line.model for line in lines],
            {n: [line.metric(n) for line in lines] for n in METRICS[:4]},
            words("share"),
            (0.0, 1.02),
        )
    )


def _remark(context: Context, line: GateLine) -> str:
    from rag_bench.evaluation.ranking import LEAST_SCORED, percent
    from rag_bench.reporting.leaderboard import gate_value

    words, f1 = context.words, line.metric("f1_score")
    if f1 is None or f1["value"] is None:
        return words("no_f1")
    if f1["n_scored"] >= LEAST_SCORED * f1["n_expected"]:
        return ""
    share = percent(f1["n_scored"] / f1["n_expected"])
    return words("partly_readable", share=share, f1=number(gate_value(f1)))


def _confusion(context: Context, lines: list[GateLine], made: Page) -> None:
    words = context.words
    counts = [[_count(line, name) for name in _CELLS] for line in lines]
    titles = [words(name) for name in _CELLS]
    made.add(heading(words("confusion")), paragraph(words("confusion_help")))
    made.add(
        figures.heat(
            [line.model for line in lines],
            titles,
            counts,
            [[number(n) for n in row] for row in counts],
        )
    )
    rows = [
        [Cell(model_name(line.model, words), line.model), *(number_cell(n) for n in row)]
        for line, row in zip(lines, counts, strict=True)
    ]
    columns: list[Col | str] = [
        words("production_judge"),
        *(metric_col(n, words, words(n)) for n in _CELLS),
    ]
    made.add(table("confusion", columns, rows, words, caption=words("confusion")))


def _trade(context: Context, lines: list[GateLine], made: Page) -> None:
    """Of the good answers the share hidden, of the bad ones the share shown: less of both."""
    words = context.words
    at = {}
    for line in lines:
        good = [_count(line, name) for name in ("true_positives", "false_negatives")]
        bad = [_count(line, name) for name in ("true_negatives", "false_positives")]
        if None in good or None in bad or not sum(good) or not sum(bad):  # type: ignore[arg-type]
            continue
        at[line.model] = (good[1] / sum(good), bad[1] / sum(bad))  # type: ignore[arg-type,operator]
    made.add(heading(words("gate_trade")), paragraph(words("gate_trade_help")))
    if not at:
        made.add(paragraph(words("no_value")))
        return
    made.add(
        figures.points(
            {words("production_judge"): [(*found, model) for model, found in at.items()]},
            f"{words('good_hidden')} ↓",
            f"{words('bad_shown')} ↓",
        )
    )
    rows = [
        [Cell(model_name(model, words), model), number_cell(hidden), number_cell(leaked)]
        for model, (hidden, leaked) in at.items()
    ]
    columns: list[Col | str] = [words("production_judge")]
    columns += [Col(f"{words(title)} ↓", numeric=True) for title in ("good_hidden", "bad_shown")]
    made.add(table("trade", columns, rows, words, caption=words("gate_trade")))


def _wrong(context: Context, lines: list[GateLine], settings_hash: str, made: Page) -> None:
    from rag_bench.dashboard.texts import names_of_cases, shown
    from rag_bench.store.evaluations.verdicts import wrong_verdicts

    words, view = context.words, context.view
    models = [line.model for line in lines]
    judge = view.get("judge") if view.get("judge") in models else models[0]
    found, total = paged(
        view,
        _PER_PAGE,
        lambda offset: wrong_verdicts(
            context.engine, settings_hash, judge, limit=_PER_PAGE, offset=offset
        ),
    )
    texts = shown(
        context,
        [
            text or ""
            for one in found
            for text in (
                one.question,
                one.answer,
                f"{one.error_code}: {words.detail(one.error_detail or '')}"
                if one.error_code
                else one.reason,
            )
        ],
    )
    names = names_of_cases(context, None, [one.case_id for one in found])
    rows: list[list[Any]] = []
    for n, one in enumerate(found):
        question, answer, why = texts[3 * n : 3 * n + 3]
        what = (
            words("unreadable_verdict")
            if one.error_code
            else words("bad_was_shown" if one.shown else "good_was_hidden")
        )
        rows.append([names[one.case_id], what, long_cell(question), long_cell(answer), why])
    made.add(heading(words("wrong_verdicts")))
    made.add(choices(choice("judge", words("production_judge"), [(m, m) for m in models], judge)))
    made.add(paragraph(words("wrong_help", n=number(total), judge=judge)))
    columns = [
        words(c) for c in ("question_id", "what_happened", "question", "answer", "judge_reason")
    ]
    made.add(table("wrong-verdicts", columns, rows, words, caption=words("wrong_verdicts")))
    made.add(pager(view, total, _PER_PAGE, words))


def _count(line: GateLine, name: str) -> int | None:
    metric = line.metric(name)
    return None if metric is None or metric["value"] is None else int(metric["value"])
