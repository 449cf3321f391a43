"""Pieces of HTML. Whatever comes from the store is escaped by `Markup`; nothing else makes tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from markupsafe import Markup, escape

from rag_bench.evaluation.catalogue import known
from rag_bench.evaluation.types import few_clusters_note

if TYPE_CHECKING:
    from rag_bench.dashboard.address import View
    from rag_bench.dashboard.words import Words

Part = "Markup | Figure"
T = TypeVar("T")
_FEW = 4


@dataclass
class Page:
    """One page: HTML and figures in their order."""

    parts: list[Any] = field(default_factory=list)

    def add(self, *parts: Any) -> None:
        """Put pieces at the end; None is nothing."""
        self.parts += [part for part in parts if part is not None]


def join(parts: Iterable[object], between: str = "") -> Markup:
    """Return pieces one after the other; texts are escaped."""
    return Markup(between).join(escape(part) for part in parts)


def heading(text: str, level: int = 2, anchor: str = "") -> Markup:
    """Return a heading."""
    return Markup('<h{0} id="{2}">{1}</h{0}>').format(level, text, anchor or _slug(text))


def paragraph(text: object, kind: str = "") -> Markup:
    """Return a paragraph; ``kind`` is its class."""
    return Markup('<p class="{}">{}</p>').format(kind, text)


def said(text: object, kind: str = "note") -> Markup:
    """Return what must be noticed: ``note``, ``warn``, ``bad`` or ``empty``."""
    return Markup('<div class="rb-said rb-{}" role="note">{}</div>').format(kind, text)


def bullets(lines: Iterable[object]) -> Markup:
    """Return a list."""
    items = join(Markup("<li>{}</li>").format(line) for line in lines)
    return Markup("<ul>{}</ul>").format(items) if items else Markup("")


def numbered(lines: Iterable[object]) -> Markup:
    """Return a list with numbers."""
    items = join(Markup("<li>{}</li>").format(line) for line in lines)
    return Markup("<ol>{}</ol>").format(items) if items else Markup("")


def link(text: object, query: str, kind: str = "") -> Markup:
    """Return a link to another view, which opens without loading the page anew."""
    given = Markup(' class="{}"').format(kind) if kind else ""
    return Markup('<a href="{}" data-go{}>{}</a>').format(query, given, text)


def mark(text: str, title: str = "", kind: str = "") -> Markup:
    """Return a small mark beside a name."""
    return Markup(' <span class="rb-mark {}" title="{}">{}</span>').format(kind, title, text)


def number(value: float | int | None, digits: int = 3) -> str:
    """Return a number as text; nothing for no value, which is never 0."""
    if value is None:
        return ""
    if isinstance(value, int) or (digits == 0 and float(value).is_integer()):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:,.{digits}f}".replace(",", "\u202f")


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    Attributes:
        shown: what is read.
        value: what it is for CSV and tests; by default the text.
        numeric: it stands to the right.
        title: more about it, at the pointer.
        tone: ``good``, ``bad`` or ``weak``; never the only sign of it.
    """

    shown: object
    value: object = None
    numeric: bool = False
    title: str = ""
    tone: str = ""


def number_cell(value: float | int | None, digits: int = 3, **more: Any) -> Cell:
    """Return a cell with a number; an empty one where there is none."""
    return Cell(number(value, digits), "" if value is None else value, True, **more)


def usd_cell(value: float | None, digits: int = 4) -> Cell:
    """Return a cell with a cost; what cost nothing has no digits behind the point."""
    return number_cell(value, digits) if value else Cell("" if value is None else "0", value, True)


def scale_digits(scale: Sequence[float] | None, most: int = 3) -> int:
    """Return how many digits behind the point say something on a scale: of 1 to 5 two, of 0 to 100
    one. Without a scale ``most``.
    """
    return most if not scale else min(most, _digits(max(map(abs, scale))))


def digits_among(values: Iterable[float | int | None], digits: int = 2) -> int:
    """Return the digits of a column: none where all of its values are whole."""
    return 0 if all(value is None or float(value).is_integer() for value in values) else digits


def _digits(size: float) -> int:
    return next((3 - n for n in range(3) if size <= 10**n), 0)


def long_cell(text: object, value: str | None = None) -> Cell:
    """Return a cell with a text that is read whole, which has room on a phone as well."""
    return Cell(
        Markup('<div class="rb-long">{}</div>').format(text), text if value is None else value
    )


# A text of so many letters has more than two lines in the narrowest column.
_WIDE = 24
# Of a model with what must be known of it.
_ONE_NAME = 40


