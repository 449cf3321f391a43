"""All quirks that are declared, and what follows from them for one model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rag_bench import extensions
from rag_bench.llm.config.options import ResponseFormat, SystemMessage
from rag_bench.llm.config.quirk import Quirk
from rag_bench.llm.config.roles import Provider

#: Of the built-in modules by name, then of extensions; a later one is nearer.
QUIRKS: tuple[Quirk, ...] = tuple(
    quirk for module in extensions.modules("llm.quirks") for quirk in getattr(module, "QUIRKS", ())
)


@dataclass(frozen=True)
class Asked:
    """How a model is asked, before a user's variables change it. None: as the protocol has it."""

    body: Mapping[str, Any]
    max_tokens_field: str | None
    response_format: ResponseFormat | None
    system_message: SystemMessage | None
    thinks: bool


def quirks_of(provider: Provider, model: str) -> list[Quirk]:
    """Return the quirks that requests to a model have."""
    return list(_fitting(QUIRKS, provider.name, provider.base_url, model))


@lru_cache(maxsize=1024)  # every call asks, and the answer takes dozens of expressions
def _fitting(
    quirks: tuple[Quirk, ...], name: str, base_url: str | None, model: str
) -> tuple[Quirk, ...]:
    provider = Provider(name, base_url)
    return tuple(quirk for quirk in quirks if quirk.fits(provider, model))


def asked(provider: Provider, model: str) -> Asked:
    """Return what a model's quirks together change in its requests."""
    found = quirks_of(provider, model)
    nearest_first = found[::-1]
    return Asked(
        {name: value for quirk in found for name, value in quirk.body.items()},
        next((q.max_tokens_field for q in nearest_first if q.max_tokens_field), None),
        next((q.response_format for q in nearest_first if q.response_format), None),
        next((q.system_message for q in nearest_first if q.system_message), None),
        any(quirk.thinks for quirk in found),
    )


def in_address(provider: Provider, model: str) -> list[dict[str, Any]]:
    """Return what changes a model's requests and was not always so."""
    found = quirks_of(provider, model)
    return [quirk.changes for quirk in found if quirk.in_address and quirk.changes]
