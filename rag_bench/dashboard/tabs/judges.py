"""Judge Comparison: how far each benchmark judge can be trusted, and whether they agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.labels.following import corrected_section, draws_section, stale_note
from rag_bench.dashboard.labels.labelling import draw_page
from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choices
from rag_bench.dashboard.page.parts import Page, heading, join, paragraph, said
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    metric_cell,
    metric_col,
    number,
    number_cell,
    scale_digits,
    table,
)
from rag_bench.dashboard.shell import without_results
from rag_bench.dashboard.tabs.common import (
    checked_judges,
    judge_name,
    measured_elsewhere,
    measured_line,
    model_names,
    settings_choice,
    simulated_note,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.reporting.board import JudgeLine
    from rag_bench.reporting.columns import Column
    from rag_bench.reporting.details.judge_agreement import Agreement
    from rag_bench.reporting.leaderboard import Leaderboard

#: What is looked at together, in the order in which it is read.
GROUPS = {
    "judge_with_people": (
        *("label_kappa", "label_auc", "label_balanced_accuracy", "label_sensitivity"),
        *("label_specificity", "n_label_answers", "constructed_auc", "constructed_kappa"),
        *("constructed_balanced_accuracy", "n_constructed_answers"),
    ),
    "judge_with_itself": (
        *("consistency_score", "repeat_exact_agreement", "repeat_mean_abs_difference"),
        "decision_flip_rate",
    ),
    "judge_bias": (
        *("position_consistency", "first_position_rate", "tie_rate", "length_sensitivity"),
        *("length_sensitivity_abs", "style_sensitivity", "style_sensitivity_abs"),
        *("preference_accuracy_mismatched", "preference_accuracy_halved"),
    ),
    "judge_scores": ("score_std", "score_entropy", "score_collapse", "score_distinct"),
    "judge_failures": (
        *("error_rate", "asked_again_rate", "avg_latency_ms", "p50_latency_ms", "p95_latency_ms"),
    ),
}
_SHARES = tuple(f"score_share_{score}" for score in range(1, 6))


def page(context: Context) -> Page:
    """Return the page."""
    from rag_bench.reporting.board import judges

    words, made, board = context.words, Page(), context.board
    if context.view.get("draw"):
        return draw_page(context)
    if board is None:
        made.add(without_results(context))
        return made
    made.add(choices(settings_choice(context)), measured_line(context, board))
    lines = judges(board)
    if not lines:
        made.add(said(words("no_judges"), "empty"))
        return made
    made.add(simulated_note((line.model for line in lines), words))
    checked = checked_judges(context)
    unchecked = [line.model for line in lines if line.model not in checked]
    if unchecked:
        told = words("unchecked_present", judges=", ".join(unchecked))
        there = measured_elsewhere(context, "judge", "judges")
        made.add(said(join([told, " ", there]), "warn"))
    _trust(context, lines, checked, made)
    stale_note(context, [line.model for line in lines], made)
    corrected_section(context, board, made)
    draws_section(context, made)
    for group, names in GROUPS.items():
        _group(context, lines, checked, group, names, made)
    _agreement(context, board, lines, made)
    return made


def _trust(context: Context, lines: list[JudgeLine], checked: frozenset[str], made: Page) -> None:
    words = context.words
    rows = [
        [
            Cell(judge_name(line.model, words, checked=line.model in checked), line.model),
            words("yes") if line.counts else words("no"),
            words.sentence(line.reason),
            words("yes") if line.metrics else words("never_examined"),
            words("yes") if line.model in checked else words("never_checked"),
        ]
        for line in lines
    ]
    columns = ["judge", "orders_models", "why_not", "examined", "against_people"]
    made.add(heading(words("judge_trust")))
    made.add(paragraph(words("judge_trust_help")))
    made.add(
        table("judges", [words(c) for c in columns], rows, words, caption=words("judge_trust"))
    )


def _group(
    context: Context,
    lines: list[JudgeLine],
    checked: frozenset[str],
    group: str,
    names: tuple[str, ...],
    made: Page,
) -> None:
    words = context.words
    there = [n for n in names if any(n in (line.metrics or {}) for line in lines)]
    made.add(heading(words(group)), paragraph(words(f"{group}_help")))
    if not there:
        made.add(said(words("tier_judge_missing"), "empty"))
        return
    rows: list[list[Any]] = [
        [
            Cell(judge_name(line.model, words, checked=line.model in checked), line.model),
            *(metric_cell((line.metrics or {}).get(n), words) for n in there),
        ]
        for line in lines
    ]
    columns: list[Col | str] = [words("judge"), *(metric_col(n, words) for n in there)]
    if group == "judge_with_people":
        made.add(
            figures.bars(
                [line.model for line in lines],
                {
                    n: [(line.metrics or {}).get(n) for line in lines]
                    for n in there
                    if n.endswith("auc")
                },
                "AUC ↑",
                (0.0, 1.02),
            )
        )
    if group == "judge_scores":
        shares = {
            line.model: [((line.metrics or {}).get(n) or {}).get("value") for n in _SHARES]
            for line in lines
        }
        steps = [n.removeprefix("score_share_") for n in _SHARES]
        made.add(figures.columns(steps, shares, words("score"), words("share")))
        columns += [metric_col(n, words) for n in _SHARES]
        for row, line in zip(rows, lines, strict=True):
            row += [metric_cell((line.metrics or {}).get(n), words) for n in _SHARES]
    made.add(table(group.replace("_", "-"), columns, rows, words, caption=words(group)))


def _agreement(context: Context, board: Leaderboard, lines: list[JudgeLine], made: Page) -> None:
    from rag_bench.reporting.leaderboard import lead_column

    words, lead = context.words, lead_column(board.rows)
    names = [line.model for line in lines]
    made.add(heading(words("judges_agree")))
    if len(names) < 2 or not lead.metric.startswith("rubric_"):
        made.add(paragraph(words("one_judge_only")))
        return
    found, mild = context.keep(_agreed, board.settings_hash, lead, tuple(names))
    between = {(one.first, one.second): one for one in found}
    between |= {(one.second, one.first): one for one in found}
    made.add(paragraph(words("judges_agree_help", metric=words.title(lead.title))))
    values = [[between[a, b].correlation if a != b else None for b in names] for a in names]
    texts = [[number(value, 2) for value in row] for row in values]
    made.add(figures.heat(names, names, values, texts, (-1.0, 1.0), middle=0.0))
    rows = [
        [
            model_names(one.first, words),
            model_names(one.second, words),
            number_cell(one.n),
            number_cell(one.correlation),
            number_cell(one.same),
            number_cell(one.difference, scale_digits(lead.scale)),
        ]
        for one in found
    ]
    columns: list[Col | str] = [words("judge"), words("other_judge")]
    titles = ("common_answers", "rank_correlation", "same_score", "milder_by")
    columns += [Col(words(title), numeric=True) for title in titles]
    made.add(table("agreement", columns, rows, words, caption=words("judges_agree")))
    rows = [
        [model_names(judge, words), number_cell(mean, scale_digits(lead.scale)), number_cell(n)]
        for judge, (mean, n) in sorted(mild.items(), key=lambda kv: -(kv[1][0] or 0))
    ]
    columns = [words("judge"), Col(words("mean_of", metric=words.title(lead.title)), numeric=True)]
    columns.append(Col(words("common_answers"), numeric=True))
    made.add(heading(words("severity")), paragraph(words("severity_help")))
    made.add(table("severity", columns, rows, words, caption=words("severity")))


def _agreed(
    engine: Engine, settings_hash: str, lead: Column, judges: Sequence[str]
) -> tuple[list[Agreement], Mapping[str, tuple[float | None, int]]]:
    from rag_bench.reporting.details.judge_agreement import agreements, lead_scores, severity

    cases = lead_scores(engine, settings_hash, lead)
    return agreements(cases, judges), severity(cases, judges)
