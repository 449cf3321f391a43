"""A request after everything in it was read, checked and looked up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from rag_bench.eval_runs.config import RunConfig
from rag_bench.store.eval_runs.creating import NewCase, NewRun

Mode = Literal["sync", "async"]


@dataclass(frozen=True)
class Prepared:
    """What a run is made of.

    Attributes:
        request: as it was sent, without its cases.
        cases: in their order; those of a stored dataset, too.
        wanted_mode: as the field ``mode`` says; None: it does not.
        paid: whether a model may be asked that costs money: any that is no offline one.
    """

    request: Mapping[str, Any]
    config: RunConfig
    cases: Sequence[NewCase]
    paid: bool
    labels: Mapping[str, Any] = field(default_factory=dict)
    baseline: str | None = None
    callback_url: str | None = None
    max_calls: int | None = None
    max_cost_usd: Decimal | None = None
    wanted_mode: Mode | None = None

    def run(
        self,
        *,
        user_id: str,
        subject: str,
        trace_id: str,
        mode: Mode,
        place: Literal["service", "dagster"],
        mode_reason: str | None = None,
    ) -> NewRun:
        """Return the row that is stored: this, asked for by somebody, executed somewhere."""
        return NewRun(
            user_id=user_id,
            subject=subject,
            trace_id=trace_id,
            mode=mode,
            place=place,
            request=self.request,
            config=self.config.as_json(),
            labels=self.labels,
            baseline=self.baseline,
            callback_url=self.callback_url,
            max_calls=self.max_calls,
            max_cost_usd=self.max_cost_usd,
            mode_reason=mode_reason,
        )
