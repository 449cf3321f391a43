"""BM25: the chunks whose words answer to the question's, in the five forms that `bm25s` has.

The score of a chunk is a sum over the question's terms (`evaluation.text.search_terms`), each as
often as the question has it, of the term's weight and of how much of it the chunk holds:

    score(q, d) = sum over t in q and d of idf(t) * tf(t, d)

`bm25s` (Lù 2024) computes every idf * tf of a corpus when the index is built, after Kamphuis and
others (ECIR 2020). It sums here in float64; scores are rounded to six decimals before they are
ranked, and equal ones go to the lower position. A chunk whose score is 0 is not found.

For bm25l and bm25+ `bm25s` also gives a chunk credit for the terms that it lacks. Lv and Zhai
(2011), whose forms these are, sum over the terms that it has: the lower bound is what sets those
apart. So that credit is taken out again here.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from sys import getsizeof
from typing import Any

import numpy as np
from sqlalchemy import Engine

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.text.search_terms import TERMS_VERSION, terms_of
from rag_bench.hashing import text_hash
from rag_bench.retrieval.search import NOT_FOUND, TopK
from rag_bench.retrievers import Bm25
from rag_bench.store.retrieving.chunk_terms import save_terms, stored_terms

#: The lower bounds of Lv and Zhai: what a term adds for being there at all.
DELTA = {"bm25l": 0.5, "bm25+": 1.0}
# bm25s divides 0 by k1 * 1 for bm25+; this changes no float64 sum that 0 would give.
_LEAST_K1 = 1e-300
# Twice what rounding to six decimals can move two scores towards each other.
_ROUNDING = 2e-6
# Texts that are tokenized and stored at a time, so that a killed run keeps most of its work.
_BLOCK = 5_000


def content(parameters: Bm25) -> dict[str, Any]:
    """Return all that decides what BM25 finds, to be hashed: parameters and version of the terms.

    With the lower bound, where the method has one.
    """
    found = {**parameters.model_dump(mode="json"), "terms": TERMS_VERSION}
    return found | ({"delta": DELTA[parameters.method]} if parameters.method in DELTA else {})


class Bm25Index:
    """The weights of all terms in all chunks; made by `build`, `from_terms` or `open_index`.

    Attributes:
        n: how many chunks it holds.
    """

    def __init__(self, n: int, index: Any, term_ids: dict[str, int]) -> None:
        self.n = n
        self._index = index
        self._term_ids = term_ids

    @classmethod
    def build(cls, texts: Sequence[str], parameters: Bm25) -> Bm25Index:
        """Tokenize n texts and index them; see `from_terms`."""
        return cls.from_terms(terms_of(texts), parameters)

    @classmethod
    def from_terms(cls, chunks: Sequence[Sequence[str]], parameters: Bm25) -> Bm25Index:
        """Index n chunks by their terms, in the order given.

        Raises:
            ConfigurationError: there are chunks, and none has a term.
        """
        term_ids: dict[str, int] = {}
        return cls._of([_numbered(chunk, term_ids) for chunk in chunks], term_ids, parameters)

    @classmethod
    def _of(cls, chunks: list[array[int]], term_ids: dict[str, int], parameters: Bm25) -> Bm25Index:
        """Index n chunks by the numbers of their terms."""
        if not term_ids:
            if chunks:
                raise ConfigurationError(
                    f"None of the {len(chunks)} chunks has a word that BM25 can search for: they "
                    "are in a script that does not mark its words, or hold no letters and digits. "
                    "Choose the search dense_exact."
                )
            return cls(0, None, {})
        import bm25s

        # Without numba, whose first call compiles for seconds; in float64, as float32 would
        # change the sixth decimal.
        index = bm25s.BM25(
            k1=max(parameters.k1, _LEAST_K1),
            b=parameters.b,
            delta=DELTA.get(parameters.method, 0.0),
            method=parameters.method,
            dtype="float64",
            backend="numpy",
            csc_backend="numpy",
        )
        index.index((chunks, term_ids), create_empty_token=False, show_progress=False)
        if index.nonoccurrence_array is not None:
            per_term = np.diff(index.scores["indptr"])
            index.scores["data"] += np.repeat(index.nonoccurrence_array, per_term)
            index.nonoccurrence_array = None
        return cls(len(chunks), index, term_ids)

    @property
    def n_terms(self) -> int:
        """How many distinct terms the chunks have."""
        return len(self._term_ids)

    @property
    def nbytes(self) -> int:
        """About how many bytes it holds: weights, their places, and the table of terms."""
        if self._index is None:
            return 0
        numbers = (self._index.scores[name].nbytes for name in ("data", "indices", "indptr"))
        table = sum(getsizeof(term) + getsizeof(place) for term, place in self._term_ids.items())
        return sum(numbers) + table + getsizeof(self._term_ids)

    def search(self, questions: Sequence[str], k: int) -> TopK:
        """Return the k best chunks of each question; ties: lower position first.

        Args:
            questions: q texts.
            k: At least 1; more than n gives n.

        Returns:
            Scores are BM25's, rounded to six decimals, and have no upper bound. A row ends in
            `NOT_FOUND` where fewer chunks have a score above 0: a question without any term of
            the chunks finds nothing.

        Raises:
            ValueError: k < 1.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        width = min(k, self.n)
        indices = np.full((len(questions), width), NOT_FOUND, dtype=np.int64)
        scores = np.zeros((len(questions), width))
        if not width:
            return TopK(indices, scores)
        for row, question in enumerate(terms_of(questions)):
            asked = [self._term_ids[term] for term in question if term in self._term_ids]
            if asked:
                best, worth = _best(self._index.get_scores_from_ids(asked), width)
                indices[row, : len(best)], scores[row, : len(best)] = best, worth
        return TopK(indices, scores)


