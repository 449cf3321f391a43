"""A sample of what users asked and got, fit to be stored and shown: masked, without repeats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from rag_bench.analytics.text import is_answer, mask
from rag_bench.evaluation.text.text_folding import fold, readable, words, words_alone
from rag_bench.hashing import text_hash

#: The version of how texts are masked; what was read of masked texts names it.
MASKING = "1"
#: The month of a row without a time.
UNKNOWN_MONTH = "unknown"
_MASK = re.compile(r"\[[^\[\]]*\]")


@dataclass(frozen=True)
class LoggedQuestion:
    """A row of the log.

    Attributes:
        question, answer: as users wrote it and got it; masked in a `TrafficSample`.
        page: what tells the cited page from others; None: none is cited.
        rating: of the answer, on the dump's scale.
        user: whoever asked; None: not known.
        month: YYYY-MM, or `UNKNOWN_MONTH`.
        topic: number of its topic; None: it has none.
        times_asked: rows with this question.
    """

    question: str
    answer: str | None = None
    page: str | None = None
    rating: float | None = None
    user: int | str | None = None
    month: str = UNKNOWN_MONTH
    topic: int | None = None
    times_asked: int = 1

    @property
    def key(self) -> str:
        """Equal for equal questions: case, punctuation, spaces and ё do not tell two apart."""
        return words_alone(self.question) or fold(self.question)


@dataclass(frozen=True)
class TrafficSample:
    """Masked questions in an order as good as shuffled, and what they stand for.

    ``counts``: ``rows`` of the log; of them ``other_months``, ``without_words`` (nothing but masks
    among them, as far as they were met), ``without_answer`` if only answered ones are wanted;
    ``repeated``; ``different`` questions are what is left; ``sampled``.
    """

    questions: Sequence[LoggedQuestion]
    counts: Mapping[str, int]

    @property
    def by_month(self) -> dict[str, int]:
        """Sampled questions by month, in the order of time."""
        found = Counter(question.month for question in self.questions)
        return dict(sorted(found.items()))


def masked(text: str) -> str:
    """Return a text without personal data; one that has none stays as it is, letter by letter."""
    shown = mask(text)
    return text if shown == readable(text) else shown


def sample_traffic(
    rows: Sequence[LoggedQuestion],
    size: int,
    *,
    seed: int,
    months: Collection[str] = (),
    answered_only: bool = False,
) -> TrafficSample:
    """Return ``size`` of the different questions, or all there are, stratified and masked.

    Systematic sampling: the questions in the order of month and topic, those of one month and
    topic shuffled, every N/n-th of them from a start by the seed. So each has the same chance, a
    month gets its share to within one, and a topic within a month as nearly as whole numbers let
    it (Cochran 1977, chapter 8). Shuffled by hash: a row more in the log changes few of the
    others. Of a repeated question the last row is taken: what production says to it now.

    Args:
        rows: of the log, oldest first.
        size: at least 1.
        seed: another one is another sample.
        months: YYYY-MM, or `UNKNOWN_MONTH`; none: all.
        answered_only: leave out rows to which production gave no answer, or a refusal.

    Raises:
        ValueError: ``size`` below 1.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    of_months = [row for row in rows if not months or row.month in months]
    with_words = [row for row in of_months if words(row.question)]
    wanted = [row for row in with_words if not answered_only or is_answer(row.answer)]
    latest: dict[str, LoggedQuestion] = {row.key: row for row in wanted}
    times = Counter(row.key for row in wanted)
    order = {key: text_hash(f"{seed} {key}") for key in latest}
    pool = sorted(
        latest.values(),
        key=lambda row: (row.month, -1 if row.topic is None else row.topic, order[row.key]),
    )
    chosen: dict[str, tuple[str, LoggedQuestion]] = {}  # by the masked question's own key
    met: set[int] = set()
    for position in _every_nth(len(pool), min(size, len(pool)), seed):
        # Two questions may be one once they are masked, or nothing: then the next one is taken.
        for place in (*range(position, len(pool)), *range(position)):
            if place in met:
                continue
            met.add(place)
            row = pool[place]
            shown = replace(
                row,
                question=masked(row.question),
                answer=masked(row.answer) if row.answer and row.answer.strip() else None,
                times_asked=times[row.key],
            )
            if shown.key not in chosen and words(_MASK.sub(" ", shown.question)):
                chosen[shown.key] = (order[row.key], shown)
                break
    ordered = [shown for _, shown in sorted(chosen.values(), key=lambda pair: pair[0])]
    counts = {
        "rows": len(rows),
        "other_months": len(rows) - len(of_months),
        "without_words": len(of_months) - len(with_words),
        "without_answer": len(with_words) - len(wanted),
        "repeated": len(wanted) - len(latest),
        "different": len(latest),
        "sampled": len(ordered),
    }
    return TrafficSample(ordered, counts)


def _every_nth(n_all: int, n: int, seed: int) -> list[int]:
    """Return n of the positions below n_all, evenly spaced from a start by the seed."""
    if not n:
        return []
    start = int(text_hash(f"start {seed}")[:12], 16) % n_all
    return [(start + number * n_all) // n for number in range(n)]
