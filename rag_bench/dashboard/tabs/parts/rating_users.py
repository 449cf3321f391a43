"""Who rates: rated answers beside the others, before anybody believes in ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.parts import heading, paragraph, said
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    metric_cell,
    metric_digits,
    number,
    number_cell,
    table,
)
from rag_bench.evaluation.ranking import percent
from rag_bench.reporting.details.who_rates import who_rates

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words
    from rag_bench.settings import Settings


def who_rates_part(context: Context) -> list[object]:
    """Return who rates how often, and how rated answers differ from the others."""
    from rag_bench.store.snapshots import current_snapshot

    words = context.words
    parts: list[object] = [heading(words("who_rates"))]
    snapshot = current_snapshot(context.engine)
    sha256 = None if snapshot is None else snapshot.sha256
    found = context.keep(_of_snapshot, sha256, context.settings)
    if not found["n_rated"]:
        return [*parts, paragraph(words("nobody_rates"))]
    parts.append(said(words("who_rates_claim"), "warn"))
    line = words(
        "who_rates_counts",
        rated=number(found["n_rated"]),
        all=number(found["n_answers"]),
        raters=number(found["n_raters"]),
        users=number(found["n_users"]),
    )
    if found["share_of_the_busiest_tenth"] is not None:
        line += " " + words("who_rates_busiest", share=percent(found["share_of_the_busiest_tenth"]))
    parts.append(paragraph(line))
    rows: list[list[Any]] = [
        [
            Cell(words("rates_share"), "share_rated"),
            metric_cell(found["share_rated"], words),
            "",
            "",
            "",
        ]
    ]
    rows += [
        [
            Cell(words(f"rates_{one['measure']}"), one["measure"]),
            metric_cell(one["rated"], words),
            metric_cell(one["others"], words),
            number_cell(one["difference"], metric_digits(one["rated"])),
            Cell(_between(one, metric_digits(one["rated"])), numeric=True),
        ]
        for one in found["rated_against_others"]
    ]
    columns: list[Col | str] = [words("measure")]
    titles = ("rated_answers", "other_answers", "difference", "interval")
    columns += [Col(words(title), numeric=True) for title in titles]
    caption = words("rated_against_others")
    parts.append(table("rated-against-others", columns, rows, words, caption=caption))
    parts.append(_groups(words, found))
    return parts


def _of_snapshot(engine: Engine, _: str | None, settings: Settings) -> dict[str, Any]:
    """Return who rates, as the report has it; the snapshot says when it is read anew."""
    return who_rates(engine, settings).as_json()


def _groups(words: Words, found: dict[str, Any]) -> object:
    rows = [
        [
            words(f"rates_by_{one['by']}"),
            words.sentence(one["group"]),
            number_cell(one["n_answers"]),
            number_cell(one["n_rated"]),
            number_cell(one["share_rated"]),
            Cell(_between(one), numeric=True),
        ]
        for one in found["groups"]
    ]
    columns: list[Col | str] = [words("rates_by"), words("rates_group")]
    titles = ("answers_given", "rated_answers", "rates_share", "interval")
    columns += [Col(words(title), numeric=True) for title in titles]
    return table("rated-by-group", columns, rows, words, caption=words("rated_by_group"))


def _between(one: dict[str, Any], digits: int = 3) -> str:
    if one["ci_low"] is None or one["ci_high"] is None:
        return ""
    return f"{number(one['ci_low'], digits)} … {number(one['ci_high'], digits)}"
