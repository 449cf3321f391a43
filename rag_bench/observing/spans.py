"""Spans of OpenTelemetry, sent to where its standard variables say; without them nothing is loaded.

``OTEL_EXPORTER_OTLP_ENDPOINT`` (or ``OTEL_EXPORTER_OTLP_TRACES_ENDPOINT``) switches them on;
``OTEL_SDK_DISABLED=true`` and ``OTEL_TRACES_EXPORTER=none`` off. All other variables are read by
the packages themselves. A span never holds a question, an answer or a key.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastapi import FastAPI
    from opentelemetry.sdk.trace import TracerProvider

_log = logging.getLogger("rag_bench.observing")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
#: Attributes of OpenTelemetry's conventions, older and newer, that hold a path or a query.
_ADDRESSES = ("http.target", "http.url", "url.full", "url.path", "url.query")
#: Probes and scrapes come all the time and say nothing.
_UNTRACED = "/healthz$,/readyz$,/metrics$"
_lock = Lock()
_found: list[TracerProvider | None] = []


@dataclass(frozen=True)
class Ids:
    """A span's ids, hexadecimal, and whether it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool


def wanted(environment: Mapping[str, str] | None = None) -> bool:
    """Whether the standard variables ask for spans."""
    said = os.environ if environment is None else environment
    if said.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = said.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    return exporter == "otlp" and any(said.get(name, "").strip() for name in _ENDPOINTS)


def provider() -> TracerProvider | None:
    """Return this process's provider of spans, made when it is first asked for; None: off."""
    if not _found:
        with _lock:
            if not _found:
                _found.append(_made() if wanted() else None)
    return _found[0]


@contextmanager
def span(
    name: str, attributes: Mapping[str, Any] | None = None, *, to_others: bool = False
) -> Iterator[Any]:
    """Record the block as a span; yields it, or None where none are recorded.

    Args:
        name: what is done, of few distinct values.
        attributes: of the span.
        to_others: it is a request to another service.
    """
    made = provider()
    if made is None:
        yield None
        return
    from opentelemetry.trace import SpanKind, StatusCode

    kind = SpanKind.CLIENT if to_others else SpanKind.INTERNAL
    tracer = made.get_tracer("rag_bench")
    with tracer.start_as_current_span(
        name,
        kind=kind,
        attributes=dict(attributes or {}),
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except BaseException as error:
            # Its own text may hold what is not for everybody; that it failed, and how, is enough.
            opened.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def current_ids() -> Ids | None:
    """Return the ids of the span that is open; None where none is, or none are recorded."""
    if not _found or _found[0] is None:
        return None
    from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

    found = get_current_span().get_span_context()
    if not found.is_valid:
        return None
    sampled = bool(found.trace_flags.sampled)
    return Ids(format_trace_id(found.trace_id), format_span_id(found.span_id), sampled)


def trace_requests(app: FastAPI) -> None:
    """Record a span for each request of an application, by its route's template."""
    made = provider()
    if made is None:
        return
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

    FastAPIInstrumentor.instrument_app(
        app,
        tracer_provider=made,
        excluded_urls=_UNTRACED,
        exclude_spans=["receive", "send"],
        server_request_hook=_without_address,
    )


def _without_address(span: Any, scope: Mapping[str, Any]) -> None:
    """Take out of a request's span what a client wrote into the address: labels, words that are
    searched for, ids. The route's template says what was asked.
    """
    if span is None or not span.is_recording():
        return
    for name in _ADDRESSES:
        if name in span.attributes:
            span.set_attribute(name, "")


def flush() -> None:
    """Send what is recorded and not sent yet; at most a few seconds."""
    made = _found[0] if _found else None
    if made is not None:
        made.force_flush(5000)


def _made() -> TracerProvider | None:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
    except ImportError:
        _log.warning(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but traces need more packages: "
            "pip install 'rag-bench[tracing]'. No spans are sent."
        )
        return None
    from rag_bench.observing import trace

    class Ours(RandomIdGenerator):
        """A span without a parent begins the trace that its work already belongs to."""

        def generate_trace_id(self) -> int:
            current = trace.current_trace()
            return int(current.trace_id, 16) if current else super().generate_trace_id()

    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "rag_bench"}
    made = TracerProvider(resource=Resource.create(named), id_generator=Ours())
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made
