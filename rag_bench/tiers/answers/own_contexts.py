"""Answers that were made from contexts of their own, and not from what we gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rag_bench.llm.tasks.pipeline import Answer, Fragment


@dataclass(frozen=True, kw_only=True)
class OwnContexts(Answer):
    """An answer of an assistant that retrieved by itself.

    Attributes:
        fragments: the texts that it was made from, as far as they are known.
    """

    fragments: tuple[Fragment, ...]

    def rows(self) -> list[dict[str, Any]]:
        """Return what is stored of its contexts, in their order."""
        raise NotImplementedError