def open_index(engine: Engine, texts: Sequence[str], parameters: Bm25) -> Bm25Index:
    """Index n texts, tokenizing only those whose terms are not stored yet, and store these.

    Terms are addressed by (`TERMS_VERSION`, hash of the text), as vectors are; so a reindex with
    a few new texts tokenizes a few texts, and other parameters none.

    Raises:
        ConfigurationError: as `Bm25Index.from_terms`.
    """
    hashes = [text_hash(text) for text in texts]
    # Numbers and not terms are kept of what was read: a twentieth of the memory.
    term_ids: dict[str, int] = {}
    ids = {
        value: _numbered(terms, term_ids)
        for value, terms in stored_terms(engine, TERMS_VERSION, hashes)
    }
    new = {value: text for value, text in zip(hashes, texts, strict=True) if value not in ids}
    for block in _blocks(list(new), _BLOCK):
        made = dict(zip(block, terms_of(new[value] for value in block), strict=True))
        save_terms(engine, TERMS_VERSION, made)
        ids |= {value: _numbered(terms, term_ids) for value, terms in made.items()}
    return Bm25Index._of([ids[value] for value in hashes], term_ids, parameters)


def _numbered(terms: Iterable[str], term_ids: dict[str, int]) -> array[int]:
    """Return the numbers of terms; new ones get the next."""
    return array("i", [term_ids.setdefault(term, len(term_ids)) for term in terms])


def _best(scores: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the best ``width`` positions with a score above 0, and their rounded scores."""
    if len(scores) > width:
        # Rounding moves a score by less than this: what is below stays behind the best.
        least = np.partition(scores, len(scores) - width)[-width] - _ROUNDING
        positions = np.flatnonzero((scores > 0) & (scores >= least))
    else:
        positions = np.flatnonzero(scores > 0)
    values = settled(scores[positions])
    order = np.argsort(-values, kind="stable")[:width]
    order = order[values[order] > 0]
    return positions[order], values[order]


def _blocks(items: list[str], size: int) -> Iterable[list[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))
