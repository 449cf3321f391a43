"""Where calls go, and keys with them: addresses, redirects, proxies, the simulator."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
import pytest
from chat_requests import MakeModels, ask, row
from fake_provider import KEY, FakeProvider, completion, providers_for, question
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, RedirectResponse, Response

from rag_bench.errors import CaseError, ConfigurationError
from rag_bench.llm.config.providers import Providers
from rag_bench.llm.network.network import proxy_for
from rag_bench.llm.transport.client import ChatModels

# Keys and addresses.


def test_each_key_goes_to_its_own_address_only(
    models: MakeModels, provider: FakeProvider, second_provider: FakeProvider
) -> None:
    async def run() -> None:
        async with models(one=provider.base_url, two=second_provider.base_url) as client:
            calls = [
                client.chat(f"{name}/m", "generation", question(str(n)))
                for n in range(10)
                for name in ("one", "two")
            ]
            await asyncio.gather(*calls)

    asyncio.run(run())
    assert {h["authorization"] for h in provider.headers} == {f"Bearer {KEY}-one"}
    assert {h["authorization"] for h in second_provider.headers} == {f"Bearer {KEY}-two"}
    assert not [n for h in provider.headers for n in h if n.startswith(("x-stainless", "openai"))]


def test_a_redirect_is_not_followed(
    models: MakeModels, provider: FakeProvider, second_provider: FakeProvider
) -> None:
    async def away(body: dict[str, Any], number: int) -> Response:
        return RedirectResponse(f"{second_provider.base_url}/chat/completions", 307)

    provider.behaviour = away
    with pytest.raises(CaseError, match="http 307"):
        ask(models())
    assert second_provider.count == 0


def test_the_sdk_client_asks_no_other_address(
    models: MakeModels, provider: FakeProvider, second_provider: FakeProvider
) -> None:
    import openai

    async def run() -> None:
        async with models() as client:
            sdk = client.openai_client("fake/m").with_options(base_url=second_provider.base_url)
            await sdk.chat.completions.create(model="m", messages=[])

    with pytest.raises(openai.BadRequestError, match="not asked at this address"):
        asyncio.run(run())
    assert second_provider.count == 0


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_the_key_is_nowhere_even_where_the_provider_repeats_it(
    status: int,
    models: MakeModels,
    provider: FakeProvider,
    engine: Engine,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def echo(body: dict[str, Any], number: int) -> Response:
        told = provider.headers[-1]["authorization"]
        if status == 200:
            return JSONResponse(completion(f"you sent {told}"), headers={"x-echo": told})
        return JSONResponse({"error": {"message": f"bad key {told}"}}, status)

    provider.behaviour = echo
    caplog.set_level(logging.DEBUG)
    client = models()
    shown = [repr(client), repr(client.providers), repr(client.providers.provider("fake"))]
    try:
        told = ask(client).text
        shown.append(told)
    except CaseError as error:
        import traceback

        shown += traceback.format_exception(error)
        cause: BaseException | None = error
        while cause is not None:
            shown += [repr(cause), repr(vars(cause))]
            request = getattr(cause, "request", None)
            shown += [repr(request.headers.raw)] if request is not None else []
            cause = cause.__cause__
        told = error.detail
    assert ("you sent" if status == 200 else "bad key Bearer [secret]") in told
    assert provider.headers[0]["authorization"] == f"Bearer {KEY}-fake"
    with engine.connect() as connection:
        query = text("select c::text from rag_bench.llm_call c")
        shown += [line for (line,) in connection.execute(query)]
    shown += [record.getMessage() for record in caplog.records]
    assert len(shown) > 4
    assert not [line for line in shown if KEY in line]


def test_a_provider_without_an_address_says_what_to_set(database_url: str) -> None:
    providers = Providers({"PROVIDER_MISTRAL_API_KEY": KEY})
    with pytest.raises(ConfigurationError, match="PROVIDER_MISTRAL_BASE_URL"):
        ask(ChatModels(providers, database_url), "mistral/m")


def test_an_unknown_provider_says_which_there_are(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="simulator, fake"):
        ask(ChatModels(providers_for(fake=1), database_url), "other/m")


def test_a_local_provider_is_reached_in_spite_of_a_proxy(
    models: MakeModels,
    provider: FakeProvider,
    refusing_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{refusing_port}")
    assert ask(models()).text == "ответ 1"


def test_the_environments_proxy_is_used_for_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_for("https://api.example.com/v1") is None
    monkeypatch.setenv("https_proxy", "proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "inside.example.com")
    assert proxy_for("https://api.example.com/v1") == "http://proxy.example.com:3128"
    assert proxy_for("https://inside.example.com/v1") is None
    for local in ("https://127.0.0.1:1/v1", "https://localhost/v1", "https://[::1]:5/v1"):
        assert proxy_for(local) is None


# The simulator is injected, and speaks through the same layers.


async def _asgi_app(scope: Any, receive: Any, send: Any) -> None:
    import json

    body = (await receive())["body"]
    words = json.loads(body)["messages"][-1]["content"]
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json")],
        }
    )
    reply = json.dumps(completion(f"эхо: {words}")).encode()
    await send({"type": "http.response.body", "body": reply})


def test_the_simulator_needs_no_socket_and_costs_nothing(database_url: str, engine: Engine) -> None:
    client = ChatModels(
        Providers({}),
        database_url,
        transports={"simulator": lambda: httpx.ASGITransport(app=_asgi_app)},
    )
    assert ask(client, "simulator/extractive", "привет").text == "эхо: привет"
    assert row(engine)["cost_usd"] == 0  # known to be free, unlike an unknown price


def test_the_simulator_that_was_not_injected_is_an_error(database_url: str) -> None:
    with pytest.raises(ConfigurationError, match="simulator"):
        ask(ChatModels(Providers({}), database_url), "simulator/extractive")
