"""The shape of the traffic that is imitated: aggregates of a real help-desk bot, no texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

K = TypeVar("K")

ROWS = 5183  # rows behind the counts below
USERS = 1752
ONE_QUESTION_USERS = 836
REPEATED_TEXTS = 697  # rows whose text occurred in an earlier row
ANSWERED = 2990
NOT_FOUND = 88  # of the answered: the answer says only that there is none
NOT_FOUND_ANSWER = "Ответ не найден."
LATIN_ONLY = 66
NO_LETTERS = 52
SCORES = {5: 251, 4: 1, 1: 319}

# Rows by month (UTC); None: rows older than the column, without a time.
MONTHS: dict[tuple[int, int] | None, int] = {
    None: 403,
    (2023, 12): 13,
    (2024, 2): 496,
    (2024, 3): 182,
    (2024, 4): 80,
    (2024, 5): 91,
    (2024, 6): 207,
    (2024, 7): 103,
    (2024, 8): 319,
    (2024, 9): 271,
    (2024, 10): 184,
    (2024, 11): 329,
    (2024, 12): 162,
    (2025, 1): 135,
    (2025, 2): 177,
    (2025, 3): 212,
    (2025, 4): 239,
    (2025, 5): 296,
    (2025, 6): 49,
    (2025, 7): 187,
    (2025, 8): 429,
    (2025, 9): 239,
    (2025, 11): 19,
    (2025, 12): 220,
    (2026, 1): 127,
    (2026, 2): 14,
}
LAST_DAY = (2026, 2, 12)  # the dump is of the day after

# Question lengths in characters; the generator aims at them, a test holds it to them.
LENGTH_MEDIAN, LENGTH_P90, LENGTH_MEAN = 33, 83, 49.8


def scaled(count: int, rows: int) -> int:
    """Return what ``count`` of ``ROWS`` is of ``rows``, rounded."""
    return (2 * count * rows + ROWS) // (2 * ROWS)


def apportion(total: int, shares: Mapping[K, int]) -> dict[K, int]:
    """Split ``total`` in proportion to ``shares``, exactly (largest remainders, in order)."""
    whole = sum(shares.values())
    result = {key: total * share // whole for key, share in shares.items()}
    by_remainder: Sequence[K] = sorted(
        shares, key=lambda key: total * shares[key] % whole, reverse=True
    )
    for key in by_remainder[: total - sum(result.values())]:
        result[key] += 1
    return result
