"""Labelling a draw's cases: blind to model and verdict, the guideline at hand, by keyboard."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from markupsafe import Markup

from rag_bench.access.scopes import Scope
from rag_bench.dashboard.page.parts import Page, heading, join, link, paragraph, said
from rag_bench.dashboard.texts import masking_note, shown, unmasked
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.measures import Measure, measure_of
from rag_bench.store.labels.agreeing import standing
from rag_bench.store.labels.draws import Draw, get_draw
from rag_bench.store.labels.guidelines import get_guideline
from rag_bench.store.labels.labelling import (
    Progress,
    case_named,
    case_names,
    case_to_label,
    label_case,
    progress,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from rag_bench.dashboard.context import Context

SCOPES = frozenset({Scope.LABEL})
COULD_NOT_TELL = "?"


def annotator_of(context: Context, given: str = "") -> str:
    """Return who labels: the key's owner; on one's own machine whoever the view names."""
    if context.viewer.user_id:
        return context.viewer.user_id
    return given or context.view.get("annotator") or os.environ.get("BENCHMARK_RUN_AUTHOR", "local")


def draw_page(context: Context) -> Page:
    """Return the page of a draw: the next case to label, or what is to be settled."""
    words, view, made = context.words, context.view, Page()
    made.add(
        Markup('<nav class="rb-pager" aria-label="{}">{}</nav>').format(
            words("pages"),
            link(words("back_to_judges"), view.link(draw=None, case=None, annotator=None)),
        )
    )
    if not SCOPES & context.viewer.scopes:
        made.add(said(words("label_no_scope"), "bad"))
        return made
    try:
        draw = get_draw(context.engine, _number(view.get("draw")))
    except RagBenchError as error:
        made.add(said(words.sentence(str(error)), "warn"))
        return made
    try:
        done = progress(context.engine, draw, annotator_of(context))
    except RagBenchError as error:
        # Somebody else may still settle what annotators differ on.
        made.add(said(words.sentence(str(error)), "warn"))
        _choose_annotator(context, draw, made)
        _disputes(context, draw, made)
        return made
    made.add(heading(words("label_draw_n", n=draw.id, metric=draw.metric)))
    made.add(
        paragraph(
            words(
                "label_progress",
                done=done.n_done,
                all=len(done.cases),
                who=annotator_of(context),
            )
        )
    )
    _bar(done, made)
    asked = case_named(context.engine, draw, view.get("case"))
    case = asked if asked in done.cases else done.next_after()
    if case is None:
        made.add(said(words("label_all_done"), "note"))
        _disputes(context, draw, made)
        return made
    _case(context, draw, done, case, made)
    _guideline(context, draw, made)
    return made


def _choose_annotator(context: Context, draw: Draw, made: Page) -> None:
    if context.viewer.user_id:
        return
    names = [link(name, context.view.link(annotator=name)) for name in draw.annotators]
    made.add(paragraph(join([context.words("label_as"), " ", join(names, " · ")])))


def _bar(done: Progress, made: Page) -> None:
    made.add(
        Markup('<progress class="rb-progress" max="{}" value="{}">{}/{}</progress>').format(
            len(done.cases), done.n_done, done.n_done, len(done.cases)
        )
    )


def _case(context: Context, draw: Draw, done: Progress, case: str, made: Page) -> None:
    words, view = context.words, context.view
    try:
        one = case_to_label(context.engine, draw, case)
    except RagBenchError as error:
        made.add(said(str(error), "warn"))
        return
    texts = shown(context, [one.question, one.answer, one.reference, *one.contexts])
    before, behind = done.neighbours(case)
    beside = [one for one in (case, before, behind) if one is not None]
    names = case_names(context.engine, draw, beside, unmasked=unmasked(context))
    steps = [
        Markup('<a href="{}" data-go rel="{}">{}</a>').format(
            view.link(case=names[other]), rel, words(text)
        )
        for rel, other, text in (("prev", before, "previous"), ("next", behind, "next"))
        if other is not None
    ]
    place = words("label_place", n=done.cases.index(case) + 1, all=len(done.cases))
    made.add(
        Markup('<nav class="rb-pager" aria-label="{}">{} {}</nav>').format(
            words("pages"), place, join(steps, " ")
        )
    )
    made.add(_block(words("label_question"), texts[0]))
    for n, text in enumerate(texts[3:], 1):
        made.add(_block(words("label_context", n=n), text))
    if one.reference:
        made.add(_block(words("reference_answer"), texts[2]))
    if one.answer:
        made.add(_block(words("label_answer"), texts[1], "rb-to-label"))
    made.add(_values(context, draw, names[case], done.values.get(case)))
    made.add(Markup("<p><small>{}</small></p>").format(words("label_keys_help")))
    made.add(masking_note(context))


def _block(title: str, text: str, kind: str = "") -> Markup:
    return Markup('<h3>{}</h3><div class="rb-text {}">{}</div>').format(title, kind, text)


def _values(context: Context, draw: Draw, case: str, now: float | None) -> Markup:
    """Return the buttons; the value that is stored already is marked."""
    words, measure = context.words, measure_of(draw.metric)
    buttons = join(
        Markup(
            '<button name="value" value="{0}" data-key="{1}" aria-pressed="{2}"{3}>{4}</button>'
        ).format(
            value,
            key,
            "true" if pressed else "false",
            Markup(' class="rb-pressed"') if pressed else "",
            text,
        )
        for value, key, text, pressed in (
            *(
                (f"{value:g}", str(key), _value_name(context, measure, value), now == value)
                for key, value in enumerate(measure.values, 1)
            ),
            (COULD_NOT_TELL, "0", words("could_not_tell"), False),
        )
    )
    return Markup(
        '<form class="rb-act rb-label" data-act="label_case" aria-label="{0}">'
        '<input type="hidden" name="draw" value="{1}"><input type="hidden" name="case" value="{2}">'
        '<input type="hidden" name="annotator" value="{3}"><b>{0}</b> {4} '
        '<label><span>{5}</span> <input name="note" maxlength="1000"></label></form>'
    ).format(
        words("label_value"), draw.id, case, annotator_of(context), buttons, words("label_note")
    )


def _value_name(context: Context, measure: Measure, value: float) -> str:
    """Return what a button says: the value, and what the ends mean: no and yes, hide and show."""
    ends = ("label_hide", "label_show") if measure.source == "gate" else ("label_no", "label_yes")
    if measure.source == "rubric" or value not in measure.scale:
        return f"{value:g}"
    return f"{value:g} · {context.words(ends[int(value)])}"


def _guideline(context: Context, draw: Draw, made: Page) -> None:
    found = get_guideline(context.engine, draw.guideline, draw.guideline_version)
    if found is not None:
        made.add(
            Markup(
                '<details open><summary>{}</summary><div class="rb-text">{}</div></details>'
            ).format(context.words("label_guideline", name=str(found)), found.text)
        )


def _disputes(context: Context, draw: Draw, made: Page) -> None:
    """Add the cases on which annotators differ: for those who have labelled all of theirs."""
    words, stands = context.words, standing(context.engine, draw)
    if not stands.pairs:
        return
    made.add(heading(words("to_settle").capitalize()))
    if not stands.to_settle:
        made.add(said(words("nothing_to_settle"), "empty"))
    waiting = [one.case_id for one in stands.to_settle]
    names = case_names(context.engine, draw, waiting, unmasked=unmasked(context))
    for dispute in stands.to_settle:
        try:
            one = case_to_label(context.engine, draw, dispute.case_id)
        except RagBenchError as error:
            made.add(said(str(error), "warn"))
            continue
        question, answer, reference = shown(context, [one.question, one.answer, one.reference])
        differing = ", ".join(f"{name} {value:g}" for name, value in dispute.said.items())
        parts: list[object] = [
            Markup("<h3>{}: {}</h3>").format(names[dispute.case_id], differing),
            _block(words("label_question"), question),
        ]
        if reference:
            parts.append(_block(words("reference_answer"), reference))
        if answer:
            parts.append(_block(words("label_answer"), answer))
        fields = {
            "draw": str(draw.id),
            "case": names[dispute.case_id],
            "annotator": annotator_of(context),
        }
        parts.append(_settling(context, draw, fields))
        made.add(Markup('<section class="rb-answer">{}</section>').format(join(parts)))


def _settling(context: Context, draw: Draw, fields: Mapping[str, str]) -> Markup:
    """Return the buttons that settle a case."""
    hidden = join(
        Markup('<input type="hidden" name="{}" value="{}">').format(*one) for one in fields.items()
    )
    buttons = join(
        Markup('<button name="value" value="{0}">{0}</button>').format(f"{value:g}")
        for value in measure_of(draw.metric).values
    )
    return Markup(
        '<form class="rb-act rb-label" data-act="label_settle">{}<b>{}</b> {}</form>'
    ).format(hidden, context.words("label_settle"), buttons)


def store(context: Context, connection: Connection, fields: Mapping[str, str]) -> Markup:
    """Store a label; the page then shows the next case without one."""
    return _store(context, connection, fields, settles=False)


def settle(context: Context, connection: Connection, fields: Mapping[str, str]) -> Markup:
    """Settle a case on which annotators differ."""
    return _store(context, connection, fields, settles=True)


def _store(
    context: Context, connection: Connection, fields: Mapping[str, str], *, settles: bool
) -> Markup:
    words, value = context.words, fields.get("value", "").strip()
    draw, name = get_draw(context.engine, _number(fields.get("draw", ""))), fields.get("case", "")
    case = case_named(context.engine, draw, name)
    number = None if value == COULD_NOT_TELL else measure_of(draw.metric).value_of(value)
    if number is None and value != COULD_NOT_TELL:
        raise RagBenchError(words("label_bad_value"))
    who = annotator_of(context, fields.get("annotator", ""))
    label_case(connection, draw, case, number, who, note=fields.get("note"), settles=settles)
    return said(words("label_stored", case=name, value=value, who=who), "note")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
