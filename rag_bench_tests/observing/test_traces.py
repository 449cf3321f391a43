"""Spans of OpenTelemetry: of a request, an execution, a provider's call; and nothing without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from api_access import a_key, bearer
from api_served import serving
from local_provider import completion, served
from otlp_receiver import collecting
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rag_bench.observing.spans import wanted

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
#: Asks a model as an execution does, and says which of these packages that took.
ASKS = """
import asyncio, sys
from rag_bench.errors import CaseError
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.transport.client import ChatModels
from rag_bench.observing.trace import tracing

async def ask():
    async with ChatModels(Providers.from_environment(), sys.argv[1]) as models:
        question = [{"role": "user", "content": "Где справка?"}]
        await models.chat("shop/m-1", "generation", question)
        try:
            await models.chat("gone/m-2", "generation", question)
        except CaseError:
            pass

with tracing(sys.argv[2], run_id="r1", user_id="anna"):
    asyncio.run(ask())
print("opentelemetry" in sys.modules, "grpc" in sys.modules)
"""


def provider(headers: list[dict[str, str]]) -> Starlette:
    async def answer(request: Request) -> Response:
        headers.append(dict(request.headers))
        return completion("Да.")

    return Starlette(routes=[Route("/v1/chat/completions", answer, methods=["POST"])])


def asking(database_url: str, provider: str, **more: str) -> str:
    environment = {
        **os.environ, "PROVIDER_SHOP_BASE_URL": provider, "PROVIDER_GONE_BASE_URL": "http://127.0.0.1:9/v1",
        "RAG_BENCH_MAX_RETRIES": "0", **more,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ASKS, database_url, TRACE],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_an_execution_and_its_calls_are_one_trace(database_url: str) -> None:
    headers: list[dict[str, str]] = []
    with served(provider(headers)) as url, collecting() as spans:
        found = asking(
            database_url, f"{url}/v1",
            OTEL_EXPORTER_OTLP_ENDPOINT=spans.url, OTEL_SERVICE_NAME="bench-1",
        )  # fmt: skip
        assert found == "True False"
        run = spans.named("eval run")
        call, failed = sorted(
            (one for one in spans.found if one.name == "provider call"),
            key=lambda one: str(one.said["gen_ai.request.model"]), reverse=True,
        )  # fmt: skip
    assert (run.trace_id, run.parent_id, run.service) == (TRACE, "", "bench-1")
    assert run.said == {"rag_bench.run_id": "r1", "enduser.id": "anna"}
    assert (call.trace_id, call.parent_id) == (TRACE, run.span_id)
    assert call.said["gen_ai.request.model"] == "shop/m-1"
    assert call.said["http.response.status_code"] == 200
    assert "справка" not in call.text
    assert (failed.trace_id, failed.said["gen_ai.request.model"]) == (TRACE, "gone/m-2")
    assert 'message: "ConnectError"' in failed.text, "its class alone"
    [sent] = headers
    assert sent["traceparent"] == f"00-{TRACE}-{call.span_id}-01"


def test_without_the_variables_nothing_of_it_is_loaded(database_url: str) -> None:
    with served(provider([])) as url:
        assert asking(database_url, f"{url}/v1") == "False False"


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_which_variables_switch_it_on(environment: dict[str, str], on: bool) -> None:
    assert wanted(environment) is on


def test_a_request_is_a_span_of_the_clients_trace(
    engine: Engine, database_url: str, dagster_storage: str, tmp_path: Path
) -> None:
    key = bearer(a_key(engine))
    parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    with collecting() as spans:
        more = {"OTEL_EXPORTER_OTLP_ENDPOINT": spans.url}
        with serving(database_url, dagster_storage, tmp_path, **more) as running:
            reply = httpx.get(f"{running.url}/eval/runs/r1", headers={**key, **parent})
            own = httpx.get(f"{running.url}/datasets", headers=key)
            httpx.get(f"{running.url}/metrics", headers=key)
            asked = {"label": "who:Кузнецова Мария", "user": "maria@example.org"}
            httpx.get(f"{running.url}/eval/runs", params=asked, headers=key).raise_for_status()
            httpx.get(f"{running.url}/eval/drafts/Кузнецова Мария", headers=key)
        assert running.log.read_text(encoding="utf-8").count("Traceback") == 0
    one, other = spans.named("GET /eval/runs/{run_id}"), spans.named("GET /datasets")
    assert (one.trace_id, one.parent_id) == (TRACE, PARENT)
    assert reply.headers["x-trace-id"] == TRACE
    assert own.headers["x-trace-id"] == other.trace_id
    assert not [span for span in spans.found if "healthz" in span.name or "metrics" in span.name]
    everything = "".join(span.text for span in spans.found)
    assert key["Authorization"].split()[1] not in everything
    assert spans.named("GET /eval/drafts/{name}").said["http.route"] == "/eval/drafts/{name}"
    log = running.log.read_text(encoding="utf-8")
    for said in ("Кузнецова", "%D0%9A", r"\320\232", "maria"):
        assert said not in everything, "what a client wrote into an address"
        assert said not in log
    with engine.connect() as connection:
        told = connection.execute(
            text("select trace_id from rag_bench.audit order by id")
        ).scalars().all()  # fmt: skip
    assert told[:2] == [TRACE, other.trace_id]
