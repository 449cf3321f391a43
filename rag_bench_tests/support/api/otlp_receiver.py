"""A receiver of OpenTelemetry's spans on 127.0.0.1, and what they say."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local_provider import served
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass(frozen=True)
class Span:
    """One span as it was received."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    said: dict[str, Any]
    service: str
    text: str


class Spans:
    """What was received so far."""

    def __init__(self) -> None:
        self.url = ""
        self.found: list[Span] = []
        self._lock = threading.Lock()

    def named(self, name: str) -> Span:
        [one] = [span for span in self.found if span.name == name]
        return one

    def take(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        with self._lock:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = _said(resource.resource.attributes)["service.name"]
                for scope in resource.scope_spans:
                    for one in scope.spans:
                        self.found.append(
                            Span(
                                one.name,
                                one.trace_id.hex(),
                                one.span_id.hex(),
                                one.parent_span_id.hex(),
                                _said(one.attributes),
                                service,
                                str(one),
                            )
                        )


def _said(attributes: Any) -> dict[str, Any]:
    found = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        found[one.key] = getattr(one.value, kind) if kind else None
    return found


@contextmanager
def collecting() -> Iterator[Spans]:
    """Receive at ``url`` until the block ends."""
    made = Spans()

    async def take(request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        made.take(body)
        return Response(status_code=200, media_type="application/x-protobuf")

    with served(Starlette(routes=[Route("/v1/traces", take, methods=["POST"])])) as url:
        made.url = url
        yield made
