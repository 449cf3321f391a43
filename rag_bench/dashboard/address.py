"""What is shown, as the query of a URL: a link is the whole view, and needs nothing of the server.

Values come from whoever made the link, so they are cut and cleaned here, and are only ever compared
with what the store holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

TABS = (
    *("overview", "runs", "models", "judges", "gates", "compare"),
    *("questions", "utilization", "topics", "domain"),
)
LANGUAGES = ("en", "ru")
#: Kept when another tab is opened. ``__theme`` is Gradio's own.
EVERYWHERE = ("lang", "settings", "unmask", "__theme")
#: What a view may say besides, each of the tab that reads it.
PARAMETERS = (
    *EVERYWHERE,
    *("judge", "metric", "models", "rows", "filter", "case", "page", "sort", "search"),
    *("evaluation", "run", "tier", "status", "model", "before", "a", "b", "topic", "kind"),
    *("draw", "annotator", "explain"),
)
# Ids of cases are as their files have them: with tabs, hard spaces and marks of direction, or long.
_LONGEST, _WHOLE = 1000, 16_000
#: What no text of the store can hold: NUL, and halves of a letter.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class View:
    """One view. ``values``: what its parameters are, those without a value left out."""

    tab: str = TABS[0]
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, query: str) -> View:
        """Return the view that a query string names; what is unknown or impossible is left out."""
        found: dict[str, str] = {}
        for name, value in parse_qsl(query.removeprefix("?")[:_WHOLE], max_num_fields=None):
            cleaned = _NO_TEXT.sub("", value).strip()
            if cleaned and name in (*PARAMETERS, "tab"):
                found[name] = cleaned[:_LONGEST]
        tab = found.pop("tab", TABS[0])
        if found.get("lang") not in LANGUAGES:
            found.pop("lang", None)
        return cls(tab if tab in TABS else TABS[0], found)

    def get(self, name: str, default: str = "") -> str:
        """Return a parameter's value."""
        return self.values.get(name, default)

    @property
    def lang(self) -> str:
        """The language of the page."""
        return self.get("lang", LANGUAGES[0])

    @property
    def page(self) -> int:
        """The page of a long table, from 1."""
        text = self.get("page")
        return max(1, min(int(text), 100_000)) if text.isascii() and text.isdigit() else 1

    def link(self, tab: str | None = None, **changes: str | int | None) -> str:
        """Return the query of this view with changes; None and "" take a parameter away.

        Another tab begins anew: only what stands for all tabs goes with it.
        """
        kept = {
            name: value
            for name, value in self.values.items()
            if tab in (None, self.tab) or name in EVERYWHERE
        }
        for name, value in changes.items():
            if name not in PARAMETERS:
                raise ValueError(f"{name} is no parameter of a view")
            kept.pop(name, None)
            if value not in (None, ""):
                kept[name] = str(value)
        ordered = sorted(kept.items(), key=lambda pair: PARAMETERS.index(pair[0]))
        return "?" + urlencode([("tab", tab or self.tab), *ordered])
