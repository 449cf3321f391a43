"""Providers' faults as the simulator serves them, and only where that is asked for."""

from __future__ import annotations

from typing import Any

import httpx

from rag_bench.simulator.answer_key import AnswerKey, KeyEntry
from rag_bench.simulator.app import Simulator
from rag_bench.simulator.roster import Catalogue
from rag_bench.simulator.serving import Failing, Serving, current_serving, served_as
from rag_bench.simulator.transport import simulator_transport

KEY = AnswerKey([KeyEntry("Сколько стоит комната?", "Комната стоит 940 рублей.")])
CONTEXT = '<context><fragment id="1">Комната стоит 940 рублей.</fragment></context>'
USER = f"{CONTEXT}\n<question>Сколько стоит комната?</question>"


async def asked(serving: Serving, system: str = "Отвечай.", **more: Any) -> httpx.Response:
    transport = simulator_transport(Simulator(KEY, serving=serving))
    messages = [{"role": "system", "content": system}, {"role": "user", "content": USER}]
    body = {"model": "sim-strong", "messages": messages, **more}
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator.local") as client:
        return await client.post("/v1/chat/completions", json=body)


def text_of(reply: httpx.Response) -> str:
    return str(reply.json()["choices"][0]["message"]["content"])


def run(work: Any) -> Any:
    import asyncio

    return asyncio.run(work)


def test_another_model_behind_the_name_says_so_or_does_not() -> None:
    weak = Catalogue().by_name["sim-weak"]
    silent = Serving().with_model("sim-strong", weak)
    loud = Serving().with_model("sim-strong", weak, says="sim-weak")
    assert run(asked(Serving())).json()["model"] == "sim-strong"
    assert run(asked(silent)).json()["model"] == "sim-strong"
    assert run(asked(loud)).json()["model"] == "sim-weak"
    changed = silent.catalogue.by_name["sim-strong"]
    assert changed.shares == weak.shares  # type: ignore[union-attr]
    assert len(silent.catalogue.models) == len(Catalogue().models)


def test_calls_fail_by_their_content() -> None:
    assert run(asked(Serving(failing=Failing(1.0, 400)))).status_code == 400
    assert run(asked(Serving(failing=Failing(0.0, 400)))).status_code == 200
    some = Failing(0.03, 503)
    n = sum(some.fails(f"call {number}", 1) for number in range(10_000))
    assert 240 <= n <= 360  # 300 by the share, four standard errors of 17
    assert [some.fails("call 7", 1), some.fails("call 7", 9)] == [some.fails("call 7", 2)] * 2


def test_a_call_that_fails_once_is_answered_the_second_time() -> None:
    once = Failing(1.0, 503, attempts=1)
    assert once.fails("call", 1)
    assert not once.fails("call", 2)


def test_instructions_are_followed_only_where_that_is_asked_for() -> None:
    follows = Serving(cites_if_asked=True)
    assert text_of(run(asked(Serving()))).endswith("[1]")
    assert not text_of(run(asked(follows))).endswith("[1]")
    assert text_of(run(asked(follows, "Ставь номер фрагмента: [1]."))).endswith("[1]")


def test_outside_of_its_block_nothing_is_changed() -> None:
    planted = Serving(named={"sim-strong": "other"})
    with served_as(planted):
        assert current_serving() is planted
    assert current_serving() == Serving()
