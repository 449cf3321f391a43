"""From what is counted to tokens, money and time: estimates by what the ledger holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rag_bench.llm.tasks.asking import LONGER_BY
from rag_bench.llm.transport.records import CHARS_PER_TOKEN
from rag_bench.tiers.plan.lines import ASSUMED, OF_MODEL, OF_PROVIDER, PlanLine

if TYPE_CHECKING:
    from rag_bench.llm.config.providers import Provider
    from rag_bench.store import calls
    from rag_bench.tiers.base.models import Models
    from rag_bench.tiers.plan.ledger_only import Tally


#: Seconds of a call of an offline model where none was timed: it runs in this process.
OFFLINE = 0.02


def line_of(
    key: tuple[str, str, str],
    tally: Tally,
    models: Models,
    usage: Sequence[calls.Usage],
    assumed: float,
    *,
    again: bool = False,
) -> PlanLine:
    """Return the line of one asset, role and model.

    Args:
        key: asset, role, model.
        tally: what was counted.
        models: for addresses, prices and limits.
        usage: what the ledger holds of all.
        assumed: seconds of a call where none of the model or its provider was ever timed.
        again: whether the model is asked once more where its reply cannot be read.
    """
    asset, role, model = key
    provider, name = models.split(model)
    n = len(tally.to_send) + tally.n_unknown
    prompt_tokens = round(tally.prompt_chars / CHARS_PER_TOKEN)
    of_provider = [u for u in usage if u.provider == provider.recorded_name and u.n_ok]
    of_model = [u for u in of_provider if u.model == name]
    same = [u for u in of_model if u.role == role]
    completion_tokens = tally.longest
    for known in (same, [u for u in usage if u.role == role and u.n_ok]):
        spent, replies = (
            sum(u.completion_tokens or 0 for u in known),
            sum(u.n_ok + u.n_discarded for u in known),
        )
        if spent and replies:
            completion_tokens = round(n * spent / replies)
            break
    latency, basis = latency_of(provider, name, role, usage, assumed)
    seconds = n * latency / models.slots(provider.name)
    if provider.rpm:
        seconds = max(seconds, n * 60 / provider.rpm)
    cost = models.providers.cost_usd(
        model, prompt_tokens, completion_tokens, tally.search_units, n_calls=n
    )
    # Each call once more, with the reply that could not be read and why.
    times, longer = (2, round(n * LONGER_BY / CHARS_PER_TOKEN)) if again else (1, 0)
    most = models.providers.cost_usd(
        model,
        times * prompt_tokens + longer,
        times * tally.longest,
        times * tally.search_units,
        n_calls=times * n,
    )
    return PlanLine(
        asset,
        role,
        model,
        tally.n_requests,
        len(tally.in_ledger),
        len(tally.to_send),
        tally.n_unknown,
        prompt_tokens,
        completion_tokens,
        cost,
        seconds if n else 0.0,
        latency,
        basis,
        n if again else 0,
        most,
    )


def latency_of(
    provider: Provider, name: str, role: str, usage: Sequence[calls.Usage], assumed: float
) -> tuple[float, str]:
    """Return the seconds that a call of a model is taken to last, and what that rests on, as of
    `PlanLine`: the median of the model's own calls in this role, of its calls, of its provider's.

    ``assumed``: where none was ever timed.
    """
    of_provider = [u for u in usage if u.provider == provider.recorded_name and u.n_ok]
    of_model = [u for u in of_provider if u.model == name]
    same = [u for u in of_model if u.role == role]
    # Assistants share nothing but the word that their keys begin with.
    alike = [] if provider.target else of_provider
    for timed, of in ((same, OF_MODEL), (of_model, OF_MODEL), (alike, OF_PROVIDER)):
        if (found := _latency(timed)) is not None:
            return found, of
    return (OFFLINE if provider.kind == "simulator" else assumed), ASSUMED


def _latency(usage: Sequence[calls.Usage]) -> float | None:
    """Return the median latency in seconds: the mean of the groups' medians, by their calls."""
    timed = [(u.latency_ms_p50, u.n_ok) for u in usage if u.latency_ms_p50 is not None]
    if not timed:
        return None
    return sum(ms * n for ms, n in timed) / sum(n for _, n in timed) / 1000
