"""The words that a comparison ends with, and the margin that they are said by; imports nothing."""

from __future__ import annotations

from typing import Literal

Word = Literal["got worse", "no worse than the margin", "cannot tell"]
GOT_WORSE: Word = "got worse"
NO_WORSE: Word = "no worse than the margin"
CANNOT_TELL: Word = "cannot tell"
#: As a part of a metric's scale: 5 points of a rate, 0.2 of a rubric from 1 to 5.
MARGIN = 0.05
