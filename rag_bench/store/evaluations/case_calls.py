"""The calls that cases rest on, read from the ledger by the ids that the cases keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_CALLS = """
select one.evaluation_id, one.case_id, one.repeat, (noted ->> 'id')::bigint as call_id,
    noted ->> 'for' as made_for, noted ->> 'role' as role, noted ->> 'how' as how,
    call.model, call.provider, call.status, call.error_code, call.http_status,
    call.prompt_tokens, call.completion_tokens, call.cost_usd, call.latency_ms, call.wait_ms,
    call.retries, call.created_at is null as gone
from rag_bench.evaluation_case as one
cross join lateral jsonb_array_elements(coalesce(one.calls, '[]'::jsonb)) with ordinality
    as listed(noted, place)
left join rag_bench.llm_call as call on call.id = (noted ->> 'id')::bigint
"""
_ORDER = " order by one.evaluation_id, one.case_id, one.repeat, listed.place"


@dataclass(frozen=True)
class CaseCall:
    """One request of a case and the call that answered it.

    Attributes:
        made_for: the metric; of answers, the tier.
        how: ``sent`` for this case, ``shared`` with an equal one under way, or held by the
            ``ledger``.
        cost_usd: of the call; None: its price is not known, or it failed.
        latency_ms: of the provider's call; ``wait_ms``: of our waits and retries.
        gone: the ledger has it no more.
    """

    evaluation_id: int
    case_id: str
    repeat: int
    call_id: int
    made_for: str
    role: str
    how: str
    model: str | None
    provider: str | None
    status: str | None
    error_code: str | None
    http_status: int | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Decimal | None
    latency_ms: float | None
    wait_ms: float | None
    retries: int | None
    gone: bool


def calls_of_case(
    connection: Connection, evaluation_ids: Iterable[int], case_id: str
) -> list[CaseCall]:
    """Return the calls of one case in several evaluations, of all its repeats."""
    query = text(
        f"{_CALLS} where one.evaluation_id = any(:evaluations) and one.case_id = :case {_ORDER}"
    )
    given = {"evaluations": list(evaluation_ids), "case": case_id}
    return [CaseCall(**row._mapping) for row in connection.execute(query, given)]


_CALLED = """
select id, model, provider, status, error_code, prompt_tokens, completion_tokens,
    cost_usd::double precision as cost_usd, latency_ms, retries
from rag_bench.llm_call where id = any(:ids)
"""


def called(engine: Engine, call_ids: Iterable[int]) -> dict[int, dict[str, Any]]:
    """Return what the ledger says of calls, by their ids; those that are gone are left out."""
    ids = sorted(set(call_ids))
    if not ids:
        return {}
    with engine.connect() as connection:
        rows = connection.execute(text(_CALLED), {"ids": ids})
        return {row.id: dict(row._mapping) for row in rows}


@dataclass(frozen=True)
class CallSums:
    """What calls come to. A call that several requests rest on counts once in tokens and cost.

    Tokens and ``cost_usd``: None where no call tells any; ``n_unpriced``: replies whose price is
    not known.
    """

    n_requests: int
    n_sent: int
    n_failed: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_usd: Decimal | None
    n_unpriced: int

    @classmethod
    def of(cls, calls: Sequence[CaseCall]) -> CallSums:
        """Return the sums of calls."""
        once = list({call.call_id: call for call in calls}.values())
        costs = [call.cost_usd for call in once if call.cost_usd is not None]
        return cls(
            len(calls),
            sum(call.how == "sent" for call in calls),
            sum(call.status == "error" for call in once),
            _sum(call.prompt_tokens for call in once),
            _sum(call.completion_tokens for call in once),
            sum(costs, Decimal(0)) if costs else None,
            sum(call.cost_usd is None and call.status != "error" for call in once),
        )


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if known else None