def p_cell(value: float | None) -> Cell:
    """Return a cell with a p-value, which is never quite 0."""
    small = value is not None and value < 0.001
    return Cell("< 0.001" if small else number(value), "" if value is None else value, True)


def metric_cell(metric: Mapping[str, Any] | None, words: Words, digits: int = 3) -> Cell:
    """Return a measured value with its interval and how many cases it rests on."""
    if metric is None or metric.get("value") is None:
        n = "" if metric is None else f"{metric['n_scored']}/{metric['n_expected']}"
        return Cell(Markup("<small>{}</small>").format(n), "", True, words("no_value"))
    is_count = not metric.get("scale") and metric.get("ci_low") is None
    if is_count and float(metric["value"]).is_integer():
        digits = 0
    digits = min(digits, metric_digits(metric))
    shown = f"<b>{number(metric['value'], digits)}</b>"
    if metric.get("ci_low") is not None and metric.get("ci_high") is not None:
        low, high = number(metric["ci_low"], digits), number(metric["ci_high"], digits)
        shown += f' <span class="rb-ci">[{low}, {high}]</span>'
    few = few_clusters_note(dict(metric))
    if few:
        shown += str(mark("!", words("few_clusters", n=metric["n_clusters"])))
    scored, expected = metric["n_scored"], metric["n_expected"]
    part = "rb-part" if scored < expected else ""
    shown += f' <small class="{part}">{int(scored)}/{int(expected)}</small>'
    title = words("n_of_n", scored=scored, expected=expected)
    return Cell(Markup(shown), metric["value"], True, title)


def metric_digits(metric: Mapping[str, Any]) -> int:
    """Return how many digits behind the point a metric's value and interval need."""
    if scale := metric.get("scale"):
        return scale_digits(scale)
    ends = (metric["value"], metric.get("ci_low"), metric.get("ci_high"))
    return _digits(max((abs(one) for one in ends if one is not None), default=0.0))


@dataclass(frozen=True)
class Col:
    """A column: its title, and help that stands beside it."""

    title: object
    help: object = ""
    numeric: bool = False


def table(
    name: str,
    columns: Sequence[Col | str],
    rows: Sequence[Sequence[Cell | object]],
    words: Words,
    *,
    caption: str = "",
    limit: int = 500,
) -> Markup:
    """Return a table with a button that saves it as CSV.

    Args:
        name: of the CSV's file, and of the table in the page; letters, digits and dashes.
        columns: titles, or columns with help.
        rows: cells or plain values, as many as columns.
        words: of the page's language.
        caption: what the table is.
        limit: at most so many rows go to the browser; the rest is said.
    """
    made = [one if isinstance(one, Col) else Col(one) for one in columns]
    head = join(
        Markup('<th scope="col" class="{}"><div class="rb-head">{}{}</div></th>').format(
            "rb-num" if one.numeric else "", one.title, one.help
        )
        for one in made
    )
    # By hand: of long tables `Markup.format` would take more time than the queries behind them.
    body = Markup("".join(f"<tr>{_cells(row, made)}</tr>" for row in rows[:limit]))
    whole = (
        Markup('<button type="button" class="rb-wholes" aria-pressed="false">{}</button> ').format(
            words("whole_texts")
        )
        if 'class="rb-long' in body
        else ""
    )
    if not rows:
        text = words("empty_table")
        body = Markup('<tr><td colspan="{}" class="rb-none">{}</td></tr>').format(len(made), text)
    more = words("rows_left_out", n=len(rows) - limit) if len(rows) > limit else ""
    return Markup(
        '<figure class="rb-table{}"><figcaption><span>{}</span> {}<button type="button" '
        'data-csv="{}">CSV</button>'
        '</figcaption><div class="rb-scroll" tabindex="0" role="region" aria-label="{}">'
        '<table id="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}</figure>'
    ).format(
        # Across the whole page a number would stand far from its name.
        " rb-few" if len(made) <= _FEW else "",
        caption,
        whole,
        name,
        caption or name,
        f"rb-{name}",
        head,
        body,
        paragraph(more) if more else "",
    )


def _cells(row: Sequence[Cell | object], columns: Sequence[Col]) -> str:
    return "".join(
        _td(cell, column, first=n == 0)
        for n, (cell, column) in enumerate(zip(row, columns, strict=True))
    )


