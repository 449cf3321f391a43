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

#: What may have changed in the world; "code": the program, or what it asks by.
World = Literal["model", "judge", "chunks", "code", "unknown"]
#: What the sides of a gate are called.
SIDES: Mapping[str, str] = {"a": "The old side", "b": "The new side"}
#: Said where a side no longer gives its stored scores.
WORLD_CHANGED = (
    "The world has changed since it was measured, and that is not the change under test: fresh "
    "answers neither confirm nor take back what the stored results say, so these decide."
)
#: Said where that is so and nothing is known to be other than before.
NOTHING_SEEN = (
    "No cause is known: models and judges answer under the same names and builds, the same chunks "
    "are given, prompts and code are those of then, and no canary has found a judge changed."
)
#: What is to be done then, by what is known to have changed.
ANEW: Mapping[World, str] = {
    "model": (
        "Another model answers: say `rag-bench model-changed`, measure both sides anew, pin the "
        "baseline and ask again."
    ),
    "judge": (
        "Another judge scores: say `rag-bench model-changed`, let it score both sides anew, pin "
        "the baseline and ask again."
    ),
    "chunks": "Retrieval gives other chunks of the same dump: mend it and ask again.",
    "code": "Measure both sides by this version, pin the baseline and ask again.",
    "unknown": (
        "Ask the judge's canary (`rag-bench judge-canary`); say `rag-bench model-changed` of what "
        "has changed, measure both sides anew, pin the baseline and ask again."
    ),
}
#: Why a word of the stored results stands where fresh answers are of another world.
STANDS = "by the stored results; asked again, a side no longer gives its stored scores"
