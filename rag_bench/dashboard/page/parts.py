"""Pieces of HTML. Whatever comes from the store is escaped by `Markup`; nothing else makes tags."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from rag_bench.evaluation.catalogue import known

if TYPE_CHECKING:
    from rag_bench.dashboard.words import Words

Part = "Markup | Figure"


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


def _slug(text: str) -> str:
    return "rb-h-" + re.sub(r"\W+", "-", text.lower()).strip("-")
