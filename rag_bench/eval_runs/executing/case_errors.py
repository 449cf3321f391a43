"""Errors of a case as they are told: the code, the metric that is null for it, our own words."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from rag_bench.errors import ErrorCode
from rag_bench.tiers.base.case_of import details_by_name

#: How the detail of a call begins that was not made: its budget was spent, or the run was stopped.
NOT_MADE = "not asked: "
_ASKED_NOW = "no answer to "  # what reads answers says so where there is none

# What is read in a stored detail, and what is said of it. Providers' own words are not repeated:
# they may hold anything.
_CAUSES = (
    (r"cap reached", "the cap of calls or of money is reached"),
    (r"the run was stopped", "the run was stopped"),
    (r"^not asked after", "the model is not asked any more after many failures in a row"),
    (r"^http 401\b|^http 403\b", "the provider refuses the key"),
    (r"^http 404\b", "the provider has no such model or address"),
    (r"^http 429\b", "the provider's limit stays reached"),
    (r"^http 5\d\d\b", "the provider failed"),
    (r"^http \d+\b", "the provider refuses the request"),
    (r"^cannot connect|^no connection|connection broke", "the provider cannot be reached"),
    (r"in time|within \d", "there was no reply in time"),
    (r"^truncated|incomplete", "the reply is incomplete"),
    (r"^unreadable|neither|not JSON", "the reply cannot be read"),
    (r"reply is empty|only thought", "the reply is empty"),
    (r"no chunk", "no chunk was found that is near enough"),
)
_MODEL = re.compile(r"^\S+/\S+: ")  # whose failure it was stands before it
_OF_ANSWER = {
    ErrorCode.LLM_FAILED: "The model gave no answer, so nothing is measured of this case",
    ErrorCode.TIMEOUT: "The model gave no answer in time, so nothing is measured of this case",
    ErrorCode.INVALID_INPUT: "The model could not be asked, so nothing is measured of this case",
    ErrorCode.METRIC_ERROR: "The answer cannot be read, so nothing is measured of this case",
}
_OF_METRIC = {
    ErrorCode.LLM_FAILED: "The judge gave no score",
    ErrorCode.TIMEOUT: "There was no score in time",
    ErrorCode.INVALID_INPUT: "There is nothing that could be scored",
    ErrorCode.METRIC_ERROR: "The score could not be computed or read",
}
_NO_CITATIONS = "The answer cites no source that it was given"


@dataclass(frozen=True)
class CaseProblem:
    """One error of a case; ``metric``: the one that has no score for it, None: all of them.

    ``asked``: False where a call was not made, so that completing the run may mend it.
    """

    code: ErrorCode
    metric: str | None
    detail: str
    asked: bool = True

    def as_json(self) -> dict[str, Any]:
        """Return it as it is told."""
        told = {"code": str(self.code), "detail": self.detail}
        return told if self.metric is None else {**told, "metric": self.metric}


def no_citations() -> CaseProblem:
    """Return the error of an answer without citations, which is scored all the same."""
    return CaseProblem(ErrorCode.NO_CITATIONS, None, f"{_NO_CITATIONS}.")


def of_answer(code: str, detail: str | None) -> CaseProblem:
    """Return why a case has no answer."""
    return _problem(ErrorCode(code), None, _OF_ANSWER, detail or "")


def of_search(code: str, detail: str | None) -> CaseProblem:
    """Return why a case has no chunks, where nothing but these is asked for."""
    words = {ErrorCode(code): "Its chunks were not retrieved"}
    return _problem(ErrorCode(code), None, words, detail or "")


def of_metrics(
    code: str, detail: str | None, names: Mapping[str, str], scored: Collection[str]
) -> list[CaseProblem]:
    """Return an error for each metric of an evaluation's case that has one.

    Args:
        code: of the case's first error.
        detail: of all of them, as it is stored.
        names: by what details call a metric, its name.
        scored: metrics of the case that have a score.
    """
    if (detail or "").startswith(_ASKED_NOW):
        return []  # it is told where the answer is
    found = []
    for name, own_code, words in details_by_name(detail or "", names):
        if words.startswith(_ASKED_NOW) or names[name] in scored:
            continue
        found.append(_problem(ErrorCode(own_code or code), names[name], _OF_METRIC, words))
    return found


def _problem(
    code: ErrorCode, metric: str | None, words: Mapping[ErrorCode, str], detail: str
) -> CaseProblem:
    said = words.get(code, "The case failed")
    detail = _MODEL.sub("", detail)
    cause = next((cause for form, cause in _CAUSES if re.search(form, detail, re.IGNORECASE)), None)
    asked = not detail.startswith(NOT_MADE)
    return CaseProblem(code, metric, f"{said}: {cause}." if cause else f"{said}.", asked)
