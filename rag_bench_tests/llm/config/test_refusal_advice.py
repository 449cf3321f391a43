"""What a refusal is told with: the very line for the environment file."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from chat_requests import SCHEMA, ask_of, body_of, providers_with
from fake_provider import FakeProvider, completion
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError
from rag_bench.llm.config.advice import advise
from rag_bench.tiers.base.causes import most_frequent

REFUSALS = [
    # OpenAI
    (
        {"error": {"message": "Unsupported parameter: 'max_tokens' is not supported with this "
                   "model. Use 'max_completion_tokens' instead.", "param": "max_tokens"}},
        "PROVIDER_X_MAX_TOKENS_FIELD=max_completion_tokens",
    ),
    (
        {"error": {"message": "Unsupported value: 'temperature' does not support 0 with this "
                   "model. Only the default (1) value is supported.", "param": "temperature"}},
        """PROVIDER_X_MODEL_OPTIONS='{"m": {"body": {"temperature": null}}}'""",
    ),
    # DashScope
    (
        {"error": {"message": "<400> InternalError.Algo.InvalidParameter: parameter.enable_thinking"
                   " must be set to false for non-streaming calls"}},
        """PROVIDER_X_MODEL_OPTIONS='{"m": {"body": {"enable_thinking": false}}}'""",
    ),
    # DeepSeek
    ({"error": {"message": "This response_format type is unavailable now"}},
     "PROVIDER_X_RESPONSE_FORMAT=json_object"),
    # Gemini's face, of an enum of integers
    ([{"error": {"code": 400, "message": "Invalid value at 'generation_config.response_schema."
                 "properties[0].value.enum[0]' (TYPE_STRING), 1"}}],
     "PROVIDER_X_RESPONSE_FORMAT=json_object"),
    # pydantic behind FastAPI
    ({"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"], "msg": "Extra inputs "
                  "are not permitted"}]},
     """PROVIDER_X_MODEL_OPTIONS='{"m": {"body": {"temperature": null}}}'"""),
    # vLLM
    ({"object": "error", "message": "'max_tokens' or 'max_completion_tokens' is too large: 256. "
      "This model's maximum context length is 200 tokens"},
     "lower the longest reply, now 256: PROVIDER_X_MAX_TOKENS"),
    ({"message": "System role not supported"}, "PROVIDER_X_SYSTEM_MESSAGE=none"),
    ({"error": {"message": "Developer instruction is not enabled for models/gemma"}},
     "PROVIDER_X_SYSTEM_MESSAGE=none"),
    ({"message": "Conversation roles must alternate user/assistant/user/assistant/..."},
     "PROVIDER_X_SYSTEM_MESSAGE=none"),
    ({"error": {"message": "Unrecognized request argument supplied: stream", "param": "stream"}},
     """PROVIDER_X_MODEL_OPTIONS='{"m": {"body": {"stream": null}}}'"""),
    ({"error": {"message": "Missing required query parameter: api-version"}},
     """PROVIDER_X_EXTRA_QUERY='{"api-version": """),
]  # fmt: skip


@pytest.mark.parametrize(("refusal", "line"), REFUSALS)
def test_a_refusal_is_told_with_the_line_to_add(
    refusal: Any, line: str, database_url: str, provider: FakeProvider, engine: Engine
) -> None:
    async def refuse(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(refusal, 400)

    provider.behaviour = refuse
    with pytest.raises(CaseError) as failed:
        ask_of(
            providers_with(BASE_URL=provider.base_url),
            database_url,
            response_format=SCHEMA,
            max_tokens=256,
        )
    assert line in failed.value.detail
    cause = most_frequent([("LLM_FAILED", failed.value.detail)], ["x/m"], {"x": provider.base_url})
    assert line in str(cause)  # the command and the step show it whole
    with engine.connect() as connection:
        detail = connection.execute(
            text("select error_detail from rag_bench.llm_call")
        ).scalar_one()
    assert line in detail


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "The prompt was refused by our policy."), (401, "temperature"), (500, "max_tokens")],
)
def test_nothing_is_advised_where_nothing_is_known(status: int, message: str) -> None:
    provider = providers_with().provider("x")
    content = json.dumps({"error": {"message": message}}).encode()
    assert advise(provider, body_of(), status, content) is None


def test_options_that_are_there_are_not_repeated() -> None:
    provider = providers_with(MODEL_OPTIONS='{"*": {"headers": {"a": "sk-secret-1234"}}}').provider(
        "x"
    )
    told = advise(provider, body_of(), 400, b'{"error": {"message": "bad `temperature`"}}')
    assert told is not None
    assert '"temperature": null to "body" of "m" in PROVIDER_X_MODEL_OPTIONS' in told
    assert "secret" not in told


def test_the_case_of_thinking_that_must_be_switched_off(
    database_url: str, provider: FakeProvider
) -> None:
    async def dashscope(body: dict[str, Any], number: int) -> Response:
        if body.get("enable_thinking") is not False:
            words = "parameter.enable_thinking must be set to false for non-streaming calls"
            return JSONResponse({"error": {"message": words}}, 400)
        return JSONResponse(completion("в мае"))

    provider.behaviour = dashscope
    place = {"BASE_URL": provider.base_url}
    with pytest.raises(CaseError, match="PROVIDER_X_MODEL_OPTIONS") as failed:
        ask_of(providers_with(**place), database_url)
    # The very line of the message mends it.
    line = re.search(r"PROVIDER_X_MODEL_OPTIONS='(.*)'", failed.value.detail)
    assert line is not None
    assert ask_of(providers_with(**place, MODEL_OPTIONS=line[1]), database_url).text == "в мае"
    body = '{"enable_thinking": false}'
    assert ask_of(providers_with(**place, EXTRA_BODY=body), database_url).from_ledger
