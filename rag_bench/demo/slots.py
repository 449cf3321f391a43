"""Who writes when: users, their dialogs, and the months that the dialogs fall into."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rag_bench.demo import shape
from rag_bench.demo.dice import Dice

Month = tuple[int, int] | None

DIALOG_SIZES = (50, 26, 14, 7, 3)  # how often 1, 2, 3, 4, 5 questions come in one dialog
_LONGEST_GAP = 6 * 60  # seconds; five questions thus stay within half an hour
_DAY_WEIGHTS = (1.2, 1.15, 1.1, 1.05, 1.0, 0.55, 0.45)  # Monday to Sunday
# By hour in UTC; the university's clocks are five hours ahead.
_HOUR_WEIGHTS = (
    *(1, 1, 2, 5, 9, 12, 13, 12, 12, 12, 11, 10),
    *(9, 8, 8, 8, 7, 6, 4, 2, 1, 1, 1, 1),
)


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one question. ``dialog`` numbers the dialog, ``turn`` counts in it from 0."""

    user_id: int
    created_at: datetime | None
    dialog: int
    turn: int
    last: bool


def make_slots(n_rows: int, dice: Dice) -> list[Slot]:
    """Return ``n_rows`` slots in the order in which they get their ids: untimed ones first.

    Users are numbered by their first question.
    """
    dialogs = _place([(user, size) for user, size in _dialogs(n_rows, dice)], n_rows, dice)
    dated: list[tuple[datetime | None, int, int]] = []
    for user, size, month in dialogs:
        dated.append((None if month is None else _moment(month, dice), user, size))
    dated = dice.shuffled(dated)  # the untimed keep this order
    epoch = datetime.min.replace(tzinfo=UTC)
    dated.sort(key=lambda entry: entry[0] or epoch)
    slots: list[Slot] = []
    for number, (start, user, size) in enumerate(dated):
        moment = start
        for turn in range(size):
            if moment is not None and turn:
                moment += timedelta(seconds=20 + dice.below(_LONGEST_GAP - 20))
            slots.append(Slot(user, moment, number, turn, turn == size - 1))
    # Dialogs of different users overlap: rows are numbered by time.
    slots.sort(key=lambda slot: slot.created_at or epoch)
    numbers: dict[int, int] = {}
    for slot in slots:
        numbers.setdefault(slot.user_id, len(numbers) + 1)
    return [
        Slot(numbers[slot.user_id], slot.created_at, slot.dialog, slot.turn, slot.last)
        for slot in slots
    ]


def _questions_by_user(n_rows: int, dice: Dice) -> list[int]:
    """Half of the users ask once; the others at least twice, a few of them very often."""
    n_users = max(1, shape.scaled(shape.USERS, n_rows))
    n_once = min(shape.scaled(shape.ONE_QUESTION_USERS, n_rows), n_users - 1)
    counts = [1] * n_once + [2] * (n_users - n_once)
    spare = n_rows - sum(counts)
    weights = {n_once + rank: 1_000_000_000 // (rank + 60) ** 2 for rank in range(n_users - n_once)}
    for user, extra in shape.apportion(spare, weights).items():
        counts[user] += extra
    return dice.shuffled(counts)


def _dialogs(n_rows: int, dice: Dice) -> list[tuple[int, int]]:
    dialogs: list[tuple[int, int]] = []
    for user, count in enumerate(_questions_by_user(n_rows, dice)):
        while count:
            size = min(count, 1 + dice.weighted(DIALOG_SIZES))
            dialogs.append((user, size))
            count -= size
    return dialogs


def _place(dialogs: list[tuple[int, int]], n_rows: int, dice: Dice) -> list[tuple[int, int, Month]]:
    """Give every dialog a month so that each month has exactly its number of rows."""
    months = list(shape.MONTHS)
    room = list(shape.apportion(n_rows, shape.MONTHS).values())
    placed: list[tuple[int, int, Month]] = []
    waiting = sorted(dice.shuffled(dialogs), key=lambda dialog: dialog[1])
    while waiting:
        user, size = waiting.pop()
        weights = [left if left >= size else 0 for left in room]
        if not any(weights):  # no month has room for it whole
            waiting += [(user, 1)] * size
            continue
        at = dice.weighted(weights)
        room[at] -= size
        placed.append((user, size, months[at]))
    return placed


def _moment(month: tuple[int, int], dice: Dice) -> datetime:
    year, number = month
    days = calendar.monthrange(year, number)[1]
    if (year, number) == shape.LAST_DAY[:2]:
        days = shape.LAST_DAY[2]
    first = calendar.weekday(year, number, 1)
    day = 1 + dice.weighted([_DAY_WEIGHTS[(first + i) % 7] for i in range(days)])
    hour = dice.weighted(_HOUR_WEIGHTS)
    # Half an hour short of midnight at the end of the hour: a dialog stays in its month.
    minute = dice.below(30 if hour == 23 else 60)
    start = datetime(year, number, day, hour, minute, dice.below(60), tzinfo=UTC)
    return start + timedelta(microseconds=dice.below(1_000_000))
