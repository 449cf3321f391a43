"""What the environment says of models: read once, and again where it has changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from rag_bench.llm.config.pricing import VARIABLE
from rag_bench.llm.config.providers import Providers


def configured_providers() -> Providers:
    """Return the providers of the environment; raises ConfigurationError as they do.

    Reading some hundred variables anew for each request would take as long as all else.
    """
    prices = os.environ.get(VARIABLE, "").strip()
    return _read(frozenset(os.environ.items()), _changed(prices))


@lru_cache(maxsize=2)
def _read(environment: frozenset[tuple[str, str]], changed: float | None) -> Providers:
    variables: Mapping[str, str] = dict(environment)
    return Providers.from_environment(variables)


def _changed(path: str) -> float | None:
    try:
        return Path(path).stat().st_mtime if path else None
    except OSError:
        return None
