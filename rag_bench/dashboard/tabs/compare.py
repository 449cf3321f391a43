"""Compare: two evaluations or runs, A before and B after; a word per metric, and the cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from rag_bench.dashboard.page import figures
from rag_bench.dashboard.page.forms import choice, choices, search_box
from rag_bench.dashboard.page.parts import (
    Page,
    bullets,
    direction,
    heading,
    join,
    link,
    mark,
    metric_help,
    paragraph,
    said,
)
from rag_bench.dashboard.page.tables import Cell, Col, long_cell, number, number_cell, p_cell, table
from rag_bench.dashboard.tabs.common import model_names, moment, step_name
from rag_bench.dashboard.tabs.parts.compare_causes import causes_part
from rag_bench.dashboard.tabs.parts.compare_inputs import what_differs
from rag_bench.dashboard.tabs.parts.gate_verdict import crossed, of_sides, unchecked_mark
from rag_bench.dashboard.texts import masking_note, names_of_cases, shown
from rag_bench.reporting.compared.comparing import compare
from rag_bench.reporting.compared.sides import NothingToCompareError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Engine

    from rag_bench.dashboard.context import Context
    from rag_bench.dashboard.words import Words
    from rag_bench.reporting.compared.shapes import Alone, Changed, Compared, MetricCompared
    from rag_bench.reporting.compared.sides import Side
    from rag_bench.store.evaluations.listing import Listed

FILTERS = ("regressed", "improved", "different", "errors", "unpaired")
_PER_LIST = 200
_SUGGESTED = 20
# Two lists of them are in the page: of more its beginning would be only lists.
_OFFERED = 100
_WORDS = {
    "got worse": "got_worse",
    "no worse than the margin": "no_worse",
    "cannot tell": "cannot_tell",
}
_TONES = {"got worse": "bad", "no worse than the margin": "good"}


def page(context: Context) -> Page:
    """Return the page."""
    words, view, made = context.words, context.view, Page()
    a, b = view.get("a"), view.get("b")
    options = _options(context)
    made.add(
        choices(
            search_box("a", words("side_a"), a, options),
            search_box("b", words("side_b"), b, options),
        )
    )
    if not a or not b:
        made.add(said(words("choose_two"), "empty"), *_suggested(context))
        return made
    try:
        found = _compared(context, a, b)
    except NothingToCompareError as error:
        side = words("side_a" if error.side == "a" else "side_b")
        made.add(said(words("side_lost", side=side), "warn"), *_suggested(context))
        return made
    _verdict(context, found, made)
    made.add(*of_sides(context, found))
    _metrics(context, found, made)
    what_differs(context, found, made)
    made.add(*causes_part(context, found))
    _cases(context, found, made)
    return made


def _compared(context: Context, a: str, b: str) -> Compared:
    # Evaluations never change; a run of the service may still be at work.
    if a.isascii() and a.isdigit() and b.isascii() and b.isdigit():
        return context.keep(compare, a, b)
    return compare(context.engine, a, b)


def _options(context: Context) -> list[tuple[str, str]]:
    """Return the newest evaluations of models, in words."""
    words = context.words
    return [
        (
            str(one.id),
            f"{step_name(one.tier, one.kind, words).shown} · {one.models} · "
            f"{moment(one.finished_at)}",
        )
        for one in context.keep(_newest)
        if one.models
    ]


def _newest(engine: Engine) -> list[Listed]:
    from rag_bench.store.evaluations.listing import listed

    return listed(engine, limit=_OFFERED)[0]


def _suggested(context: Context) -> list[object]:
    from rag_bench.store.evaluations.listing import neighbours_in_time

    words, view = context.words, context.view
    found = context.keep(neighbours_in_time, _SUGGESTED)
    if not found:
        return [paragraph(words("nothing_twice"))]
    rows = [
        [
            link(f"№ {earlier} → № {one.id}", view.link(a=earlier, b=one.id)),
            step_name(one.tier, one.kind, words),
            model_names(one.models, words),
            moment(one.finished_at),
        ]
        for earlier, one in found
    ]
    columns = [words(t) for t in ("comparison", "tier", "models", "finished")]
    caption = words("measured_again")
    return [heading(caption), table("suggested", columns, rows, words, caption=caption)]


def _verdict(context: Context, found: Compared, made: Page) -> None:
    words = context.words
    kind = {"got worse": "bad", "cannot tell": "warn"}.get(found.verdict, "note")
    made.add(said(words(f"word_{_WORDS[found.verdict]}"), kind))
    made.add(
        bullets(
            join([words(name), ": ", _side(context, side)])
            for name, side in (("side_a", found.a), ("side_b", found.b))
        ),
        paragraph(words("pairs_of", n=found.n_pairs, pages=found.n_pages)),
    )
    swap = context.view.link(a=context.view.get("b"), b=context.view.get("a"))
    made.add(paragraph(link(words("swap"), swap)))


def _metrics(context: Context, found: Compared, made: Page) -> None:
    words = context.words
    rows = [_metric_row(words, one) for one in found.metrics]
    # The word is what is looked for, also where a phone shows two columns.
    columns: list[Col | str] = [words("measure"), words("verdict")]
    columns += [Col(words(t), numeric=True) for t in ("side_a", "side_b", "difference", "interval")]
    columns += [Col(words(t), numeric=True) for t in ("p_holm", "margin", "detectable", "pairs")]
    made.add(heading(words("metrics")), paragraph(words("compare_help")))
    columns.append(words("why"))
    made.add(table("compared", columns, rows, words, caption=words("compare_caption")))
    scaled = [
        one
        for one in found.metrics
        # Of what is better on neither side nothing can lie to the right.
        if one.comparison.difference.value is not None
        and one.margin
        and one.higher_is_better is not None
    ]
    if scaled:
        made.add(heading(words("differences_in_margins"), 3))
        made.add(
            figures.bars(
                [one.name for one in scaled],
                {words("difference"): [_in_margins(one) for one in scaled]},
                words("margins_axis"),
            )
        )


def _in_margins(one: MetricCompared) -> dict[str, float | None]:
    """Return a difference in units of what may be lost, positive where B is better."""
    difference, margin = one.comparison.difference, one.margin or 1.0
    sign = -1.0 if one.higher_is_better is False else 1.0
    ends = [
        None if end is None else sign * end / margin
        for end in (difference.ci_low, difference.ci_high)
    ]
    known = sorted(end for end in ends if end is not None)
    value = difference.value
    return {
        "value": None if value is None else sign * value / margin,
        "ci_low": known[0] if len(known) == 2 else None,
        "ci_high": known[1] if len(known) == 2 else None,
    }


def _side(context: Context, side: Side) -> Markup:
    """Return what a side is: of an evaluation its number, step, models and time."""
    words, view = context.words, context.view
    row = _evaluation(context, side)
    if row is None:
        name = f"{words.known(side.kind, side.kind)} {side.id}"
        opened = view.link("runs", run=side.id) if side.kind == "run" else ""
        return link(name, opened) if opened else Markup("{}").format(name)
    roles = ("generation_model", "benchmark_judge_model", "production_judge_model")
    parts = [
        link(f"№ {side.id}", view.link("runs", evaluation=side.id)),
        step_name(row["tier"], row["kind"], words).shown,
        model_names(" · ".join(row[role] for role in roles if row[role]), words).shown,
        moment(row["finished_at"]),
    ]
    return join((part for part in parts if part), " · ")


def _evaluation(context: Context, side: Side) -> Mapping[str, Any] | None:
    """Return what is stored of a side that is an evaluation; None: it is something else."""
    from rag_bench.store.evaluations.listing import whole

    return context.keep(whole, int(side.id)) if side.kind == "evaluation" else None


def _metric_row(words: Words, one: MetricCompared) -> list[Any]:
    compared, decision = one.comparison, one.decision
    difference = compared.difference
    interval = ""
    if difference.ci_low is not None and difference.ci_high is not None:
        interval = f"{number(difference.ci_low)} … {number(difference.ci_high)}"
    verdict = words(f"short_{_WORDS[decision.word]}")
    if decision.better:
        verdict += f", {words('verdict_better')}"
    why = words.sentence(decision.reason or "")
    if decision.needed:
        needs = words("needs_n", n=decision.needed.questions, pages=decision.needed.pages)
        why = f"{why}. {needs}" if why else needs
    name: list[object] = [one.name + direction(one.name), metric_help(one.name, words)]
    if one.carried is not None:
        told = crossed(words, one.as_json()["across_bridge"])
        name += [" ", mark(words("across_bridge"), told)]
        why = f"{why}. {told}" if why else told
    if one.never_checked:
        name += [" ", unchecked_mark(words, one.never_checked)]
    return [
        Cell(join(name), one.name),
        Cell(verdict, decision.word, tone=_TONES.get(decision.word, "")),
        number_cell(one.a),
        number_cell(one.b),
        number_cell(difference.value),
        Cell(interval, numeric=True),
        p_cell(one.p_adjusted),
        number_cell(one.margin),
        number_cell(compared.minimum_detectable),
        Cell(f"{difference.n_scored}/{difference.n_expected}", difference.n_scored, True),
        Cell(Markup('<div class="rb-long">{}</div>').format(why), why),
    ]


def _cases(context: Context, found: Compared, made: Page) -> None:
    words, view = context.words, context.view
    wanted = view.get("filter") if view.get("filter") in FILTERS else FILTERS[0]
    errors = [one for one in found.alone if one.case.state != "done" or one.metric]
    lists: dict[str, list[Changed] | list[Alone]] = {
        "regressed": list(found.worse),
        "improved": list(found.better),
        "different": sorted([*found.worse, *found.better], key=lambda one: -abs(one.difference)),
        "errors": errors,
        "unpaired": [one for one in found.alone if one not in errors],
    }
    options = [(one, f"{words(f'filter_{one}')} ({len(lists[one])})") for one in FILTERS]
    made.add(
        heading(words("cases").capitalize()),
        choices(choice("filter", words("show"), options, wanted)),
    )
    made.add(masking_note(context))
    if wanted in ("errors", "unpaired"):
        made.add(_alone_table(context, lists[wanted]))  # type: ignore[arg-type]
    else:
        made.add(_changed_table(context, lists[wanted], found.b))  # type: ignore[arg-type]


def _changed_table(context: Context, found: list[Changed], side: Side) -> object:
    words, row = context.words, _evaluation(context, side)
    # Questions are opened as they were answered in B, whatever was measured last.
    opened = row["settings_hash"] if row else None
    shown_rows = found[:_PER_LIST]
    texts = shown(context, [one.case_b.asked.question or "" for one in shown_rows])
    rows = [
        [
            _question_cell(context, opened, one),
            long_cell(text),
            one.metric,
            number_cell(one.a),
            number_cell(one.b),
            number_cell(one.difference, tone="bad" if one.worse else "good"),
            words("yes") if one.beyond_margin else words("no"),
        ]
        for one, text in zip(shown_rows, texts, strict=True)
    ]
    columns: list[Col | str] = [words(t) for t in ("question_id", "question", "measure")]
    columns += [Col(words(t), numeric=True) for t in ("side_a", "side_b", "difference")]
    columns.append(words("beyond_margin"))
    caption = words("cases_caption", n=len(shown_rows), all=len(found))
    return table("cases", columns, rows, words, caption=caption)


def _question_cell(context: Context, settings_hash: str | None, one: Changed) -> Cell:
    """Return a case's id; of an evaluation it opens the question, which a run's case is none of."""
    dataset_id = context.board.dataset.id if settings_hash and context.board else None
    asked = one.case_b.asked.case_id
    case_id = names_of_cases(context, dataset_id, [asked])[asked]
    if settings_hash is None:
        return Cell(case_id)
    opened = context.view.link("questions", case=case_id, settings=settings_hash)
    return Cell(link(case_id, opened), case_id)


def _alone_table(context: Context, found: list[Alone]) -> object:
    words = context.words
    shown_rows = found[:_PER_LIST]
    texts = shown(context, [one.case.asked.question or "" for one in shown_rows])
    rows = [
        [
            names_of_cases(context, None, [one.case.asked.case_id])[one.case.asked.case_id],
            long_cell(text),
            words("only_a" if one.side == "a" else "only_b"),
            one.metric or "",
            words.detail(one.reason),
        ]
        for one, text in zip(shown_rows, texts, strict=True)
    ]
    columns = [words(t) for t in ("question_id", "question", "only_in", "measure", "why")]
    caption = words("cases_caption", n=len(shown_rows), all=len(found))
    return table("cases", columns, rows, words, caption=caption)
