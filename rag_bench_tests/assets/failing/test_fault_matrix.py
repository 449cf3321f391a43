"""Every way in which a provider fails, each on a question of its own, in one cell of a sweep.

A case ends with the code of its fault, is expected and not scored, harms no other case, and is
asked again when the provider works; nothing else is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest
from local_provider import LocalProvider, completion, refusal
from small_world import OFFLINE, World, failure
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from world_data import GOLD

from rag_bench.llm.transport import client
from rag_bench.llm.transport.limits import MAX_REPLY_BYTES, Limits
from rag_bench.partitions import ModelLists
from rag_bench.simulator.answer_key import answer_key_from_database

pytestmark = pytest.mark.long

N = len(GOLD)
MODELS = ModelLists(["simulator/sim-strong"], ["x/sim-judge-sharp"], OFFLINE.production_judges)
Fault = Callable[[], Awaitable[Response]]


class _Cut(Response):
    """Headers that promise a body, a part of it, and a closed connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-type", b"application/json"), (b"content-length", b"5000")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"id": "x', "more_body": True})
        raise ConnectionAbortedError


def changed(**choice: Any) -> JSONResponse:
    """A reply whose one choice is unlike a good one."""
    body = json.loads(bytes(completion('{"score": 4}').body))
    message = choice.pop("message", None)
    body["choices"][0].update(choice)
    if message:
        body["choices"][0]["message"].update(message)
    return JSONResponse(body)


async def _hang() -> Response:
    await asyncio.sleep(3600)  # the client leaves long before; the server is then told
    raise AssertionError


async def _drip() -> Response:
    async def drops() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.05)

    return StreamingResponse(drops(), media_type="application/json")


def at_once(make: Callable[[], Response]) -> Fault:
    async def answer() -> Response:
        return make()

    return answer


# name: what is answered, the code that it ends with, whether the next run asks again by itself
FAULTS: dict[str, tuple[Fault, str, bool]] = {
    "429": (at_once(lambda: refusal(429)), "LLM_FAILED", True),
    "429 Retry-After": (
        at_once(lambda: refusal(429, **{"retry-after": "400"})),
        "LLM_FAILED",
        True,
    ),
    "500": (at_once(lambda: refusal(500)), "LLM_FAILED", True),
    "503": (at_once(lambda: refusal(503)), "LLM_FAILED", True),
    "cut": (at_once(_Cut), "LLM_FAILED", True),
    "hang": (_hang, "TIMEOUT", True),
    "slow drip": (_drip, "TIMEOUT", True),
    "empty": (at_once(lambda: completion("")), "LLM_FAILED", False),
    "truncated": (at_once(lambda: changed(finish_reason="length")), "LLM_FAILED", False),
    "no JSON": (at_once(lambda: Response(b"<html>busy</html>")), "LLM_FAILED", False),
    "JSON of another shape": (at_once(lambda: JSONResponse({"ok": True})), "LLM_FAILED", False),
    "refusal": (
        at_once(lambda: changed(message={"content": None, "refusal": "I cannot."})),
        "LLM_FAILED",
        False,
    ),
    "prose": (at_once(lambda: completion("Оценка по 5-балльной шкале: 2")), "METRIC_ERROR", False),
    "another score": (at_once(lambda: completion('{"score": 9}')), "METRIC_ERROR", False),
    "huge": (at_once(lambda: completion("я" * MAX_REPLY_BYTES)), "LLM_FAILED", False),
}


@pytest.fixture
def provider(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    """The provider `x`, which serves the offline models over HTTP; waits are short."""
    monkeypatch.setattr(client, "Limits", partial(Limits, backoff_base=0.01, backoff_max=0.05))
    with LocalProvider(lambda: answer_key_from_database(free_world.engine)).serving() as serving:
        monkeypatch.setenv("PROVIDER_X_BASE_URL", serving.url)
        monkeypatch.setenv("PROVIDER_X_API_KEY", "sk-planted-0123456789")
        monkeypatch.setenv("PROVIDER_X_TIMEOUT_SECONDS", "3")
        monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
        yield serving


def measured(world: World) -> dict[str, Any]:
    [row] = world.rows(
        "select id, metrics, errors, status from rag_bench.evaluation "
        "where kind = 'scores' and tier = '2' order by id desc limit 1"
    )
    return dict(row)


def test_every_fault_ends_as_its_code_and_is_mended_alone(
    free_world: World, provider: LocalProvider
) -> None:
    assert free_world.run(["tier2_answers"], MODELS).success
    questions = {question: name for (question, _, _), name in zip(GOLD, FAULTS, strict=False)}
    # Where there are more faults than questions, the rest is met by another measure.
    rest = dict(zip((q for q, _, _ in GOLD), list(FAULTS)[N:], strict=False))
    planned = {("faithfulness", q): name for q, name in questions.items()}
    planned |= {("answer_relevance", q): name for q, name in rest.items()}
    assert sorted(planned.values()) == sorted(FAULTS)

    async def misbehave(body: dict[str, Any], number: int) -> Response | None:
        # All messages: where a reply could not be read, the last one only says why.
        asks = " ".join(message["content"] for message in body["messages"])
        measure = body["response_format"]["json_schema"]["name"]
        for (of_measure, question), name in planned.items():
            if measure == of_measure and question in asks:
                return await FAULTS[name][0]()
        return None

    provider.misbehave = misbehave
    first = free_world.run(["tier2_scores"], MODELS)
    assert "1 of the cells are not complete" in failure(first)
    row = measured(free_world)
    assert row["status"] == "partial"
    missing = {
        measure: sum(of_measure == measure for of_measure, _ in planned)
        for measure in ("faithfulness", "answer_relevance", "answer_correctness")
    }
    for measure, n in missing.items():
        metric = row["metrics"][f"rubric_{measure}"]
        assert (metric["n_scored"], metric["n_expected"]) == (N - n, N), measure
    cases = {
        case["case_id"]: case
        for case in free_world.rows(
            "select case_id, error_code, error_detail, scores from rag_bench.evaluation_case "
            "where evaluation_id = :id",
            id=row["id"],
        )
    }
    ids = [f"вопрос-{number:02}" for number in range(N)]
    for (measure, question), name in planned.items():
        case = cases[ids[[q for q, _, _ in GOLD].index(question)]]
        assert f"{measure}: " in case["error_detail"], name
        assert f"rubric_{measure}" not in case["scores"], name
    codes = {
        name: cases[ids[[q for q, _, _ in GOLD].index(question)]]["error_code"]
        for (measure, question), name in planned.items()
        if measure == "faithfulness"
    }
    assert codes == {name: FAULTS[name][1] for name in codes}

    # The next run asks only what may pass; what came and could not be read only on demand.
    provider.misbehave = None
    before = provider.count
    assert free_world.run(["tier2_scores"], MODELS).success
    again = sum(by_itself for _, _, by_itself in FAULTS.values())
    assert provider.count - before == again
    before = provider.count
    mended = free_world.run(["tier2_scores"], MODELS, benchmark={"retry_failed": True})
    assert mended.success, failure(mended)
    assert provider.count - before == len(FAULTS) - again
    row = measured(free_world)
    assert (row["status"], row["errors"]) == ("succeeded", {})
    for measure in missing:
        metric = row["metrics"][f"rubric_{measure}"]
        assert (metric["n_scored"], metric["n_expected"]) == (N, N), measure
