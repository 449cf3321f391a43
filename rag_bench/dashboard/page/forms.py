"""Choices, fields and buttons: what changes the view, and what does something."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from rag_bench.dashboard.page.parts import join


def choice(
    parameter: str,
    label: str,
    options: Sequence[tuple[str, str]],
    chosen: str,
    resets: Sequence[str] = ("page",),
) -> Markup:
    """Return a list to choose from; the view follows. ``options``: (value, text).

    ``resets``: parameters that lose their meaning with another choice.
    """
    items = join(
        Markup('<option value="{}"{}>{}</option>').format(
            value, Markup(" selected") if value == chosen else "", text
        )
        for value, text in options
    )
    return Markup(
        '<label class="rb-choice"><span>{}</span><select id="rb-choice-{}" data-param="{}" '
        'data-resets="{}">{}</select></label>'
    ).format(label, parameter, parameter, " ".join(resets), items)


def search_box(
    parameter: str, label: str, value: str, options: Sequence[tuple[str, str]] = ()
) -> Markup:
    """Return a field to write into; Enter applies it. ``options``: (value, text) to choose from."""
    items = join(Markup('<option value="{}">{}</option>').format(*one) for one in options)
    offered = Markup('<datalist id="rb-list-{}">{}</datalist>').format(parameter, items)
    return Markup(
        '<label class="rb-choice"><span>{}</span><input type="search" id="rb-choice-{}" '
        'data-param="{}" data-resets="page case" value="{}" maxlength="200"{}></label>{}'
    ).format(
        label,
        parameter,
        parameter,
        value,
        Markup(' list="rb-list-{}"').format(parameter) if options else "",
        offered if options else "",
    )


def form(
    act: str,
    button: str,
    fields: Mapping[str, str],
    *asked: tuple[str, str, str, Sequence[str]],
) -> Markup:
    """Return a button that does something (`rag_bench.dashboard.acting`).

    Args:
        act: what it does, by name.
        button: its words.
        fields: what it sends.
        asked: fields to write into: name, label, what stands in it, what is offered.
    """
    return Markup('<form class="rb-act" data-act="{}">{}<button>{}</button></form>').format(
        act, _fields(fields, asked), button
    )


def form_of_rows(
    name: str, act: str, fields: Mapping[str, str], *asked: tuple[str, str, str, Sequence[str]]
) -> Markup:
    """Return a form whose buttons stand in the rows of a table (`row_button`).

    ``name``: of the form in the page; the rest as in `form`.
    """
    # Enter in a field presses a form's first button, which would be that of the first row.
    return Markup(
        '<form class="rb-act" id="rb-form-{}" data-act="{}"><button disabled hidden></button>{}'
        "</form>"
    ).format(name, act, _fields(fields, asked))


def row_button(form_name: str, field_name: str, value: str, text: str, label: str) -> Markup:
    """Return a button of a row, which sends its form with one more field.

    ``label``: the button's words with the row that it is of, for who hears them.
    """
    return Markup(
        '<button form="rb-form-{}" name="{}" value="{}" aria-label="{}">{}</button>'
    ).format(form_name, field_name, value, label, text)


def _fields(
    hidden: Mapping[str, str], asked: Sequence[tuple[str, str, str, Sequence[str]]]
) -> Markup:
    made = [
        Markup('<input type="hidden" name="{}" value="{}">').format(*one) for one in hidden.items()
    ]
    for name, label, value, offered in asked:
        options = join(Markup('<option value="{}">').format(one) for one in offered)
        made.append(
            Markup(
                '<label><span>{0}</span> <input name="{1}" value="{2}" maxlength="100" required '
                'list="rb-offered-{1}"></label><datalist id="rb-offered-{1}">{3}</datalist> '
            ).format(label, name, value, options)
        )
    return join(made)


def choices(*made: Markup) -> Markup:
    """Return the choices of a page in one row."""
    return Markup('<div class="rb-choices">{}</div>').format(join(made))
