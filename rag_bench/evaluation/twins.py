"""Chunks that read the same: one text on several pages. No search can tell them apart.

Which of them a dataset names and which of them search puts first is chance, so a twin of a
relevant chunk counts as that chunk, once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rag_bench.evaluation.text.text_folding import fold


@dataclass(frozen=True)
class Twins:
    """The chunks of a corpus that have a twin.

    Attributes:
        group_of: chunk -> the first chunk with its text, only of those that share it.
    """

    group_of: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Iterable[tuple[str, str]]) -> Twins:
        """Return the twins among (chunk, text), equal after folding."""
        groups: dict[str, list[str]] = defaultdict(list)
        for chunk, text in texts:
            groups[fold(text)].append(chunk)
        return cls({c: group[0] for group in groups.values() if len(group) > 1 for c in group})

    @property
    def n_chunks(self) -> int:
        """Chunks that have a twin."""
        return len(self.group_of)

    @property
    def n_texts(self) -> int:
        """Texts that stand in several chunks."""
        return len(set(self.group_of.values()))

    def same(self, chunk: str) -> str:
        """Return one chunk that stands for all with this text."""
        return self.group_of.get(chunk, chunk)

    def touch(self, chunks: Iterable[str]) -> bool:
        """Whether one of the chunks has a twin."""
        return any(chunk in self.group_of for chunk in chunks)

    def as_judged(self, ranking: Sequence[str], relevant: Collection[str]) -> list[str]:
        """Return a ranking in which twins of relevant chunks took their places.

        Within each group of twins the relevant ones come first, as if a tie was decided for them:
        the first of the group that was found counts as the relevant chunk, and a second copy of
        a text counts no second time. Other chunks stay where they are.
        """
        wanted: dict[str, list[str]] = defaultdict(list)
        for chunk in sorted(set(relevant)):
            if chunk in self.group_of:
                wanted[self.group_of[chunk]].append(chunk)
        left: dict[str, list[str]] = {}
        for group, first in wanted.items():
            others = [c for c in ranking if self.group_of.get(c) == group and c not in first]
            left[group] = [*first, *others]
        return [
            left[self.group_of[chunk]].pop(0) if self.group_of.get(chunk) in left else chunk
            for chunk in ranking
        ]
