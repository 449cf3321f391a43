"""The words that a comparison ends with, and the margin that they are said by; imports nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Word = Literal["got worse", "no worse than the margin", "cannot tell"]
GOT_WORSE: Word = "got worse"
NO_WORSE: Word = "no worse than the margin"
CANNOT_TELL: Word = "cannot tell"

#: What a gate says of a release.
Outcome = Literal["passed", "failed", "held"]
PASSED: Outcome = "passed"
FAILED: Outcome = "failed"
HELD: Outcome = "held"
#: The answer to "May I release?", in the words of the page of that name.
MAY_I_RELEASE: Mapping[Outcome, str] = {
    PASSED: "You may release.",
    FAILED: "Do not release.",
    HELD: "Do not release yet.",
}
#: What is to be done with each word of a metric.
WHAT_TO_DO: Mapping[Word, str] = {
    GOT_WORSE: "look at the cases that got worse, and at what differs",
    NO_WORSE: "nothing: what was lost, if anything, is less than you said may be lost",
    CANNOT_TELL: "ask as many questions, of as many pages, as it says; or allow a wider margin",
}
#: As a part of a metric's scale: 5 points of a rate, 0.2 of a rubric from 1 to 5.
MARGIN = 0.05
