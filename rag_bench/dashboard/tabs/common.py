"""What several tabs show alike: which settings, names of models with their marks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from markupsafe import Markup
from sqlalchemy import select

from rag_bench.answer_sources import source_of
from rag_bench.dashboard.page.forms import choice
from rag_bench.dashboard.page.parts import join, link, mark, paragraph, said
from rag_bench.dashboard.page.tables import Cell
from rag_bench.store.labels.checked import Scored, checked_pairs, is_judged
from rag_bench.store.public_names import masked_given
from rag_bench.store.tables import dataset

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Engine

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


def model_names(models: str, words: Words) -> Cell:
    """Return a cell with the models of an evaluation (`Listed.models`), each with its marks."""
    named = (model_name(one, words) for one in models.split(" · ") if one)
    return Cell(join(named, " · "), models)


def simulated_note(models: Iterable[str | None], words: Words) -> Markup | None:
    """Return what must be known before anything is decided by simulated models; None: no such."""
    return said(words("simulated_present"), "warn") if any(map(is_simulated, models)) else None


def tier_name(tier: str, words: Words) -> str:
    """Return a tier with what it measures."""
    return words.known(f"tier_{tier}", tier)


def step_name(tier: str, kind: str, words: Words) -> Cell:
    """Return a cell with what an evaluation holds of a tier: answers, scores of them, metrics."""
    text = f"{tier_name(tier, words)} · {words.known(f'kind_{kind}', kind)}"
    return Cell(text, f"{tier} · {kind}")


def judge_name(judge: str | None, words: Words, *, checked: bool) -> Markup:
    """Return a benchmark judge's key, marked where nobody compared it with people."""
    name = model_name(judge, words)
    return (
        name
        if checked or not judge
        else name + mark(words("unchecked"), words("unchecked_title"), "rb-unchecked")
    )


def checked_judges(context: Context) -> frozenset[str]:
    """Return the judges whose scores were compared with people's labels, by any metric."""
    return frozenset(one.judge for one in _checked(context))


def is_checked(context: Context, judge: str | None, *metrics: str) -> bool:
    """Whether a judge's scores by all of these metrics were compared with people's labels; those
    that no judge gives do not count.
    """
    given = (Scored(judge or "", metric) for metric in metrics if is_judged(metric))
    return not judge or all(one.of_labels in _checked(context) for one in given)


def _checked(context: Context) -> frozenset[Scored]:
    return context.kept.of(context.engine, _checked_pairs, context.newest_label)


def _checked_pairs(engine: Engine, newest: int) -> frozenset[Scored]:
    """As of a label: what is kept goes when somebody labels, or when anything is measured."""
    return checked_pairs(engine)


def settings_choice(context: Context) -> Markup:
    """Return the choice of what was measured: newest first."""
    options = [
        (one.settings_hash, settings_name(context, one.settings_hash)) for one in context.measured
    ]
    return choice(
        "settings",
        context.words("settings"),
        options,
        context.settings_hash or "",
        ("page", "case"),
    )


def settings_name(context: Context, settings_hash: str) -> str:
    """Return what settings are called: dataset, retriever, limit, hash."""
    words, names = context.words, context.keep(_dataset_names)
    one = next(one for one in context.measured if one.settings_hash == settings_hash)
    parts = [names.get(one.dataset_id or "", ""), words("search_is", retriever=one.retriever)]
    parts += [words("limit_n", n=one.limit)] if one.limit is not None else []
    return " · ".join(part for part in [*parts, settings_hash[:SHORT]] if part)


def _dataset_names(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(select(dataset.c.id, dataset.c.name)).all()
    shown = masked_given(engine, [row.name for row in rows])
    return {row.id: name for row, name in zip(rows, shown, strict=True)}


def measured_elsewhere(context: Context, tier: str, tab: str) -> Markup:
    """Return a link to the newest settings under which a tier of judges was measured, where it was
    not under those that are shown; nothing where it never was.
    """
    from rag_bench.store.evaluations import settings_seen

    shown = {one.settings_hash for one in context.measured}
    for found, _ in settings_seen(context.engine, tier=tier, kind="scores"):
        if found in shown and found != context.settings_hash:
            text = context.words("measured_elsewhere", settings=settings_name(context, found))
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
