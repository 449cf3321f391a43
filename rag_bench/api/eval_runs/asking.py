"""What may be asked of runs and cases: parameters of the query, and what they become."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic_core import PydanticCustomError

from rag_bench.api.eval_runs.cursors import MOST_CHARACTERS
from rag_bench.store.eval_runs.reading import CaseFilter, RunFilter

#: PostgreSQL takes no NUL.
Words = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
#: A number would be read as seconds since 1970, which no description tells.
Time = Annotated[
    AwareDatetime, BeforeValidator(lambda given: given if "-" in str(given)[:8] else "no time")
]


def _form(pattern: str, words: str) -> BeforeValidator:
    """Refuse what has another form in words: nobody reads an expression."""

    def check(given: Any) -> Any:
        if isinstance(given, str) and not re.search(pattern, given):
            raise PydanticCustomError("form", "{words}", {"words": words})
        return given

    return BeforeValidator(check)


_LABEL = r"^[^\x00:]+:[^\x00]*$"
_BELOW = r"^[^\x00]+:-?[0-9]{1,9}(\.[0-9]{1,9})?$"
Label = Annotated[
    str,
    StringConstraints(min_length=2, max_length=400, pattern=_LABEL),
    _form(_LABEL, "Write name:value, as label=branch:main."),
]
Below = Annotated[
    str,
    StringConstraints(max_length=200, pattern=_BELOW),
    _form(_BELOW, "Write METRIC:VALUE, as below=faithfulness:0.5."),
]


class Page(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=1000, description="At most so many.")
    cursor: str | None = Field(
        None,
        max_length=MOST_CHARACTERS,
        description="`next_cursor` of the page before, with the same filter; none: the first.",
    )

    def asked(self) -> dict[str, Any]:
        """Return what a cursor is bound to."""
        return self.model_dump(mode="json", exclude={"limit", "cursor"}, exclude_none=True)


class AskedRuns(Page):
    """Which runs; newest first, and nothing is left out by time unless it is asked for."""

    status: Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"] | None = (
        None
    )
    user: Words | None = Field(None, description="Who started it.")
    model: Words | None = Field(None, description="Key of a generation or judge model.")
    since: Time | None = Field(None, description="Created at this time or later.")
    until: Time | None = Field(None, description="Created before this time.")
    flag: Words | None = Field(None, description="That stands in the `flags` of the run.")
    label: list[Label] = Field(
        [], max_length=20, description="`name:value`; several: the run has all of them."
    )

    def wanted(self) -> RunFilter:
        """Return the filter of the store."""
        parts = (one.partition(":") for one in self.label)
        return RunFilter(
            status=self.status,
            user_id=self.user,
            model=self.model,
            since=self.since,
            until=self.until,
            flag=self.flag,
            labels=tuple((name, value) for name, _, value in parts),
        )


class AskedCases(Page):
    """Which cases of a run, in their order."""

    errored: bool | None = Field(None, description="Whether something failed at the case.")
    flagged: bool | None = Field(None, description="Whether the case has a flag.")
    below: Below | None = Field(
        None,
        description="`METRIC:VALUE`: cases where the metric was measured and is less.",
        examples=["faithfulness:0.5"],
    )

    def wanted(self) -> CaseFilter:
        """Return the filter of the store."""
        below = None
        if self.below is not None:
            name, _, value = self.below.rpartition(":")
            below = (name, float(value))
        return CaseFilter(errored=self.errored, flagged=self.flagged, below=below)