def _td(given: Cell | object, column: Col, *, first: bool) -> str:
    """Return a cell's HTML; whatever is no `Markup` is escaped."""
    if not isinstance(given, Cell):
        is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
        given = number_cell(given) if is_number else Cell("" if given is None else given)  # type: ignore[arg-type]
    value = _plain(given.shown) if given.value is None else given.value
    kinds = " ".join(
        kind
        for kind in (
            "rb-num" if given.numeric or column.numeric else "",
            given.tone and f"rb-{given.tone}",
        )
        if kind
    )
    titled = f' title="{escape(given.title)}"' if given.title else ""
    classed = f' class="{kinds}"' if kinds else ""
    shown = escape(given.shown)
    # The first column stands where a table begins, so it is not what lies beyond the edge.
    if not (first or given.numeric or column.numeric) and _is_wide(given.shown):
        shown = Markup('<div class="rb-long rb-wide">{}</div>').format(shown)
    return f'<td{classed} data-value="{escape(value)}"{titled}>{shown}</td>'


def _is_wide(shown: object) -> bool:
    """Whether a text would make a high row of a narrow column; one name with its mark would not."""
    if isinstance(shown, Markup):
        most = _WIDE if "rb-mark" not in shown else _ONE_NAME
        return len(shown) > most and "<div" not in shown and len(shown.striptags()) > most
    return isinstance(shown, str) and len(shown) > _WIDE


def help_text(text: object, words: Words) -> Markup:
    """Return a question mark that opens an explanation, by pointer, touch and keyboard."""
    if not text:
        return Markup("")
    return Markup(
        '<details class="rb-help"><summary aria-label="{}">?</summary><div>{}</div></details>'
    ).format(words("help"), text)


def metric_help(name: str, words: Words) -> Markup:
    """Return what a metric is, from its entry in the catalogue."""
    spec = known(name)
    if spec is None:
        return Markup("")
    lines: list[object] = [
        Markup("<code>{}</code>").format(name),
        _markdown(words.formula(spec.formula)),
    ]
    if spec.scale:
        low, high = spec.scale
        lines.append(words("scale", low=f"{low:g}", high=f"{high:g}"))
    if spec.higher_is_better is not None:
        lines.append(words("higher_better" if spec.higher_is_better else "lower_better"))
    lines.append(Markup("<small>{}</small>").format(words("from_catalogue")))
    return help_text(join(lines, "<br>"), words)


def direction(name: str) -> str:
    """Return an arrow to where a metric is better; nothing where neither side is."""
    spec = known(name)
    if spec is None or spec.higher_is_better is None:
        return ""
    return " ↑" if spec.higher_is_better else " ↓"


def metric_col(name: str, words: Words, title: str = "") -> Col:
    """Return a metric's column: its title, the better direction, its help."""
    return Col((title or name) + direction(name), metric_help(name, words), True)


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


def shown_page(view: View, n: int, per_page: int) -> int:
    """Return which page of a long table is shown: the address's, or the last that there is."""
    return min(view.page, max(1, -(-n // per_page)))


def paged(
    view: View, per_page: int, read: Callable[[int], tuple[list[T], int]]
) -> tuple[list[T], int]:
    """Return the rows of the page that is shown, and how many there are in all.

    ``read``: gives the rows behind so many, and how many there are in all.
    """
    found, n = read((view.page - 1) * per_page)
    # A link may be older than a list that has become shorter.
    if not found and n:
        found, n = read((shown_page(view, n, per_page) - 1) * per_page)
    return found, n


def pager(view: View, n: int, per_page: int, words: Words) -> Markup:
    """Return where one is in a long table, with links to the pages beside."""
    last, page = max(1, -(-n // per_page)), shown_page(view, n, per_page)
    before = link(words("previous"), view.link(page=page - 1)) if page > 1 else ""
    after = link(words("next"), view.link(page=page + 1)) if page < last else ""
    here = words("page_of", page=page, last=last, n=number(n))
    return Markup('<nav class="rb-pager" aria-label="{}">{} {} {}</nav>').format(
        words("pages"), before, here, after
    )


def cards(items: Iterable[tuple[object, object, object]]) -> Markup:
    """Return figures in large: (title, value, what it rests on)."""
    made = join(
        Markup(
            '<div class="rb-card"><h3>{}</h3><div class="rb-big">{}</div><div>{}</div></div>'
        ).format(title, value, more)
        for title, value, more in items
    )
    return Markup('<div class="rb-cards">{}</div>').format(made)


def _markdown(text: str) -> Markup:
    """Return a sentence of Markdown: code between backticks, all else as it is."""
    parts = text.split("`")
    return join(
        Markup("<code>{}</code>").format(part) if n % 2 else escape(part)
        for n, part in enumerate(parts)
    )


def _plain(shown: object) -> str:
    return Markup(shown).striptags() if isinstance(shown, Markup) else str(shown)


def _slug(text: str) -> str:
    return "rb-h-" + re.sub(r"\W+", "-", text.lower()).strip("-")
