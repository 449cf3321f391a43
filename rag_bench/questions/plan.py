"""Which questions are to be written: types dealt over the chunks, and second chunks found.

Everything follows from the chunks' hashes, never from their order in a dump: a reindex changes
nothing, and a sample of the first N is a sample of the whole corpus (the forerunner always took
the lowest database ids).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rag_bench.errors import ConfigurationError
from rag_bench.questions.writer import QuestionType

if TYPE_CHECKING:
    import numpy as np

    from rag_bench.store.snapshots import ChunkRecord

#: Two chunks nearer to each other than this say the same: nothing needs both.
SAME_TEXT = 0.98


@dataclass(frozen=True)
class Wish:
    """One question to be written.

    Attributes:
        n: its number among the questions of the chunk, from 0.
        second: the other chunk of a ``two_chunk`` question; None where the corpus has none.
    """

    chunk: ChunkRecord
    n: int
    type: QuestionType
    second: ChunkRecord | None = None

    @property
    def item_id(self) -> str:
        """The question's id: of the chunk, the number, and the type unless it is simple."""
        known = f"syn_{self.chunk.chunk_hash[:16]}_{self.n}"
        if self.type is QuestionType.simple:
            return known
        other = f"_{self.second.chunk_hash[:8]}" if self.second else ""
        return f"{known}_{self.type.value}{other}"

    @property
    def chunks(self) -> tuple[ChunkRecord, ...]:
        """The chunks that the question is made from."""
        return (self.chunk,) if self.second is None else (self.chunk, self.second)


def parse_types(names: Sequence[str]) -> tuple[QuestionType, ...]:
    """Return question types by name, in order.

    Raises:
        ConfigurationError: no name, an unknown one, or one twice.
    """
    known = [kind.value for kind in QuestionType]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise ConfigurationError(
            f"No such type of question: {', '.join(unknown) or '(none given)'}. "
            f"There are: {', '.join(known)}."
        )
    if len(set(names)) < len(names):
        raise ConfigurationError(f"A type of question is named twice: {', '.join(names)}.")
    return tuple(QuestionType(name) for name in names)


def deal(
    chunks: Sequence[ChunkRecord],
    types: Sequence[QuestionType],
    questions_per_chunk: int = 1,
    max_questions: int | None = None,
) -> list[Wish]:
    """Return what is to be written: the types dealt out in turn over the chunks.

    Chunks come in the order of their hashes, which is as good as shuffled; blank ones are left
    out. The types' numbers differ by at most one, in every sample of the first N as well, and
    one chunk gets a type twice only when it has had all of them.
    """
    ordered = sorted((c for c in chunks if c.text.strip()), key=lambda c: c.chunk_hash)
    wishes = [
        Wish(chunk, n, types[(place * questions_per_chunk + n) % len(types)])
        for place, chunk in enumerate(ordered)
        for n in range(questions_per_chunk)
    ]
    return wishes[:max_questions]


def with_second_chunks(
    wishes: Sequence[Wish], chunks: Sequence[ChunkRecord], vectors: np.ndarray
) -> list[Wish]:
    """Give each ``two_chunk`` wish the chunk that is nearest to its own.

    Nearest on another page; on its own page where there is no other. A chunk that says the same
    (equal words, or a cosine of `SAME_TEXT`) is passed over. Equal nearness: the lower hash.

    ``vectors``: float (n, d) of unit length, of the ``chunks`` in their order.
    """
    import numpy as np

    from rag_bench.evaluation.text.text_folding import words_alone

    place_of = {chunk.chunk_hash: place for place, chunk in enumerate(chunks)}
    plain = np.array([words_alone(chunk.text) for chunk in chunks], dtype=object)
    pages = np.array([chunk.page_url for chunk in chunks], dtype=object)
    hashes = [chunk.chunk_hash for chunk in chunks]
    found = []
    for wish in wishes:
        if wish.type is not QuestionType.two_chunk:
            found.append(wish)
            continue
        own = place_of[wish.chunk.chunk_hash]
        near = vectors @ vectors[own]
        fitting = (plain != plain[own]) & (near < SAME_TEXT)
        fitting[own] = False
        elsewhere = fitting & (pages != pages[own])
        allowed = np.flatnonzero(elsewhere if elsewhere.any() else fitting)
        if not len(allowed):
            found.append(wish)
            continue
        best = min(allowed, key=lambda place: (-round(float(near[place]), 5), hashes[place]))
        found.append(replace(wish, second=chunks[int(best)]))
    return found
