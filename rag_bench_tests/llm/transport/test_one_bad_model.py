"""Bad models, dead providers: who is asked still, and how often, seen by the provider itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from fake_provider import FAST, FakeProvider, completion, question
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError
from rag_bench.llm.transport.client import ChatModels
from rag_bench.llm.transport.limits import Limits
from rag_bench.llm.transport.statuses import LIMITED, RETRIED, is_of_the_model
from rag_bench.tiers.base.cells import Cell, run_cells
from rag_bench.tiers.base.health import GIVE_UP_AFTER

MakeModels = Callable[..., ChatModels]
N = 40  # questions
PATIENT = replace(FAST, max_retries=4)


def refused(status: int, words: str = "no") -> JSONResponse:
    return JSONResponse({"error": {"message": words}}, status)


def ask_all(
    models: MakeModels,
    names: Sequence[str],
    slots: int = 8,
    n: int = N,
    limits: Limits = PATIENT,
    **places: Any,
) -> dict[str, list[Any]]:
    """Ask every model every question in one step; return what each case ended with."""
    ended: dict[str, list[Any]] = {}

    async def main() -> None:
        async with models(limits, **places) as client:

            async def job(model: str, number: int) -> str:
                async with client.case("generation", f"q{number}"):
                    reply = await client.chat(model, "generation", question(f"Вопрос {number}?"))
                    return reply.text

            cells = [
                Cell(name, name.split("/")[0], [partial(job, name, i) for i in range(n)], list)
                for name in names
            ]
            await run_cells(
                cells,
                lambda provider: slots,
                lambda cell, results: ended.update({cell.key: results}),
                lambda done, total: None,
            )

    asyncio.run(asyncio.wait_for(main(), 120))
    return ended


def asked(provider: FakeProvider) -> Counter[str]:
    return Counter(body["model"] for body in provider.bodies)


@pytest.mark.parametrize("status", [400, 403, 404, 422, 500, 503])
@pytest.mark.parametrize("slots", [1, 16])
def test_a_bad_model_stops_no_good_one(
    models: MakeModels, provider: FakeProvider, status: int, slots: int
) -> None:
    async def one_bad(body: dict[str, Any], number: int) -> Response:
        if body["model"] == "bad":
            return refused(status, "this model is not for you")
        return JSONResponse(completion("ответ"))

    provider.behaviour = one_bad
    ended = ask_all(models, ["fake/bad", "fake/good", "fake/fine"], slots)
    assert ended["fake/good"] == ended["fake/fine"] == ["ответ"] * N
    assert all(isinstance(result, CaseError) and result.retryable for result in ended["fake/bad"])
    details = [result.detail for result in ended["fake/bad"]]
    assert all(f"http {status}: this model is not for you" in detail for detail in details)
    assert sum("not asked" in detail for detail in details) == N - GIVE_UP_AFTER
    if status in RETRIED:
        # The first five with all their retries, the others once.
        assert asked(provider)["bad"] <= GIVE_UP_AFTER + 5 * PATIENT.max_retries
    else:
        assert asked(provider)["bad"] == GIVE_UP_AFTER
    assert asked(provider)["good"] == asked(provider)["fine"] == N


def test_two_bad_models_of_four_stop_no_good_one(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def two_bad(body: dict[str, Any], number: int) -> Response:
        bad = {"misspelt": refused(404), "down": refused(500)}.get(body["model"])
        return bad or JSONResponse(completion("ответ"))

    provider.behaviour = two_bad
    names = ["fake/misspelt", "fake/down", "fake/good", "fake/fine"]
    ended = ask_all(models, names, slots=2)
    assert ended["fake/good"] == ended["fake/fine"] == ["ответ"] * N


@pytest.mark.parametrize("status", [500, 401, 520])
@pytest.mark.parametrize("n_models", [1, 2, 3, 10])
@pytest.mark.parametrize("slots", [1, 16])
def test_a_dead_provider_is_not_asked_for_long(
    models: MakeModels, provider: FakeProvider, status: int, n_models: int, slots: int
) -> None:
    async def dead(body: dict[str, Any], number: int) -> Response:
        return refused(status)

    provider.behaviour = dead
    names = [f"fake/m{number}" for number in range(n_models)]
    ended = ask_all(models, names, slots, n=122)
    results = [result for name in names for result in ended[name]]
    assert len(results) == 122 * n_models
    assert all(f"http {status}" in result.detail for result in results)
    sent = [result for result in results if "not asked" not in result.detail]
    assert len(sent) == GIVE_UP_AFTER
    retries = 5 * PATIENT.max_retries if status in RETRIED else 0
    assert provider.count <= GIVE_UP_AFTER + retries


def test_a_provider_that_dies_at_work_is_given_up_and_another_is_not(
    models: MakeModels, provider: FakeProvider, second_provider: FakeProvider
) -> None:
    async def dies(body: dict[str, Any], number: int) -> Response:
        return refused(502) if number > 30 else JSONResponse(completion("ответ"))

    provider.behaviour = dies
    ended = ask_all(
        models,
        ["a/m", "b/m"],
        n=200,
        a=provider.base_url,
        b=second_provider.base_url,
    )
    assert all(isinstance(result, str) for result in ended["b/m"])
    assert sum(isinstance(result, str) for result in ended["a/m"]) == 30
    in_flight = 8 * 2
    calls = GIVE_UP_AFTER + in_flight
    assert provider.count <= 30 + calls + in_flight * PATIENT.max_retries


def test_a_port_where_nobody_listens(models: MakeModels, refusing_port: int) -> None:
    ended = ask_all(models, [f"gone/m{n}" for n in range(4)], gone=refusing_port)
    details = [result.detail for results in ended.values() for result in results]
    assert sum("not asked" not in detail for detail in details) == GIVE_UP_AFTER
    assert all("cannot connect" in detail for detail in details)


def test_what_the_ledger_holds_keeps_no_dead_provider_alive(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def every_other(body: dict[str, Any], number: int) -> Response:
        words = body["messages"][0]["content"]
        even = int("".join(filter(str.isdigit, words))) % 2 == 0
        return JSONResponse(completion("ответ")) if even else refused(400)

    provider.behaviour = every_other
    ask_all(models, ["fake/m"], n=100)

    async def dead(body: dict[str, Any], number: int) -> Response:
        return refused(503)

    before, provider.behaviour = provider.count, dead
    ended = ask_all(models, ["fake/m"], n=100)
    assert ended["fake/m"].count("ответ") == 50
    in_flight = 8 * 2
    assert provider.count - before <= GIVE_UP_AFTER + in_flight * (1 + PATIENT.max_retries)


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_what_waiting_can_mend_is_asked_again(
    models: MakeModels, provider: FakeProvider, status: int
) -> None:
    async def once(body: dict[str, Any], number: int) -> Response:
        return refused(status) if number == 1 else JSONResponse(completion("ответ"))

    provider.behaviour = once
    assert ask_all(models, ["fake/m"], n=1) == {"fake/m": ["ответ"]}
    assert provider.count == 2


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 501, 526])
def test_what_no_waiting_mends_is_asked_once(
    models: MakeModels, provider: FakeProvider, status: int
) -> None:
    async def always(body: dict[str, Any], number: int) -> Response:
        return refused(status)

    provider.behaviour = always
    [result] = ask_all(models, ["fake/m"], n=1)["fake/m"]
    assert f"http {status}" in result.detail
    assert provider.count == 1


@pytest.mark.parametrize("code", [502, 503, 429, 524])
def test_an_error_inside_a_200_is_asked_again_like_its_status(
    models: MakeModels, provider: FakeProvider, code: int
) -> None:
    async def once(body: dict[str, Any], number: int) -> Response:
        if number == 1:
            return JSONResponse({"error": {"code": code, "message": "upstream"}})
        return JSONResponse(completion('слово "error" в ответе'))

    provider.behaviour = once
    assert ask_all(models, ["fake/m"], n=1) == {"fake/m": ['слово "error" в ответе']}
    assert provider.count == 2


def test_which_statuses_are_about_one_model() -> None:
    assert all(is_of_the_model(status) for status in (400, 403, 404, 405, 413, 415, 422))
    others = (200, 401, 402, 407, 408, LIMITED, 500, 501, 503, 520, 529)
    assert not any(is_of_the_model(status) for status in others)
