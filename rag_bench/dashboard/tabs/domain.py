"""Domain Insights: how users write, what they got, month by month."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.analytics.domain import every_month
from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.parts import Page, heading, paragraph, said
from rag_bench.dashboard.page.tables import Col, number_cell, table
from rag_bench.dashboard.tabs.analytics import metrics_table, months_part, newest_analysis
from rag_bench.dashboard.tabs.parts.rating_users import who_rates_part
from rag_bench.evaluation.metrics.source_analytics import DOMAIN

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context

_COUNTS = (
    *("total_questions", "distinct_questions", "users", "with_answers", "without_answers"),
    *("refusal_texts", "scored_questions", "satisfied_questions"),
)
_WORDS = (
    *("typical_tokens_without_answers", "typical_tokens_with_answers", "top_tokens_all"),
    *("top_tokens_without_answers", "top_tokens_with_answers"),
)
_IN_PLOT = 20
_RATINGS = ("1", "2", "3", "4", "5")


def page(context: Context) -> Page:
    """Return the page."""
    words, made = context.words, Page()
    found = newest_analysis(context, DOMAIN, "rag-bench analyze-real-users-domain", made)
    if found is None:
        return made
    result: Mapping[str, Any] = found.inputs["result"]
    if result.get("rating_note"):
        made.add(said(words.sentence(result["rating_note"]), "warn"))
    metrics_table(context, found, "domain-metrics", made)
    rows: list[list[Any]] = [
        [words(f"domain_{name}"), number_cell(result.get(name))] for name in _COUNTS
    ]
    columns: list[Col | str] = [words("what"), Col(words("questions"), numeric=True)]
    made.add(table("domain", columns, rows, words, caption=words("domain_counts")))
    months = every_month(result["questions_per_month"])
    names = {month: words("no_time") if month == "unknown" else month for month in months}
    _counted(context, "months", words("month"), {names[m]: n for m, n in months.items()}, made)
    months_part(context, result.get("by_month"), made)
    _counted(context, "ratings", words("rating"), _every_rating(result["score_distribution"]), made)
    made.add(*who_rates_part(context))
    _words(context, result, made)
    slang = sorted(result["slang_indicator_counts"].items(), key=lambda pair: -pair[1])
    _counted(context, "slang", words("word"), dict(slang), made)
    return made


def _every_rating(counts: Mapping[str, int]) -> Mapping[str, int]:
    """Return how often which rating was given; those of 1 to 5 that nobody gave are seen as 0."""
    if not counts or not set(counts) <= set(_RATINGS):
        return counts
    return {rating: counts.get(rating, 0) for rating in _RATINGS}


def _counted(context: Context, name: str, what: str, counts: Mapping[str, int], made: Page) -> None:
    words = context.words
    made.add(heading(words(f"domain_by_{name}")))
    if not counts:
        made.add(paragraph(words("empty_table")))
        return
    made.add(
        figures.columns(
            list(counts), {words("questions"): list(counts.values())}, what, words("questions")
        )
    )
    columns: list[Col | str] = [what, Col(words("questions"), numeric=True)]
    rows = [[key, number_cell(n)] for key, n in counts.items()]
    made.add(table(name, columns, rows, words, caption=words(f"domain_by_{name}")))


def _words(context: Context, result: Mapping[str, Any], made: Page) -> None:
    words = context.words
    made.add(heading(words("domain_words")), paragraph(words("domain_words_help")))
    first = result.get(_WORDS[0]) or []
    if first:
        shown = first[:_IN_PLOT]
        made.add(heading(words(f"domain_{_WORDS[0]}"), 3))
        made.add(
            figures.columns(
                [row[0] for row in shown],
                {words("z_score"): [row[2] for row in shown]},
                words("z_score"),
                "",
                lying=True,
            )
        )
    for name in _WORDS:
        found = result.get(name) or []
        columns: list[Col | str] = [words("word"), Col(words("times"), numeric=True)]
        if found and len(found[0]) > 2:
            columns.append(Col(words("z_score"), numeric=True))
        rows = [[row[0], *(number_cell(v, 2) for v in row[1 : len(columns)])] for row in found]
        made.add(
            table(name.replace("_", "-"), columns, rows, words, caption=words(f"domain_{name}"))
        )
