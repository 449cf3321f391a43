"""The calls behind each case, as they are stored with it, and the sums of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag_bench.llm.transport.case_calls import LEDGER, SHARED
from rag_bench.llm.transport.tally import Requests
from rag_bench.store.evaluations import Case

if TYPE_CHECKING:
    from rag_bench.llm.transport.case_calls import CaseCall


def with_calls(cases: Sequence[Case], noted: Sequence[CaseCall]) -> list[Case]:
    """Return the cases with the calls that each rests on; with none where none was made.

    A call belongs to the case and repeat that it was made for; where a tier keeps one record of
    all repeats, to that.
    """
    places = {(case.case_id, case.repeat): place for place, case in enumerate(cases)}
    first: dict[str, int] = {}
    for place, case in enumerate(cases):
        first.setdefault(case.case_id, place)
    found: list[list[CaseCall]] = [[] for _ in cases]
    for call in noted:
        at = places.get((call.case_id, call.repeat), first.get(call.case_id))
        if at is not None:
            found[at].append(call)
    return [
        replace(case, calls=tuple(as_stored(call) for call in sorted(calls, key=_order)))
        for case, calls in zip(cases, found, strict=True)
    ]


def as_stored(call: CaseCall) -> dict[str, Any]:
    """Return a call as a case's record has it: the ledger's row, what for, how answered."""
    return {"id": call.call_id, "for": call.metric, "role": call.role, "how": call.how}


def sums(noted: Sequence[CaseCall]) -> dict[str, Any]:
    """Return an evaluation's own sums of its requests: those of the tally, for the record.

    Tokens and cost are of the calls that were sent for it; the cost is a sum over ``n_priced``.
    """
    requests = Requests()
    for call in noted:
        requests.note(from_ledger=call.how == LEDGER, shared=call.how == SHARED, usage=call.usage)
    return {**vars(requests), "cost_usd": float(requests.cost_usd)}


def _order(call: CaseCall) -> tuple[int, str]:
    return call.call_id, call.metric
