"""The lines of docs/providers.md, each tried with a stand-in that behaves as the provider says."""

from __future__ import annotations

import asyncio
import io
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from dotenv import dotenv_values
from fake_provider import FAST, FakeProvider, completion
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError
from rag_bench.llm.config.providers import Providers, Role
from rag_bench.llm.tasks.judging import score
from rag_bench.llm.tasks.pipeline import Fragment, answer_question, show_or_hide
from rag_bench.llm.transport.client import ChatModels
from rag_bench.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "providers.md"
KEY = "key-of-the-test-0123456789"

Body = Mapping[str, Any]
Refusal = tuple[int, Any]


def refused(message: str, status: int = 400, **more: Any) -> Refusal:
    return status, {"error": {"message": message, **more}}


def all_words(body: Body) -> str:
    return "\n".join(str(message["content"]) for message in body["messages"])


def roles(body: Body) -> list[str]:
    return [message["role"] for message in body["messages"]]


def only(body: Body, *fields: str) -> Refusal | None:
    """Refuse fields that nobody knows."""
    usual = {"model", "messages", "temperature", "max_tokens", "stream", "response_format"}
    for field in body:
        if field not in {*usual, *fields}:
            return refused(f"Unrecognized request argument supplied: {field}", param=field)
    return None


def one_system_message(body: Body) -> Refusal | None:
    if "system" in roles(body)[1:]:
        return refused("System message must be at the beginning.")
    return None


def json_in_words(body: Body) -> Refusal | None:
    kind = body.get("response_format", {}).get("type")
    if kind == "json_object" and "json" not in all_words(body).lower():
        return refused("'messages' must contain the word 'json' in some form")
    return None


def strict_schema(body: Body) -> Refusal | None:
    form = body.get("response_format")
    if form and form["type"] == "json_schema":
        schema = form["json_schema"]["schema"]
        if schema.get("additionalProperties") is not False or set(schema["required"]) != set(
            schema["properties"]
        ):
            return refused("Invalid schema for response_format")
    return None


def openai(body: Body) -> Refusal | None:
    if re.match(r"o\d|gpt-5", body["model"]):
        if "max_tokens" in body:
            return refused(
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead.",
                param="max_tokens",
            )
        if body.get("temperature", 1) != 1:
            return refused(
                "Unsupported value: 'temperature' does not support 0", param="temperature"
            )
    return only(body, "max_completion_tokens") or strict_schema(body)


def openrouter(body: Body) -> Refusal | None:
    if "/" not in body["model"]:
        return refused(f"{body['model']} is not a valid model ID")
    return strict_schema(body)


def deepseek(body: Body) -> Refusal | None:
    if body.get("response_format", {}).get("type") == "json_schema":
        return refused("This response_format type is unavailable now")
    return json_in_words(body)


def mistral(body: Body) -> Refusal | None:
    unknown = only(body)
    if unknown:
        field = unknown[1]["error"]["param"]
        words = "Extra inputs are not permitted"
        detail = [{"type": "extra_forbidden", "loc": ["body", field], "msg": words}]
        return 422, {"detail": detail}
    return None


def alibaba(body: Body) -> Refusal | None:
    if body["model"].startswith("qwen3") and body.get("enable_thinking") is not False:
        return refused(
            "parameter.enable_thinking must be set to false for non-streaming calls",
        )
    if body.get("response_format", {}).get("type") == "json_schema":
        return refused("'response_format.type' of json_schema is not supported by this model")
    return json_in_words(body)


def gigachat(body: Body) -> Refusal | None:
    return (
        refused("response_format is not supported", 422)
        if "response_format" in body
        else one_system_message(body)
    )


def yandex(body: Body) -> Refusal | None:
    if not re.fullmatch(r"gpt://[^/]+/[^/]+/latest", body["model"]):
        return refused("Failed to parse model URI")
    return one_system_message(body)


def vllm(body: Body) -> Refusal | None:
    kwargs = body.get("chat_template_kwargs", {})
    thinks = "qwen3" in body["model"] and kwargs.get("enable_thinking") is not False
    if body["max_tokens"] > 4000 or thinks:
        return refused(
            f"'max_tokens' or 'max_completion_tokens' is too large: {body['max_tokens']}. This "
            "model's maximum context length is 4096 tokens"
        )
    if "gemma" in body["model"] and "system" in roles(body):
        return refused("System role not supported")
    return one_system_message(body)


