"""Every word of the dashboard in both languages; they stand side by side in ``words.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rag_bench.languages import translated


@cache
def _all() -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Words:
    """The words of one language."""

    lang: str

    def __call__(self, key: str, **values: object) -> str:
        """Return what stands under a key, with its places filled. Raises KeyError for no such."""
        text = _all()[key][self.lang]
        # A line does not end between a number and its sign.
        return (text.format(**values) if values else text).replace(" %", "\u00a0%")

    def title(self, text: str) -> str:
        """Return what a column is called."""
        return translated.title(text, self.lang)

    def formula(self, text: str) -> str:
        """Return what a metric is."""
        return translated.formula(text, self.lang)

    def sentence(self, text: str) -> str:
        """Return a cause, an advice or a reason that was written in English."""
        return translated.sentence(text, self.lang)

    def detail(self, text: str) -> str:
        """Return the detail of a failed case."""
        return translated.detail(text, self.lang)

    def known(self, key: str, default: str) -> str:
        """Return what stands under a key, or the default if nothing does."""
        return _all().get(key, {}).get(self.lang, default)
