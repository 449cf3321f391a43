"""What a step imports, imported before its cells run: by doing once, in small, what they do.

A thread that imports a library for the first time while another looks around in ``sys.modules``
shows it half-made modules; so ends a sweep ("partially initialized module has no attribute").
Libraries import much only when they are first used, and more of it with each version: no list of
names would hold. So the work itself is rehearsed, on the thread of the event loop, before any job
starts and any cell is finished on another thread.
"""

from __future__ import annotations

import threading
from functools import cache

_calls_rehearsed = threading.Event()


async def rehearse_calls() -> None:
    """Import what a first call to a model imports: the loop's backend, connections, the codecs that
    look up host names and hide keys. Not the SDK, which takes long to import and is there for
    libraries; see `rehearse_sdk`. Once in a process: each stage of a sweep has a loop of its own.
    """
    if _calls_rehearsed.is_set():
        return
    import codecs

    import anyio.lowlevel
    import httpx

    from rag_bench.llm.network.network import tls_with

    for name in ("idna", "utf-16-be"):  # getaddrinfo wants the first, on a thread of its own
        codecs.lookup(name)
    await anyio.lowlevel.checkpoint()
    async with httpx.AsyncHTTPTransport(verify=tls_with({})):
        pass
    _calls_rehearsed.set()


def rehearse_sdk() -> None:
    """Import what a library imports that calls models by the SDK, as RAGAS does."""
    import openai  # noqa: F401


@cache
def rehearse_measuring() -> None:
    """Import what means, rates and quantiles with their intervals import."""
    from rag_bench.evaluation.statistics import mean_metric, quantile_metric, rate_metric

    numbers = [float(number % 2) for number in range(200)]
    mean_metric(numbers, range(200), scale=(0.0, 1.0), resamples=2)
    rate_metric([True, False])
    rate_metric([True, False, True], clusters=["a", "a", "b"])
    quantile_metric(numbers, 0.95)
