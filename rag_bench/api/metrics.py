"""`/metrics` for Prometheus: figures of the tables, and of the requests to this process.

Labels are bounded: templates of routes, words of ours, and at most so many models. What is read of
the tables is given again for some seconds, so that it does not matter who scrapes how often.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from rag_bench.access.scopes import Scope
from rag_bench.api.allowed import needs
from rag_bench.store.eval_runs.figures import Calls, CallSums, Figures, figures

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.metrics_core import Metric
    from sqlalchemy import Engine

#: Seconds for which figures of the tables are given again.
FRESH = 5.0
#: Models with a label of their own; those that come later are ``other``.
MOST_MODELS = 50
#: Bounds in seconds; a request that waits for its run takes a minute.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The metrics of one application, in a registry of its own."""

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        from prometheus_client import (
            CollectorRegistry,
            Counter,
            Histogram,
            disable_created_metrics,
        )

        disable_created_metrics()  # a series more for each, which nobody reads

        self._engine, self._clock = engine, clock
        self._lock = Lock()
        self._read: tuple[float, Figures, dict[str, Calls]] | None = None
        self._sums = CallSums(clock)
        self._labelled: list[str] = []
        self.registry: CollectorRegistry = CollectorRegistry()
        self._requests = Counter(
            "rag_bench_http_requests",
            "Requests to this process, by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rag_bench_http_request_seconds",
            "Seconds until a request's answer begins, by route.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.registry.register(self)

    def observe(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count one request; ``route`` is its template, None: there is none."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route or "-", str(status)).inc()
        self._seconds.labels(method, route or "-").observe(seconds)

    def collect(self) -> Iterator[Metric]:
        """Return what the tables say."""
        found, calls = self._looked_up()
        yield from _of_figures(found)
        yield from _of_calls(self._bounded(calls))

    def describe(self) -> list[Metric]:
        """Return nothing: what there is is only known by a look."""
        return []

    def _looked_up(self) -> tuple[Figures, dict[str, Calls]]:
        with self._lock:
            if self._read is None or self._clock() - self._read[0] > FRESH:
                with self._engine.connect() as connection:
                    found = figures(connection), self._sums.read(connection)
                self._read = (self._clock(), *found)
            return self._read[1:]

    def _bounded(self, calls: Mapping[str, Calls]) -> dict[str, Calls]:
        # Who has a label keeps it, or a counter would fall.
        with self._lock:
            known = set(self._labelled)
            most_first = sorted(calls, key=lambda key: (-calls[key].answered, key))
            new = [key for key in most_first if key not in known]
            self._labelled += new[: max(0, MOST_MODELS - len(self._labelled))]
            labelled = set(self._labelled)
        bounded: dict[str, Calls] = {}
        for key, sums in calls.items():
            label = key if key in labelled else "other"
            bounded[label] = bounded.get(label, Calls()) + sums
        return bounded


def router(metrics: Metrics) -> APIRouter:
    """Return the endpoint that is scraped."""
    made = APIRouter(tags=["monitoring"], dependencies=[needs(Scope.READ)])

    @made.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        summary="Figures for Prometheus",
    )
    def scrape(request: Request) -> Response:
        """With a key that may read, as everything: Prometheus sends it as a bearer token."""
        from prometheus_client.exposition import choose_encoder

        request.state.asked.recorded = False  # no one's act, and it comes all the time
        encode, kind = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": kind})

    return made


def _of_figures(found: Figures) -> Iterator[Metric]:
    yield _gauge("runs", "Runs, by state and place.", ("status", "place"), found.runs)
    waiting = {place: one.runs for place, one in found.waiting.items()}
    yield _gauge("runs_waiting", "Runs that wait to be started.", ("place",), waiting)
    oldest = {place: one.oldest_seconds for place, one in found.waiting.items()}
    yield _gauge("oldest_waiting_seconds", "How long the oldest of them waits.", ("place",), oldest)
    yield _gauge("cases", "Cases of all runs, by what came of them.", ("outcome",), found.cases)
    yield _gauge("callbacks", "Callbacks, by state.", ("status",), found.callbacks)
    yield _gauge("hooks", "Hooks that were received, by outcome.", ("outcome",), found.hooks)
    slots = found.slots.items()
    by = ("provider",)
    for name, about, values in (
        ("lease_processes", "Processes that share a provider.", {k: v.processes for k, v in slots}),
        ("lease_slots", "Calls in flight that they may have.", {k: v.held for k, v in slots}),
        ("lease_wanted", "Calls in flight that they want.", {k: v.wanted for k, v in slots}),
    ):
        yield _gauge(name, about, by, values)


def _of_calls(calls: Mapping[str, Calls]) -> Iterator[Metric]:
    made = _counter("calls", "Calls of models, of all time.", ("model", "outcome"))
    tokens = _counter("tokens", "Tokens of their replies.", ("model", "kind"))
    cost = _counter("cost_usd", "What they cost, as far as prices are known.", ("model",))
    for model, sums in sorted(calls.items()):
        made.add_metric([model, "answered"], sums.answered)
        made.add_metric([model, "failed"], sums.failed)
        tokens.add_metric([model, "prompt"], sums.prompt_tokens)
        tokens.add_metric([model, "completion"], sums.completion_tokens)
        cost.add_metric([model], float(sums.cost_usd))
    yield from (made, tokens, cost)


def _gauge(name: str, about: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"rag_bench_{name}", about, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family


def _counter(name: str, about: str, labels: tuple[str, ...]) -> Any:
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(f"rag_bench_{name}", about, labels=labels)
