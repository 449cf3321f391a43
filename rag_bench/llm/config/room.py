"""How long a reply may be, in tokens: by what it is for, by the model, by the settings.

A limit is part of the request, so of the ledger's key too; the defaults are those of all earlier
versions for models that do not reason.
"""

from __future__ import annotations

from collections.abc import Mapping

from rag_bench.llm.config.known_quirks import asked
from rag_bench.llm.config.roles import Provider, Role
from rag_bench.settings import Settings

#: What a reply of each role needs, where the request says nothing of its own.
NEEDED: Mapping[str, int] = {
    Role.generation: 512,
    Role.benchmark_judge: 256,
    Role.production_judge: 256,
    Role.dataset: 768,
}
_NEEDED_ELSE = 1024
#: Tokens for the thinking before the reply, which providers count into the same limit.
REASONING_ROOM = 4096


def is_reasoning(provider: Provider, model: str) -> bool:
    """Whether a model thinks before it replies: as the settings say, else by its quirks."""
    said = provider.options_for(model).reasoning
    return asked(provider, model).thinks if said is None else said


def limits_of_roles(settings: Settings) -> dict[str, int]:
    """Return the limits that the settings name, by role."""
    named = {role: getattr(settings, f"max_tokens_{role}") for role in Role}
    return {str(role): limit for role, limit in named.items() if limit is not None}


def longest_reply(
    provider: Provider, model: str, role: str, needed: int | None, of_roles: Mapping[str, int]
) -> int:
    """Return a request's limit: of the model, else of its provider, else of the role.

    Args:
        provider: whose the model is.
        model: as the provider names it.
        role: what the reply is for.
        needed: what this kind of request needs at least (a judge's reasoning, RAGAS); None: what
            the role needs. A named limit below it does not count, as such replies would all be cut.
        of_roles: the settings' limits, by role.
    """
    named = provider.options_for(model).max_tokens
    limit = named.get(role) or named.get("") or of_roles.get(role)
    if limit is not None:
        return max(limit, needed or 0)
    need = needed or NEEDED.get(role, _NEEDED_ELSE)
    return need + REASONING_ROOM if is_reasoning(provider, model) else need


def how_to_raise(provider: Provider, model: str, role: str) -> str:
    """Say which variable gives longer replies, the one that decides first."""
    prefix = f"PROVIDER_{provider.name.upper()}_"
    named = provider.options_for(model)
    if "max_tokens" in named.body or "max_completion_tokens" in named.body:
        return f"raise it in {prefix}EXTRA_BODY or {prefix}MODEL_OPTIONS"
    if role not in set(Role):
        return f"raise {prefix}MAX_TOKENS"
    if not named.max_tokens:
        return f"raise RAG_BENCH_MAX_TOKENS_{role.upper()}, or {prefix}MAX_TOKENS"
    model_named = any(options.max_tokens for _, options in provider.matching(model))
    if model_named:
        return f'raise "max_tokens" in {prefix}MODEL_OPTIONS'
    suffix = f"_{role.upper()}" if role in named.max_tokens else ""
    return f"raise {prefix}MAX_TOKENS{suffix}"