def ollama(body: Body) -> Refusal | None:
    return None


def lm_studio(body: Body) -> Refusal | None:
    if body.get("response_format", {}).get("type") == "json_object":
        return refused("'response_format.type' must be 'json_schema' or 'text'")
    return None


@dataclass(frozen=True)
class StandIn:
    """How a provider behaves: where it is, what it refuses, and how it dresses its replies."""

    path: str
    refuses: Callable[[Body], Refusal | None]
    thinking: re.Pattern[str] | None = None  # models whose thinking counts into the limit
    prefix: str = ""
    key: bool = True
    tls: bool = False
    finish_reason: str = "stop"


STAND_INS = {
    "OpenAI": StandIn("/v1", openai, re.compile(r"gpt-5")),
    "OpenRouter": StandIn("/api/v1", openrouter, re.compile("deepseek-r1"), prefix="\n \n"),
    "DeepSeek": StandIn("", deepseek, re.compile("reasoner"), prefix="\n\n"),
    "Mistral": StandIn("/v1", mistral),
    "Alibaba, Qwen": StandIn("/compatible-mode/v1", alibaba),
    "GigaChat": StandIn("/api/v1", gigachat, tls=True),
    "YandexGPT": StandIn("/v1", yandex),
    "vLLM": StandIn("/v1", vllm, key=False),
    "Ollama": StandIn("/v1", ollama, re.compile("qwen3"), key=False),
    "LM Studio": StandIn("/v1", lm_studio, key=False),
}

#: Lines that are there for the pace alone; a stand-in cannot tell whether they are.
PACE = ("CONCURRENCY", "TIMEOUT_SECONDS", "RPM", "TPM")


def blocks() -> dict[str, dict[str, str]]:
    """The page's environment lines by their heading, read as the program reads them."""
    found = {}
    for heading, text in re.findall(
        r"^## (.+?)\n\n```ini\n(.*?)```", PAGE.read_text(), re.M | re.S
    ):
        values = dotenv_values(stream=io.StringIO(text), interpolate=False)
        found[heading] = {name: value or "" for name, value in values.items()}
    return found


def behaviour_of(stand_in: StandIn, fake: FakeProvider) -> Any:
    async def behaviour(body: dict[str, Any], number: int) -> Response:
        if fake.paths[-1] != f"{stand_in.path}/chat/completions":
            return JSONResponse({"error": {"message": "Not Found"}}, 404)
        told = fake.headers[-1].get("authorization")
        if stand_in.key and told != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "Unauthorized"}}, 401)
        if body.get("stream") is not False:
            return Response("data: {}\n\n", media_type="text/event-stream")
        refusal = stand_in.refuses(body)
        if refusal:
            return JSONResponse(refusal[1], refusal[0])
        words = all_words(body)
        if "response_format" in body or "JSON schema" in words:
            text = '{"score": 4}'
        else:
            text = "Yes" if "Yes" in words else "Сессия в мае [1]."
        more: dict[str, Any] = {}
        if stand_in.thinking and stand_in.thinking.search(body["model"]):
            limit = body.get("max_completion_tokens") or body.get("max_tokens") or 0
            if limit < 1500:
                text, more = "", {"finish_reason": "length"}
            message = {"role": "assistant", "content": text, "reasoning_content": "Думаю."}
            more["message"] = message
        content = stand_in.prefix + json.dumps(completion(text, **more))
        return Response(content, media_type="application/json")

    return behaviour


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path] | None:
    """A private key, and a certificate of 127.0.0.1 that is its own authority."""
    if shutil.which("openssl") is None:
        return None
    folder = tmp_path_factory.mktemp("certificates")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out ca.pem -days 3650"
    subject = ["-subj", "/CN=stand-in", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *subject], cwd=folder, check=True, capture_output=True)
    return folder / "key.pem", folder / "ca.pem"


