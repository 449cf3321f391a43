"""A sample of what users asked and got, fit to be stored and shown: masked, without repeats."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rag_bench.analytics.text import is_answer
from rag_bench.evaluation.text.text_folding import fold, readable, words, words_alone
from rag_bench.hashing import text_hash
from rag_bench.privacy.masking import mask_all
from rag_bench.privacy.public_names import NOBODY, PublicNames

#: The version of how texts are masked: results that rest on masked texts name it.
MASKING = "3"
#: The month of a row without a time.
UNKNOWN_MONTH = "unknown"
#: What a sample counts: rows of the log; of these, those left out and why; what is left.
COUNTS = (
    *("rows", "other_months", "without_words", "without_answer"),
    *("repeated", "different", "sampled"),
)
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
    """Masked questions, of whose every beginning each month has its share, and what they are of.

    ``counts``: by the names of `COUNTS`; ``without_answer`` only where answered ones are wanted.
    """

    questions: Sequence[LoggedQuestion]
    counts: Mapping[str, int]

    @property
    def by_month(self) -> dict[str, int]:
        """Sampled questions by month, in the order of time."""
        found = Counter(question.month for question in self.questions)
        return dict(sorted(found.items()))


def masked(texts: Sequence[str], public_names: PublicNames = NOBODY) -> list[str]:
    """Return texts without personal data; one that has none stays as it is, letter by letter."""
    return [
        text if shown == readable(text) else shown
        for text, shown in zip(texts, mask_all(texts, public_names), strict=True)
    ]


def sample_traffic(
    rows: Sequence[LoggedQuestion],
    size: int,
    *,
    seed: int,
    months: Collection[str] = (),
    answered_only: bool = False,
    public_names: PublicNames = NOBODY,
) -> TrafficSample:
    """Return ``size`` of the different questions, or all there are, stratified and masked.

    In proportion to months, and within a month to topics: the questions of a topic are shuffled,
    the r-th of its T gets the place (r + u) / T, u drawn for the topic; the questions of a month in
    the order of their places are placed likewise among all; the first ``size`` are taken. So each
    question has the same chance, and a month's part is within one of its share. It is one order:
    a smaller sample is the beginning of a larger one. Chance is by hash of the question and the
    seed, so a log with some rows more has nearly the same sample. Of a repeated question the last
    row is taken: what production says to it now.

    Args:
        rows: of the log, oldest first.
        size: at least 1.
        seed: another one is another sample.
        months: YYYY-MM, or `UNKNOWN_MONTH`; none: all.
        answered_only: leave out rows to which production gave no answer, or a refusal.
        public_names: these are not masked.

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
    order = _interleaved(
        [
            _interleaved([_shuffled(topic, seed) for topic in topics], f"{seed} {month}")
            for month, topics in _strata(latest.values())
        ],
        str(seed),
    )
    chosen: dict[str, LoggedQuestion] = {}  # by the masked question's own key
    at = 0
    while len(chosen) < size and at < len(order):
        # As many at once as are missing, which is much faster than one by one.
        batch = order[at : at + size - len(chosen)]
        at += len(batch)
        for row, one in zip(batch, _masked(batch, public_names), strict=True):
            # Two questions may be one once they are masked, or nothing.
            if words(_MASK.sub(" ", one.question)):
                chosen.setdefault(one.key, replace(one, times_asked=times[row.key]))
    ordered = list(chosen.values())
    numbers = (
        len(rows),
        len(rows) - len(of_months),
        len(of_months) - len(with_words),
        len(with_words) - len(wanted),
        len(wanted) - len(latest),
        len(latest),
        len(ordered),
    )
    return TrafficSample(ordered, dict(zip(COUNTS, numbers, strict=True)))


def _strata(
    rows: Iterable[LoggedQuestion],
) -> list[tuple[str, list[list[LoggedQuestion]]]]:
    """Return the questions by month, and in each month by topic."""
    found: dict[str, dict[int, list[LoggedQuestion]]] = {}
    for row in rows:
        topic = -1 if row.topic is None else row.topic
        found.setdefault(row.month, {}).setdefault(topic, []).append(row)
    return [
        (month, [topics[topic] for topic in sorted(topics)])
        for month, topics in sorted(found.items())
    ]


def _shuffled(rows: Sequence[LoggedQuestion], seed: int) -> list[LoggedQuestion]:
    return sorted(rows, key=lambda row: text_hash(f"{seed} {row.key}"))


def _interleaved(groups: Sequence[Sequence[LoggedQuestion]], seed: str) -> list[LoggedQuestion]:
    """Return the questions of groups in one order, of whose every part each has its share."""
    places = []
    for number, group in enumerate(groups):
        start = int(text_hash(f"{seed} group {number}")[:12], 16) / 16**12
        places += [((rank + start) / len(group), number, rank) for rank in range(len(group))]
    return [groups[number][rank] for _, number, rank in sorted(places)]


def _masked(rows: Sequence[LoggedQuestion], public_names: PublicNames) -> list[LoggedQuestion]:
    answers = [row.answer if row.answer and row.answer.strip() else "" for row in rows]
    shown = masked([*(row.question for row in rows), *answers], public_names)
    return [
        replace(row, question=question, answer=answer or None)
        for row, question, answer in zip(rows, shown[: len(rows)], shown[len(rows) :], strict=True)
    ]
