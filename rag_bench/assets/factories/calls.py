"""What a materialization asked of its models, as metadata: calls, tokens, money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.llm.transport.tally import Requests


def calls_metadata(requests: Requests) -> dict[str, Any]:
    """Return what a cell asked in this run.

    ``calls_sent`` cost time and perhaps money now; the others were answered by a reply that was
    there, or by one that another cell was waiting for. The cost is left out unless the price of
    every call is known: part of a sum would look like the whole.
    """
    metadata: dict[str, Any] = {
        "calls_asked": requests.asked,
        "calls_sent": requests.sent,
        "calls_from_ledger": requests.from_ledger,
        "calls_shared": requests.shared,
        "prompt_tokens": requests.prompt_tokens,
        "completion_tokens": requests.completion_tokens,
    }
    if requests.n_priced == requests.sent:
        metadata["cost_usd"] = float(requests.cost_usd)
    return metadata


def ledger_metadata(engine: Engine) -> dict[str, Any]:
    """Return the ledger's sums of all time, to be followed over the weeks.

    ``ledger_cost_usd`` is a lower bound where ``ledger_calls_unpriced`` is not 0.
    """
    from rag_bench.store.calls import usage

    with engine.connect() as connection:
        rows = usage(connection)
    return {
        "ledger_calls": sum(row.n_ok + row.n_error + row.n_discarded for row in rows),
        "ledger_failed_calls": sum(row.n_error for row in rows),
        "ledger_tokens": sum(
            (row.prompt_tokens or 0) + (row.completion_tokens or 0) for row in rows
        ),
        "ledger_cost_usd": float(sum(row.cost_usd or 0 for row in rows)),
        "ledger_calls_unpriced": sum(row.n_cost_unknown for row in rows),
    }
