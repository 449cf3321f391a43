"""Tables: numbers as they are read, cells, columns, and the pages of long ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from markupsafe import Markup, escape

from rag_bench.dashboard.page.parts import direction, join, link, mark, metric_help, paragraph
from rag_bench.evaluation.types import few_clusters_note

if TYPE_CHECKING:
    from rag_bench.dashboard.address import View
    from rag_bench.dashboard.words import Words

T = TypeVar("T")
_FEW = 4


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


def metric_col(name: str, words: Words, title: str = "") -> Col:
    """Return a metric's column: its title, the better direction, its help."""
    return Col((title or name) + direction(name), metric_help(name, words), True)


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


def _plain(shown: object) -> str:
    return Markup(shown).striptags() if isinstance(shown, Markup) else str(shown)
