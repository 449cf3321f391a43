"""The precision of numbers: what is made of vectors is rounded where it is made.

Processors, numeric libraries and numbers of threads round sums differently, so the same text has
vectors that differ by about 1e-7, and a cosine of two equal texts may come out as
0.9999999999999999. Rounded to `DIGITS` decimals before anything is compared, ranked, counted or
stored, equal texts have a cosine of exactly 1, ties are ties everywhere, and a threshold of 0.95
is reached by 0.95. Two machines still differ by one unit of the last decimal where a number lies
next to a rounding boundary; nothing is named by such a number (see ``outcome_hash`` of the store).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    import numpy as np

#: Decimals of scores, cosines and distances, and of every published number on a known scale.
DIGITS = 6


@overload
def settled(values: float) -> float: ...
@overload
def settled(values: np.ndarray) -> np.ndarray: ...
def settled(values: float | np.ndarray) -> float | np.ndarray:
    """Return a number, or an array in float64, rounded to `DIGITS` decimals, without -0.0.

    NaN and infinities stay. An array must be float64 already, or its float32 neighbours would be
    rounded to what float32 can hold: it is converted here.
    """
    if isinstance(values, (int, float)):
        return round(float(values), DIGITS) + 0.0 if math.isfinite(values) else float(values)
    import numpy as np

    return np.round(np.asarray(values, dtype=np.float64), DIGITS) + 0.0


def published(value: float) -> float:
    """Return a number as it is published: six decimals, or six digits where it is below 0.1.

    The second is for measures without a scale, whose values may all be small.
    """
    if value == 0 or abs(value) >= 0.1:
        return round(value, DIGITS) + 0.0
    return float(f"{value:.{DIGITS}g}")
