"""Pages of the dashboard as data: their tables by name, their words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from sqlalchemy import Engine

from rag_bench.dashboard.address import View
from rag_bench.dashboard.app import content
from rag_bench.dashboard.context import Context, Kept, Viewer
from rag_bench.dashboard.words import Words
from rag_bench.settings import Settings


@dataclass
class Shown:
    """A page: its text, its tables as rows of values, its figures."""

    html: str
    text: str = ""
    tables: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    figures: list[Any] = field(default_factory=list)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.tables: dict[str, list[dict[str, str]]] = {}
        self._name, self._head, self._row = "", [""], [""]
        self._part, self._skipped = "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._name, self._head, self._row = str(given["id"]).removeprefix("rb-"), [], []
            self.tables[self._name] = []
        elif tag == "details" and self._part == "head":
            self._skipped += 1
        elif tag == "th":
            self._part = "head"
            self._head.append("")
        elif tag == "tr":
            self._row = []
        elif tag == "td" and "data-value" in given:
            self._row.append(given["data-value"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "details" and self._skipped:
            self._skipped -= 1
        elif tag == "th":
            self._part = ""
        elif tag == "tr" and self._row:
            self.tables[self._name].append(dict(zip(self._head, self._row, strict=True)))

    def handle_data(self, data: str) -> None:
        data = data.replace("\u00a0", " ")
        self.text.append(data)
        if self._part == "head" and not self._skipped:
            self._head[-1] += data


def shown(engine: Engine, query: str, viewer: Viewer | None = None) -> Shown:
    """Return the page of an address as the server makes it."""
    view = View.parse(query)
    context = Context(engine, Settings(), view, Words(view.lang), viewer or Viewer(), Kept())
    page = content(context)
    html = "".join(str(part) for part in page.parts if isinstance(part, str))
    reader = _Reader()
    reader.feed(html)
    figures = [part for part in page.parts if not isinstance(part, str)]
    return Shown(html, "".join(reader.text), reader.tables, figures)
