"""Scores weighted to the topics of real traffic, and the score of a model by topic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page.forms import choice
from rag_bench.dashboard.page.parts import (
    Page,
    bullets,
    heading,
    join,
    metric_help,
    paragraph,
    said,
)
from rag_bench.dashboard.page.tables import Cell, Col, metric_cell, number_cell, table
from rag_bench.dashboard.tabs.common import is_checked, judge_name, model_name
from rag_bench.evaluation.ranking import percent

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.leaderboard import Leaderboard
    from rag_bench.reporting.topic_scores import Pair, TopicScores


def weighted_part(context: Context, board: Leaderboard, made: Page) -> None:
    """Add each model's score weighted to traffic, or how to get it."""
    from rag_bench.reporting.leaderboard import lead_column

    words, found = context.words, board.by_topic
    made.add(heading(words("weighted_scores")))
    if found is None or not found.weighted:
        command = Markup("<code>rag-bench analyze-topic-coverage</code>")
        made.add(said(join([words("no_topic_scores"), " ", command]), "empty"))
        return
    made.add(paragraph(words("weighted_scores_help")))
    if found.uncovered > 0:
        made.add(said(words("traffic_uncovered", share=percent(found.uncovered)), "warn"))
    lead = lead_column(board.rows).metric
    names = {topic.key: topic.name for topic in found.topics}
    rows: list[list[Any]] = []
    for (model, judge), one in found.weighted.items():
        checked = is_checked(context, judge, lead)
        ends = [one.low_if_uncovered, one.high_if_uncovered]
        bounds = "" if None in ends else f"{ends[0]:.2f} … {ends[1]:.2f}"
        rows.append(
            [
                Cell(model_name(model, words), model),
                Cell(judge_name(judge, words, checked=checked), judge or ""),
                metric_cell(one.plain.to_json(), words, 2),
                metric_cell(one.weighted.to_json(), words, 2),
                Cell(percent(one.uncovered), one.uncovered, True),
                bounds,
                number_cell(one.n_effective, 1),
                number_cell(one.design_effect, 2),
            ]
        )
    title = words.title(found.column.title)
    columns: list[Col | str] = [words("generation_model"), words("benchmark_judge")]
    columns.append(Col(f"{title}, {words('unweighted')}", numeric=True))
    columns.append(
        Col(f"{title}, {words('weighted')}", metric_help(found.column.metric, words), True)
    )
    columns.append(Col(words("uncovered_share"), numeric=True))
    columns.append(words("if_uncovered"))
    columns += [Col(words(t), numeric=True) for t in ("n_effective", "design_effect")]
    made.add(table("weighted", columns, rows, words, caption=words("weighted_scores")))
    joined = {(a, b): None for one in found.weighted.values() for a, b in one.joined.items()}
    if joined:
        pairs = bullets(f"{names.get(a, a)} → {names.get(b, b)}" for a, b in joined)
        folded = Markup("<details><summary>{}</summary>{}</details>")
        made.add(folded.format(words("joined_topics", n=len(joined)), pairs))


def shown_pair(context: Context, found: TopicScores) -> Pair | None:
    """Return whose scores stand in the map of gaps: the address's model, else the leader's."""
    board = context.board
    leaders = (
        [(row.generation_model, row.benchmark_judge_model) for row in board.rows] if board else []
    )
    leaders += [(model, None) for model, _ in leaders]
    wanted = context.view.get("model")
    there = [pair for pair in leaders if pair in found.weighted] or list(found.weighted)
    return next((pair for pair in there if pair[0] == wanted), next(iter(there), None))


def pair_choice(context: Context, found: TopicScores, pair: Pair) -> Markup:
    """Return the choice of the model whose scores are shown."""
    models = list(dict.fromkeys(model for model, _ in found.weighted))
    return choice("model", context.words("scores_of"), [(m, m) for m in models], pair[0], ())
