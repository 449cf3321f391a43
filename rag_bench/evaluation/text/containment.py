"""How much of one text stands in another: containment of word shingles (Broder 1997)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.text.text_folding import words

#: Words in a row that make a shingle.
SHINGLE = 3
#: A text of fewer shingles stands in others by chance.
FEWEST = 4

Shingle = tuple[str, ...]


def shingles(text: str) -> frozenset[Shingle]:
    """Return the distinct runs of `SHINGLE` words of a text, folded."""
    found = words(text)
    return frozenset(
        tuple(found[start : start + SHINGLE]) for start in range(len(found) - SHINGLE + 1)
    )


class Containment:
    """Texts, found by how much of another stands in them or how much of them stands in it.

    Similarity of two texts = shared shingles / shingles of the shorter, in [0, 1]: 1 for a part of
    a text and the whole. A passage that was cut, or joined with its neighbours, stays alike.

    Shingles are held as numbers of 64 bits beside their text's place: 12 bytes each.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        found = [_numbers(text) for text in texts]
        self._sizes = np.array([len(numbers) for numbers in found], dtype=np.int64)
        numbers = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
        places = np.repeat(np.arange(len(found), dtype=np.int32), self._sizes)
        order = np.argsort(numbers, kind="stable")
        self._numbers, self._places = numbers[order], places[order]

    def nearest(
        self, text: str, least: float, among: Sequence[int] | None = None
    ) -> tuple[int, float] | None:
        """Return the place of the nearest text and the similarity, to six decimals.

        Of those that are alike by ``least`` or more that which shares most counts: a heading that
        stands in a passage is not its source. Without any, the most similar. Between equals the
        first. None: nothing is shared, or one of the two has fewer than `FEWEST` shingles.

        Args:
            text: of any length.
            least: similarity from which on two texts are taken for one.
            among: places that count; None: all.
        """
        wanted = _numbers(text)
        if len(wanted) < FEWEST:
            return None
        shared = self._shared(wanted)
        allowed = None if among is None else set(among)
        found = []
        for place, n in shared.items():
            size = int(self._sizes[place])
            if size < FEWEST or (allowed is not None and place not in allowed):
                continue
            similarity = settled(n / min(len(wanted), size))
            alike = similarity >= least
            found.append((not alike, -n if alike else 0, -similarity, place))
        if not found:
            return None
        _, _, negative, place = min(found)
        return place, -negative

    def all_of(self, text: str) -> list[tuple[int, float]]:
        """Return (place, similarity) of all texts that share a shingle with a text, by place; of
        texts with fewer than `FEWEST` shingles none.
        """
        wanted = _numbers(text)
        if len(wanted) < FEWEST:
            return []
        return [
            (place, settled(n / min(len(wanted), int(self._sizes[place]))))
            for place, n in self._shared(wanted).items()
            if self._sizes[place] >= FEWEST
        ]

    def _shared(self, wanted: np.ndarray) -> dict[int, int]:
        """Return how many of these shingles each text has, of those that have any."""
        begin = np.searchsorted(self._numbers, wanted, side="left")
        end = np.searchsorted(self._numbers, wanted, side="right")
        held = [self._places[one:other] for one, other in zip(begin, end, strict=True)]
        places, counts = np.unique(np.concatenate(held), return_counts=True)
        return dict(zip(places.tolist(), counts.tolist(), strict=True))


def _numbers(text: str) -> np.ndarray:
    """Return a number for each distinct shingle; two that differ have the same once in 10^19."""
    return np.fromiter((hash(one) for one in shingles(text)), dtype=np.int64)