@contextmanager
def serving(
    heading: str, certificates: tuple[Path, Path] | None
) -> Iterator[tuple[FakeProvider, dict[str, str]]]:
    """Serve a stand-in; yields it with the page's lines, the address and the secrets put in."""
    stand_in = STAND_INS[heading]
    if stand_in.tls and certificates is None:
        pytest.skip("no openssl command to make a certificate with")
    fake = FakeProvider(certificates if stand_in.tls else None)
    fake.behaviour = behaviour_of(stand_in, fake)
    lines = dict(blocks()[heading])
    for name, value in lines.items():
        if name.endswith("_BASE_URL"):
            place = urlsplit(fake.base_url)
            lines[name] = f"{place.scheme}://{place.netloc}{urlsplit(value).path}"
        elif name.endswith("_API_KEY"):
            lines[name] = KEY
        elif name.endswith("_CA_FILE") and certificates:
            lines[name] = str(certificates[1])
    try:
        yield fake, lines
    finally:
        fake.stop()


def try_all(lines: Mapping[str, str], database_url: str) -> list[str]:
    """Send the benchmark's own requests to every model listed; return what failed."""
    providers = Providers(lines)
    assert providers.notes == []
    failed: list[str] = []

    async def run() -> None:
        fragments = [Fragment("h", "/page", "Сессия начинается в мае.")]
        async with ChatModels(providers, database_url, limits=FAST) as client:
            for role in (Role.generation, Role.benchmark_judge, Role.production_judge):
                keys = [k for k in providers.models_for(role) if not k.startswith("simulator/")]
                assert keys
                for key in keys:
                    try:
                        if role is Role.generation:
                            made = await answer_question(client, key, "Когда сессия?", fragments)
                            assert (made.text, made.citations) == ("Сессия в мае.", ("h",))
                        elif role is Role.benchmark_judge:
                            given = await score(
                                client, key, "e2e_quality", question="Когда сессия?",
                                answer="В мае.", reference_answer="В мае.",
                            )  # fmt: skip
                            assert given.score == 4
                        else:
                            shown = await show_or_hide(client, key, "Когда?", "В мае.", "В мае.")
                            assert shown.show
                    except CaseError as error:
                        failed.append(error.detail)

    asyncio.run(run())
    return failed


def test_every_provider_has_a_block_a_row_and_a_stand_in() -> None:
    page = PAGE.read_text()
    assert list(blocks()) == list(STAND_INS)
    for heading in STAND_INS:
        assert f"| [{heading}](#" in page


@pytest.mark.parametrize("heading", STAND_INS)
def test_the_lines_work(
    heading: str, database_url: str, certificates: tuple[Path, Path] | None
) -> None:
    with serving(heading, certificates) as (fake, lines):
        assert try_all(lines, database_url) == []
        assert fake.count >= 3


NEEDED = [
    (heading, name)
    for heading, lines in blocks().items()
    for name in lines
    if not name.endswith(("_MODELS", "_API_KEY", "_BASE_URL", *PACE))
]


@pytest.mark.parametrize(("heading", "name"), NEEDED)
def test_no_line_can_be_left_out(
    heading: str, name: str, database_url: str, certificates: tuple[Path, Path] | None
) -> None:
    with serving(heading, certificates) as (_, lines):
        del lines[name]
        failed = try_all(lines, database_url)
    assert failed
    # And the error says what to add.
    provider = name.removeprefix("PROVIDER_").partition("_")[0]
    said = re.compile(rf"PROVIDER_(?:{provider}|<NAME>)_(?:MODEL_OPTIONS|RESPONSE_FORMAT|CA_FILE|"
                      r"SYSTEM_MESSAGE|MAX_TOKENS)")  # fmt: skip
    assert [words for words in failed if not said.search(words)] == []


def test_the_example_file_has_the_pages_lines() -> None:
    example = dotenv_values(PROJECT_ROOT / ".env.benchmark-models.example", interpolate=False)
    for heading in ("Mistral", "OpenRouter", "DeepSeek", "Alibaba, Qwen"):
        for name, value in blocks()[heading].items():
            if not name.endswith(("_MODELS", "_API_KEY")):
                assert example[name] == value
