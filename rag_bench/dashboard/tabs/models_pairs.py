"""Generation models against each other: who wins how often, how scores spread, where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices
from rag_bench.dashboard.page.parts import Page, heading, link, paragraph
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    digits_among,
    long_cell,
    number,
    number_cell,
    table,
)
from rag_bench.dashboard.tabs.common import model_name
from rag_bench.reporting.details.judge_agreement import lead_scores

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.board import GeneratorLine
    from rag_bench.reporting.columns import Column
    from rag_bench.reporting.details.pairs_of_models import Duel, Scores
    from rag_bench.reporting.leaderboard import Leaderboard

# A matrix of more has no room for its numbers.
_IN_MATRIX = 15
_DIFFERENCES = 20


@dataclass(frozen=True)
class Pairs:
    """Models by one judge's scores: case by case, every two of them, and how often which score."""

    scores: Scores
    models: Sequence[str]
    duels: Sequence[Duel]
    steps: Sequence[str]
    counts: Mapping[str, Sequence[int]]


def _pairs(
    engine: Engine,
    settings_hash: str,
    lead: Column,
    judge: str | None,
    models: Sequence[str],
) -> Pairs:
    from rag_bench.reporting.details.pairs_of_models import duels, spread

    found = lead_scores(engine, settings_hash, lead, judge)
    scores = {model: scored for (model, scorer), scored in found.items() if scorer == judge}
    there = [model for model in models if model in scores]
    steps, counts = spread(scores, there, lead.scale)
    return Pairs(scores, there, duels(scores, there), steps, counts)


def _by_judge(
    context: Context, board: Leaderboard, lines: list[GeneratorLine], judge: str | None
) -> Pairs:
    lead = lines[0].lead
    by = judge if lead.metric.startswith("rubric_") else None
    models = tuple(line.model for line in lines)
    return context.keep(_pairs, board.settings_hash, lead, by, models)


def wins_part(
    context: Context,
    board: Leaderboard,
    lines: list[GeneratorLine],
    judge: str | None,
    made: Page,
) -> None:
    """Add who wins against whom, and how the scores spread."""
    words, lead = context.words, lines[0].lead
    pairs = _by_judge(context, board, lines, judge)
    models, found = pairs.models, pairs.duels
    made.add(heading(words("win_rates")))
    if len(models) < 2:
        made.add(paragraph(words("one_model_only")))
    else:
        rate = {(one.model, one.other): one for one in found}
        shown = models[:_IN_MATRIX]
        made.add(paragraph(words("win_rates_help", judge=judge or words.title(lead.title))))
        made.add(
            figures.heat(
                shown,
                shown,
                [[rate[a, b].win_rate if a != b else None for b in shown] for a in shown],
                [[_per_cent(rate[a, b].win_rate) if a != b else "" for b in shown] for a in shown],
                (0.0, 1.0),
                middle=0.5,
            )
        )
        rows = [
            [
                Cell(model_name(one.model, words), one.model),
                Cell(model_name(one.other, words), one.other),
                number_cell(one.won),
                number_cell(one.tied),
                number_cell(one.lost),
                number_cell(one.n),
                number_cell(one.win_rate),
            ]
            for one in found
        ]
        titles = ("won", "tied", "lost", "common_questions", "win_rate")
        columns: list[Col | str] = [words("model"), words("against")]
        columns += [Col(words(title), numeric=True) for title in titles]
        made.add(table("wins", columns, rows, words, caption=words("win_rates")))
    steps, counts = pairs.steps, pairs.counts
    made.add(heading(words("score_spread")))
    if not steps:
        made.add(paragraph(words("no_case_scores")))
        return
    made.add(figures.columns(steps, counts, words.title(lead.title), words("answers")))
    rows = [[Cell(model_name(m, words), m), *(number_cell(n) for n in counts[m])] for m in models]
    made.add(
        table(
            "spread",
            [words("model"), *(Col(step, numeric=True) for step in steps)],
            rows,
            words,
            caption=words("score_spread_caption", metric=words.title(lead.title)),
        )
    )


def differences_part(
    context: Context,
    board: Leaderboard,
    lines: list[GeneratorLine],
    judge: str | None,
    made: Page,
) -> None:
    """Add where two models differ most, with links to the questions."""
    from rag_bench.dashboard.texts import names_of_cases, question_texts
    from rag_bench.reporting.details.pairs_of_models import differences

    words, view = context.words, context.view
    pairs = _by_judge(context, board, lines, judge)
    scores, models = pairs.scores, pairs.models
    made.add(heading(words("most_different")))
    if len(models) < 2:
        made.add(paragraph(words("one_model_only")))
        return
    a = view.get("a") if view.get("a") in models else models[0]
    others = [model for model in models if model != a]
    b = view.get("b") if view.get("b") in others else others[0]
    made.add(
        choices(
            choice("a", words("first_model"), [(m, m) for m in models], a, ()),
            choice("b", words("second_model"), [(m, m) for m in others], b, ()),
        )
    )
    found = differences(scores, a, b)
    ids = [one.case_id for one in found[:_DIFFERENCES]]
    texts = question_texts(context, board.dataset.id, ids)
    names = names_of_cases(context, board.dataset.id, ids)
    digits = digits_among(value for one in found for value in (one.first, one.second))
    rows: list[list[Any]] = [
        [
            Cell(
                link(names[one.case_id], view.link("questions", case=names[one.case_id])),
                names[one.case_id],
            ),
            long_cell(texts.get(one.case_id, "")),
            number_cell(one.first, digits),
            number_cell(one.second, digits),
            number_cell(one.size, digits),
        ]
        for one in found[:_DIFFERENCES]
    ]
    columns: list[Col | str] = [words("question_id"), words("question")]
    columns += [Col(title, numeric=True) for title in (a, b, words("difference"))]
    better = sum(one.size > 0 for one in found)
    made.add(
        paragraph(
            words("differ_on", n=len(found), first=better, second=len(found) - better, a=a, b=b)
        )
    )
    made.add(
        table(
            "differences",
            columns,
            rows,
            words,
            caption=words("most_different_caption", n=len(rows), all=len(found)),
        )
    )


def _per_cent(share: float | None) -> str:
    return "" if share is None else f"{number(100 * share, 0)} %"
