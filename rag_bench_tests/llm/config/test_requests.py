"""What is sent, to the letter, and under which key it is kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from chat_requests import PROMPT, SCHEMA, MakeModels, ask, ask_of, body_of, providers_with
from fake_provider import FAST, FakeProvider, completion
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response, StreamingResponse

from rag_bench.errors import CaseError, ConfigurationError
from rag_bench.llm.config.providers import Role
from rag_bench.llm.config.requests import asked_otherwise, chat_body, earlier_body
from rag_bench.llm.config.room import REASONING_ROOM, longest_reply
from rag_bench.llm.transport.call import call_key
from rag_bench.llm.transport.client import ChatModels
from rag_bench.settings import Settings


def test_a_server_that_streams_unless_told_not_to_is_told(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    async def eager(body: dict[str, Any], number: int) -> Response:
        if body.get("stream") is not False:
            return StreamingResponse(iter(["data: {}\n\n"]), media_type="text/event-stream")
        return JSONResponse(completion("в мае"))

    provider.behaviour = eager
    reply = ask(models())
    assert reply.text == "в мае"
    # The ledger's key and its request are those of versions that did not send the field.
    body = {name: value for name, value in provider.bodies[0].items() if name != "stream"}
    assert reply.key == call_key("fake", provider.base_url, body, 0)
    with engine.connect() as connection:
        stored = connection.execute(text("select request from rag_bench.llm_call")).scalar_one()
    assert stored == body


def test_an_ordinary_models_request_is_that_of_all_versions() -> None:
    assert body_of() == {
        "model": "m",
        "messages": PROMPT,
        "temperature": 0.0,
        "max_tokens": 256,
        "response_format": SCHEMA,
    }
    reasoning = body_of("gpt-5-mini", structured=False)
    assert reasoning == {"model": "gpt-5-mini", "messages": PROMPT, "max_completion_tokens": 256}


@pytest.mark.parametrize("takes", ["json_object", "none"])
def test_there_is_one_system_message_and_the_reply_to_two_still_answers(takes: str) -> None:
    body = body_of(RESPONSE_FORMAT=takes)
    schema = json.dumps(SCHEMA["json_schema"]["schema"], ensure_ascii=False)
    said = f"Reply with one JSON object that matches this JSON schema, and nothing else:\n{schema}"
    assert body["messages"] == [
        {"role": "system", "content": f"{said}\n\nПравила."},
        PROMPT[1],
    ]
    earlier = earlier_body(body)
    assert earlier == {**body, "messages": [{"role": "system", "content": said}, *PROMPT]}
    assert earlier_body(body_of()) is None
    # RAGAS sends no system message of its own; its requests are as they were.
    provider = providers_with(RESPONSE_FORMAT=takes).provider("x")
    alone = chat_body(provider, "m", PROMPT[1:], SCHEMA, 0.0, 256)
    assert alone["messages"] == [{"role": "system", "content": said}, PROMPT[1]]
    assert earlier_body(alone) is None


def test_a_reply_stored_by_an_earlier_version_is_not_paid_for_again(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    variables = {"BASE_URL": provider.base_url, "RESPONSE_FORMAT": "json_object"}
    providers = providers_with(**variables)
    x = providers.provider("x")
    earlier = earlier_body(chat_body(x, "m", PROMPT, SCHEMA, 0.0, 256))
    assert earlier is not None

    async def run() -> tuple[Any, Any]:
        async with ChatModels(providers, database_url, limits=FAST) as client:
            # As the earlier version sent it: the two messages, straight to the ledger.
            await client.openai_client("x/m").post(
                "/chat/completions", cast_to=object, body=earlier
            )
            calls = {"response_format": SCHEMA}
            first = await client.chat("x/m", Role.benchmark_judge, PROMPT, **calls)
            async with client.case(Role.benchmark_judge, "1", retry_failed=True) as context:
                await client.chat("x/m", Role.benchmark_judge, PROMPT, **calls)
            await client.mark_unreadable(context.last_reply_key, "нечитаемо")
        async with (
            ChatModels(providers, database_url, limits=FAST) as client,
            client.case(Role.benchmark_judge, "1", retry_failed=True),
        ):
            again = await client.chat("x/m", Role.benchmark_judge, PROMPT, **calls)
        return first, again

    first, again = asyncio.run(run())
    key = call_key("x", provider.base_url, earlier, 0)
    assert (first.from_ledger, first.key, first.text) == (True, key, "ответ 1")
    assert (again.from_ledger, again.text, provider.count) == (False, "ответ 2", 2)
    with engine.connect() as connection:
        query = text("select key = :key, status from rag_bench.llm_call order by id")
        rows = connection.execute(query, {"key": key}).all()
    assert [tuple(row) for row in rows] == [(True, "discarded"), (False, "ok")]


def test_the_system_message_goes_where_the_provider_takes_it() -> None:
    assert body_of(SYSTEM_MESSAGE="none")["messages"] == [
        {"role": "user", "content": "Правила.\n\nВопрос?"}
    ]
    assert body_of(SYSTEM_MESSAGE="developer")["messages"][0]["role"] == "developer"
    merged = body_of(SYSTEM_MESSAGE="none", RESPONSE_FORMAT="none")["messages"]
    assert [message["role"] for message in merged] == ["user"]
    assert merged[0]["content"].startswith("Reply with one JSON object")


def test_one_line_changes_the_body() -> None:
    body = body_of(EXTRA_BODY='{"enable_thinking": false, "temperature": null}')
    assert body["enable_thinking"] is False
    assert "temperature" not in body
    assert body_of(MAX_TOKENS_FIELD="max_completion_tokens")["max_completion_tokens"] == 256
    assert not {"max_tokens", "max_completion_tokens"} & set(body_of(MAX_TOKENS_FIELD="none"))
    assert body_of(EXTRA_BODY='{"max_tokens": 7}')["max_tokens"] == 7


def test_a_models_own_options_beat_patterns_and_the_providers() -> None:
    options = json.dumps(
        {
            "qwen-exact": {"body": {"temperature": 0.7}, "response_format": "none"},
            "qwen*": {"body": {"temperature": None, "top_k": 1}},
        }
    )
    variables = {"MODEL_OPTIONS": options, "EXTRA_BODY": '{"top_k": 5, "seed": 1}'}
    assert (body := body_of("qwen-exact", **variables))["temperature"] == 0.7
    assert (body["top_k"], body["seed"], "response_format" in body) == (1, 1, False)
    assert "temperature" not in body_of("qwen-other", **variables)
    assert body_of("m", **variables)["top_k"] == 5


def test_headers_and_query_are_sent_and_neither_kept_nor_shown(
    database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    providers = providers_with(
        BASE_URL=provider.base_url,
        API_KEY="sk-in-the-key-variable",
        EXTRA_HEADERS='{"Authorization": null, "api-key": "Key azure-secret-1234", "X-Title": "b"}',
        EXTRA_QUERY='{"api-version": "2024-10-21", "key": "query-secret-1234"}',
    )

    async def echo(body: dict[str, Any], number: int) -> Response:
        told = provider.headers[-1]
        own = f"{told.get('api-key')} {told.get('x-title')}"
        seen = f"{own} azure-secret-1234 {provider.queries[-1]}"
        return JSONResponse(completion(seen))

    provider.behaviour = echo
    reply = ask_of(providers, database_url)
    assert "authorization" not in provider.headers[-1]
    assert provider.queries[-1] == {"api-version": "2024-10-21", "key": "query-secret-1234"}
    shown = "[secret] b [secret] {'api-version': '2024-10-21', 'key': '[secret]'}"
    assert reply.text == shown
    with engine.connect() as connection:
        row = connection.execute(text("select t::text from rag_bench.llm_call t")).scalar_one()
    assert "secret-1234" not in row
    assert "secret-1234" not in repr([providers, providers.provider("x")])
    # Another key in the query is the same request, another version is not; headers do not matter.
    for key, version, count in (("another-key", "2024-10-21", 1), ("k", "2025-01-01", 2)):
        query = json.dumps({"api-version": version, "key": key})
        other = providers_with(BASE_URL=provider.base_url, EXTRA_QUERY=query)
        ask_of(other, database_url)
        assert provider.count == count


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("EXTRA_BODY", "{sk-secret", "is no JSON .at character 2"),
        ("EXTRA_BODY", '["sk-secret"]', "must be a JSON object"),
        ("EXTRA_BODY", '{"model": "sk-secret"}', "may not set 'model'"),
        ("EXTRA_BODY", '{"stream": true}', "may not set stream"),
        ("EXTRA_BODY", '{"extra": {"api_key": "sk-secret"}}', "'api_key' looks like a secret"),
        ("EXTRA_HEADERS", '{"X": 1.5}', "'X' must be a text"),
        ("EXTRA_HEADERS", '{"X": "sk-secret\\n"}', "'X' holds a line end"),
        ("EXTRA_HEADERS", '{"X": "секрет"}', "outside of ASCII"),
        ("EXTRA_HEADERS", '{"Content-Length": "1"}', "may not set 'Content-Length'"),
        ("EXTRA_QUERY", '{"a": ["sk-secret"]}', "'a' must be a text"),
        ("MAX_TOKENS", "many", "must be a positive whole number"),
        ("MAX_TOKENS_DATASET", "0", "must be a positive whole number"),
        ("MAX_TOKENS_FIELD", "a b", "max_completion_tokens"),
        ("SYSTEM_MESSAGE", "user", "must be system, developer or none"),
        ("MODEL_OPTIONS", '{"m": {"boddy": {}}}', "'m': no option 'boddy'; there are body"),
        ("MODEL_OPTIONS", '{"m": {"max_tokens": {"judge": 1}}}', "no role 'judge'"),
        ("MODEL_OPTIONS", '{"m": {"reasoning": "yes"}}', "'reasoning' must be true or false"),
    ],
)
def test_options_that_cannot_be_meant_name_their_variable_only(
    variable: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^PROVIDER_X_{variable}.*{message}") as failed:
        providers_with(**{variable: value})
    assert "sk-secret" not in str(failed.value)
    assert "секрет" not in str(failed.value)


def test_an_unknown_variable_of_a_provider_is_noted() -> None:
    assert providers_with(EXTRA_BODDY="{}").notes == [
        "PROVIDER_X_EXTRA_BODDY is left out: no such variable is known."
    ]


@pytest.mark.parametrize(
    "model",
    [
        "o1",
        "o3-mini",
        "openai/o4-mini",
        "gpt-5",
        "gpt-5.1-mini",
        "openai/gpt-oss-20b",
        "deepseek-reasoner",
        "deepseek/deepseek-r1:free",
        "DeepSeek-R1-Distill-Qwen-7B",
        "qwq-32b",
        "qwen3-8b",
        "Qwen/Qwen3-32B",
        "qwen3:4b",
        "qwen3-235b-a22b-thinking-2507",
        "/models/qwen3-8b",
        "magistral-small-2506",
        "gemini-2.5-flash",
        "kimi-k2-thinking",
        "glm-4.6",
        "phi-4-reasoning-plus",
        "grok-4",
        "sonar-reasoning",
        "MiniMax-M2",
        "claude-3-7-sonnet:thinking",
    ],
)
def test_models_that_think_get_room_for_it(model: str) -> None:
    provider = providers_with().provider("x")
    assert longest_reply(provider, model, "benchmark_judge", None, {}) == 256 + REASONING_ROOM
    off = providers_with(MODEL_OPTIONS='{"*": {"reasoning": false}}').provider("x")
    assert longest_reply(off, model, "benchmark_judge", None, {}) == 256


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "gpt-4.1-mini",
        "openai/gpt-4o-mini",
        "deepseek-chat",
        "qwen2.5-7b",
        "qwen-plus",
        "qwen-max",
        "qwen3-max",
        "qwen3-30b-a3b-instruct-2507",
        "qwen3-coder",
        "mistral-large-latest",
        "open-mistral-nemo",
        "yandexgpt",
        "GigaChat-2-Max",
        "llama3.1:8b",
        "gemma-3-27b",
        "claude-sonnet-4",
        "gemini-2.0-flash",
        "proto1",
        "demo1",
        "grok-4-fast-non-reasoning",
        "sim-strong",
    ],
)
def test_ordinary_models_have_the_limits_of_all_versions(model: str) -> None:
    provider = providers_with().provider("x")
    roles = ("generation", "benchmark_judge", "production_judge", "dataset")
    limits = [longest_reply(provider, model, role, None, {}) for role in roles]
    assert limits == [512, 256, 256, 768]
    assert longest_reply(provider, model, "benchmark_judge", 4096, {}) == 4096


def test_the_nearest_limit_counts() -> None:
    of_roles = {"generation": 100, "benchmark_judge": 300}
    provider = providers_with(
        MAX_TOKENS_GENERATION="200",
        MODEL_OPTIONS='{"a*": {"max_tokens": {"generation": 400}}, "b": {"max_tokens": 500}}',
    ).provider("x")
    for model, role, needed, limit in (
        ("m", "generation", None, 200),
        ("m", "benchmark_judge", None, 300),
        ("m", "benchmark_judge", 4096, 4096),  # RAGAS
        ("m", "production_judge", None, 256),
        ("abc", "generation", None, 400),
        ("abc", "benchmark_judge", None, 300),
        ("b", "generation", None, 500),
        ("b", "production_judge", None, 500),
    ):
        assert longest_reply(provider, model, role, needed, of_roles) == limit


def thinking_of(tokens: int) -> Any:
    """A model whose hidden thinking counts in the limit, as providers count it."""

    async def behaviour(body: dict[str, Any], number: int) -> Response:
        limit = body.get("max_completion_tokens") or body["max_tokens"]
        if limit < tokens + 10:
            return JSONResponse(completion("", finish_reason="length"))
        return JSONResponse(completion("в мае"))

    return behaviour


@pytest.mark.parametrize("name", ["gpt-5-mini", "deepseek-reasoner"])
def test_hidden_reasoning_fits_by_default_for_models_known_to_reason(
    name: str, models: MakeModels, provider: FakeProvider
) -> None:
    provider.behaviour = thinking_of(700)
    assert ask(models(), f"fake/{name}").text == "в мае"


def test_a_cut_reply_names_the_variable_that_raises_the_limit(
    database_url: str, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.behaviour = thinking_of(700)
    plain = providers_with(BASE_URL=provider.base_url)
    with pytest.raises(CaseError) as failed:
        ask_of(plain, database_url)
    assert failed.value.detail == (
        "x/m: truncated: finish_reason=length, raise the token limit: it is 512, "
        "raise RAG_BENCH_MAX_TOKENS_GENERATION, or PROVIDER_X_MAX_TOKENS"
    )
    monkeypatch.setenv("RAG_BENCH_MAX_TOKENS_GENERATION", "1000")
    assert ask_of(plain, database_url).text == "в мае"
    monkeypatch.delenv("RAG_BENCH_MAX_TOKENS_GENERATION")
    raised = providers_with(BASE_URL=provider.base_url, MAX_TOKENS="900")
    assert ask_of(raised, database_url).text == "в мае"
    assert [body["max_tokens"] for body in provider.bodies] == [512, 1000, 900]
    low = providers_with(BASE_URL=provider.base_url, MAX_TOKENS_GENERATION="20")
    with pytest.raises(CaseError, match=r"it is 20, raise PROVIDER_X_MAX_TOKENS_GENERATION$"):
        ask_of(low, database_url)


def test_results_have_their_old_address_until_something_is_set() -> None:
    settings = Settings()
    ordinary = providers_with(API_KEY="k" * 12, EXTRA_HEADERS='{"a": "b"}').provider("x")
    assert asked_otherwise(ordinary, "m", "generation", settings) == ()
    changed = providers_with(EXTRA_BODY='{"seed": 1}', MAX_TOKENS="900").provider("x")
    assert asked_otherwise(changed, "m", "generation", settings) == (
        {"body": {"seed": 1}, "max_tokens": 900},
    )
    raised = Settings(max_tokens_generation=600)
    assert asked_otherwise(ordinary, "m", "generation", raised) == ({"max_tokens": 600},)
    assert asked_otherwise(ordinary, "m", "benchmark_judge", raised) == ()
