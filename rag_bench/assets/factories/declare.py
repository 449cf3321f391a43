"""How this project's assets and checks are declared: their failures are told in plain words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import dagster as dg

from rag_bench.errors import RagBenchError

#: The resource that a run's settings are read by, and the asset whose texts are part of them.
SETTINGS, CORPUS = "benchmark", "chunk"

Compute = Callable[..., Any]


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turn an error that is meant to be read into Dagster's own: the UI then opens with the
    sentence and not with a stack trace.
    """
    try:
        yield
    except RagBenchError as error:
        raise dg.Failure(str(error), allow_retries=False) from None


def _plain(function: Compute) -> Compute:
    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def steps(*args: Any, **kwargs: Any) -> Iterator[Any]:
            with in_plain_words():
                yield from function(*args, **kwargs)

        return steps

    @wraps(function)
    def step(*args: Any, **kwargs: Any) -> Any:
        with in_plain_words():
            return function(*args, **kwargs)

    return step


def asset(**arguments: Any) -> Callable[[Compute], dg.AssetsDefinition]:
    """Return Dagster's asset decorator; what the asset fails with is told in plain words.

    What measures under a run's settings depends on the chunks as well: their texts are in the
    settings, so that after a dump with other texts a result counts no longer. Dagster looks one
    step up only, so each such asset says so itself.
    """

    def declare(function: Compute) -> dg.AssetsDefinition:
        deps = list(arguments.get("deps", ()))
        if SETTINGS in inspect.signature(function).parameters:
            deps.append(CORPUS)
        return dg.asset(**{**arguments, "deps": deps})(_plain(function))

    return declare


def asset_check(**arguments: Any) -> Callable[[Compute], dg.AssetChecksDefinition]:
    """Return Dagster's decorator of a check; what it fails with is told in plain words."""

    def declare(function: Compute) -> dg.AssetChecksDefinition:
        return dg.asset_check(**arguments)(_plain(function))

    return declare
