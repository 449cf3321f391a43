"""What several tabs show alike: which settings, names of models with their marks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup

from rag_bench.answer_sources import source_of
from rag_bench.dashboard.labels.following import labelled_judges
from rag_bench.dashboard.page.parts import choice, link, mark, paragraph

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words
    from rag_bench.reporting.leaderboard import Leaderboard

SHORT = 12


def is_simulated(model: str | None) -> bool:
    """Whether a model only plays one."""
    return bool(model) and str(model).startswith("simulator/sim-")


def model_name(model: str | None, words: Words, *, configured: bool = True) -> Markup:
    """Return a model's key with what must be known of it; nothing for none."""
    if not model:
        return Markup("")
    name = Markup("{}").format(model)
    if is_simulated(model):
        name += mark(words("simulated"), words("simulated_title"))
    if source_of(model):
        name += mark(words("not_a_model"), words("not_a_model_title"))
    if not configured:
        name += mark(words("not_configured"), words("not_configured_title"))
    return name


def judge_name(judge: str | None, words: Words, *, checked: bool) -> Markup:
    """Return a benchmark judge's key, marked where nobody compared it with people."""
    name = model_name(judge, words)
    return (
        name
        if checked or not judge
        else name + mark(words("unchecked"), words("unchecked_title"), "rb-unchecked")
    )


def checked_judges(context: Context, board: Leaderboard) -> set[str]:
    """Return the judges whose scores were compared with people's labels."""
    return labelled_judges(context) | {
        row.benchmark_judge_model
        for row in board.rows
        if row.benchmark_judge_model
        and (row.metrics.get("tier_judge", {}).get("n_label_answers") or {}).get("value")
    }


def settings_choice(context: Context) -> Markup:
    """Return the choice of what was measured: newest first."""
    words = context.words
    options = []
    for one in context.measured:
        limit = f" · {words('limit_n', n=one.limit)}" if one.limit is not None else ""
        options.append((one.settings_hash, f"{one.settings_hash[:SHORT]} · {one.retriever}{limit}"))
    return choice(
        "settings", words("settings"), options, context.settings_hash or "", ("page", "case")
    )


def measured_elsewhere(context: Context, tier: str, tab: str) -> Markup:
    """Return a link to the newest settings under which a tier of judges was measured, where it was
    not under those that are shown; nothing where it never was.
    """
    from rag_bench.store.evaluations import settings_seen

    shown = {one.settings_hash for one in context.measured}
    for found, _ in settings_seen(context.engine, tier=tier, kind="scores"):
        if found in shown and found != context.settings_hash:
            text = context.words("measured_elsewhere", settings=found[:SHORT])
            return link(text, context.view.link(tab, settings=found))
    return Markup("")


def measured_line(context: Context, board: Leaderboard) -> Markup:
    """Return on what the figures of a board rest."""
    words = context.words
    text = words(
        "measured_on",
        n=board.n_questions,
        all=board.dataset.n_items,
        dataset=board.dataset.name,
        retriever=board.retriever,
        settings=board.settings_hash[:SHORT],
    )
    return paragraph(text)


def moment(at: datetime | None) -> str:
    """Return a time in UTC, to the minute; nothing for none."""
    from datetime import UTC

    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else ""
