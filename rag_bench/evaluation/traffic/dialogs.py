"""Real questions as turns of dialogs: where one ends, what was asked before, which answers agree.

All comparisons are between vectors of questions by one encoder, in blocks of rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from rag_bench.evaluation.nearest import BLOCK_ROWS
from rag_bench.evaluation.precision import settled

#: Seconds between two questions of one user after which a new dialog begins: the production bot
#: keeps the last 30 minutes (and 5 answered pairs) as the dialog's context.
DIALOG_GAP_SECONDS = 30 * 60
#: Cosine from which two questions count as the same one asked again. Strict, as encoders of the e5
#: family give unrelated short questions 0.8 and more; equal texts have 1.
SAME_QUESTION = 0.95


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a user.

    ``key``: the row's id. ``rated_5``: its answer got the best rating, so it is in the cache.
    ``ends_dialog``: the user then asked for a new dialog. ``answer``, ``page``: None where
    nothing was answered (a refusal is no answer).
    """

    key: int | str
    user: int | str | None = None
    asked_at: datetime | None = None
    rated_5: bool = False
    ends_dialog: bool = False
    answer: str | None = None
    page: str | None = None

    @property
    def cluster(self) -> Hashable:
        """Questions of one user are not independent; one without a user stands alone."""
        return ("row", self.key) if self.user is None else ("user", self.user)


@dataclass(frozen=True, slots=True)
class Repeat:
    """A question asked again: positions of the later and the earlier turn, and where they are."""

    later: int
    earlier: int
    same_dialog: bool


def dialogs_of(
    turns: Sequence[Turn], *, gap_seconds: float = DIALOG_GAP_SECONDS
) -> list[list[int]]:
    """Return dialogs as lists of positions in ``turns``, by user and time.

    A dialog ends where the same user's next question comes more than ``gap_seconds`` later, or
    after a turn with ``ends_dialog``. A turn without user or time is in no dialog.
    """
    placed = sorted(
        (_order(turn.user), turn.asked_at.timestamp(), _order(turn.key), position)
        for position, turn in enumerate(turns)
        if turn.user is not None and turn.asked_at is not None
    )
    found: list[list[int]] = []
    before: tuple[object, float] | None = None
    for user, moment, _, position in placed:
        goes_on = before is not None and before[0] == user and moment - before[1] <= gap_seconds
        if goes_on and not turns[found[-1][-1]].ends_dialog:
            found[-1].append(position)
        else:
            found.append([position])
        before = user, moment
    return found


def repeats_of(
    turns: Sequence[Turn],
    vectors: np.ndarray,
    dialogs: Sequence[Sequence[int]],
    *,
    threshold: float = SAME_QUESTION,
) -> list[Repeat]:
    """Return each question that was asked before, with the last time that it was.

    ``vectors``: unit vectors (n, d) of the turns. Asked before is: strictly earlier, by anybody,
    with a cosine of at least ``threshold``. One pair per question: of all pairs of a popular
    question there would be thousands, and they would be the result.
    """
    dialog_of = {position: n for n, dialog in enumerate(dialogs) for position in dialog}
    dated = sorted(
        (turn.asked_at.timestamp(), _order(turn.key), position)
        for position, turn in enumerate(turns)
        if turn.asked_at is not None
    )
    order = np.array([position for *_, position in dated], dtype=int)
    times = np.array([moment for moment, *_ in dated])
    n_before = np.searchsorted(times, times, side="left")
    found = []
    for start in range(0, len(order), BLOCK_ROWS):
        stop = min(start + BLOCK_ROWS, len(order))
        same = settled(vectors[order[start:stop]] @ vectors[order[:stop]].T) >= threshold
        same &= np.arange(stop)[None, :] < n_before[start:stop, None]
        last = stop - 1 - same[:, ::-1].argmax(axis=1)
        for row in np.flatnonzero(same.any(axis=1)):
            later, earlier = int(order[start + row]), int(order[last[row]])
            here = dialog_of.get(later)
            found.append(
                Repeat(later, earlier, here is not None and here == dialog_of.get(earlier))
            )
    return found


def agreement(earlier: Turn, later: Turn) -> bool | None:
    """Tell whether two answers to the same question agree; None if neither was answered.

    They agree if they cite the same page or are the same text; an answer and no answer do not.
    """
    if earlier.answer is None and later.answer is None:
        return None
    if earlier.answer is None or later.answer is None:
        return False
    return earlier.answer == later.answer or (
        earlier.page is not None and earlier.page == later.page
    )


def _order(found: int | str) -> tuple[bool, int, str]:
    """Return what ids of any type are sorted by: numbers by size before texts."""
    return (False, found, "") if isinstance(found, int) else (True, 0, found)
