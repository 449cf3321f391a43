"""The simulator speaks OpenAI's protocol and always says the same to the same request."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import httpx
import openai
import pytest

from rag_bench.hashing import canonical_json
from rag_bench.llm.reading.structured import response_format_for
from rag_bench.llm.tasks import prompts
from rag_bench.questions.writer import SyntheticQuestion, check_pair, write_question
from rag_bench.simulator.app import REPLICATE_HEADER, Simulator
from rag_bench.simulator.roster import DEFAULT_MODELS
from rag_bench.simulator.transport import simulator_transport

MODELS = [model.name for model in DEFAULT_MODELS]


def sdk(simulator: Simulator) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key="none",
        base_url="http://simulator.local/v1",
        max_retries=0,
        http_client=httpx.AsyncClient(transport=simulator_transport(simulator)),
    )


def ask(simulator: Simulator, replicate: int | None = None, **body):
    headers = {} if replicate is None else {REPLICATE_HEADER: str(replicate)}
    return asyncio.run(
        sdk(simulator).chat.completions.create(extra_headers=headers, **body)  # type: ignore
    )


def post(simulator: Simulator, content: bytes | str, path: str = "/v1/chat/completions"):
    async def run():
        async with httpx.AsyncClient(
            transport=simulator_transport(simulator), base_url="http://x"
        ) as client:
            return await client.post(path, content=content)

    return asyncio.run(run())


def get(simulator: Simulator, path: str):
    async def run():
        async with httpx.AsyncClient(
            transport=simulator_transport(simulator), base_url="http://x"
        ) as client:
            return await client.get(path)

    return asyncio.run(run()).json()


def question_body(entry, model: str = "sim-weak") -> dict[str, object]:
    messages = prompts.render(
        "generation_answer", question=entry.question, context=list(entry.chunk_texts)
    )
    return {"model": model, "messages": messages, "max_tokens": 200}


def test_a_completion_as_the_sdk_reads_it(key, entries):
    reply = ask(Simulator(key), **question_body(entries[0], "extractive"))
    assert reply.model == "extractive"
    assert reply.object == "chat.completion"
    assert reply.system_fingerprint == "simulated"
    choice = reply.choices[0]
    assert choice.finish_reason == "stop"
    assert choice.message.role == "assistant"
    assert entries[0].reference_answer in (choice.message.content or "")
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 100
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens


def test_a_long_reply_is_cut_at_the_limit(key, entries):
    body = {**question_body(entries[0], "extractive"), "max_tokens": 3}
    reply = ask(Simulator(key), **body)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 3
    assert len((reply.choices[0].message.content or "").split()) <= 3


def test_the_same_request_always_has_the_same_reply(key, entries):
    one, other = Simulator(key), Simulator(key)
    ask(other, **question_body(entries[5]))  # the order of requests does not matter
    for entry in entries[:40]:
        for replicate in (None, 0, 3):
            body = question_body(entry)
            first = ask(one, replicate, **body).model_dump()
            assert first == ask(one, replicate, **body).model_dump()
            assert first == ask(other, replicate, **body).model_dump()


def test_replicates_differ_now_and_then(key, entries):
    simulator = Simulator(key)

    def text(entry, replicate):
        body = question_body(entry)
        return ask(simulator, replicate, **body).choices[0].message.content

    differ = sum(text(entry, 0) != text(entry, 1) for entry in entries[:100])
    assert 10 < differ < 50
    assert all(text(entry, None) == text(entry, 0) for entry in entries[:10])


def test_another_process_gives_the_same_replies(key, entries):
    program = (
        "import asyncio, json, sys\n"
        "from rag_bench.simulator.answer_key import AnswerKey, KeyEntry\n"
        "from rag_bench.simulator.app import Simulator\n"
        "question, answer, chunk, body = json.load(sys.stdin)\n"
        "key = AnswerKey([KeyEntry(question, answer, (chunk,))])\n"
        "for model in ('sim-weak', 'extractive'):\n"
        "    print(asyncio.run(Simulator(key).reply(model, body, 7)))\n"
    )
    for entry in entries[:2]:
        body = question_body(entry)
        given = [entry.question, entry.reference_answer, entry.chunk_texts[0], body]
        out = subprocess.run(
            [sys.executable, "-c", program],
            input=canonical_json(given),
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": "12345", "PYTHONIOENCODING": "utf-8"},
        ).stdout.splitlines()
        for model, text in zip(("sim-weak", "extractive"), out, strict=True):
            assert asyncio.run(Simulator(key).reply(model, body, 7)) == text


def test_unknown_models_are_not_found_as_openai_says_it():
    with pytest.raises(openai.NotFoundError) as caught:
        ask(Simulator(), model="gpt-4o", messages=[{"role": "user", "content": "?"}])
    assert caught.value.code == "model_not_found"
    assert "sim-strong" in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "не JSON",
        "[]",
        "{}",
        '{"model": "extractive"}',
        '{"model": 5, "messages": [{"role": "user", "content": "?"}]}',
        '{"model": "extractive", "messages": []}',
        '{"model": "extractive", "messages": ["?"]}',
        '{"model": "extractive", "messages": [{"role": "king", "content": "?"}]}',
        '{"model": "extractive", "messages": [{"role": "user", "content": "?"}], "stream": true}',
        '{"model": "extractive", "messages": [{"role": "user", "content": "?"}], "n": 2}',
        '{"model": "extractive", "messages": [{"role": "user", "content": "?"}], "max_tokens": 0}',
        '{"model": "sim-judge-sharp", "messages": [{"role": "user", "content": "?"}]}',
    ],
)
def test_bad_requests_are_refused_in_openais_shape(body):
    response = post(Simulator(), body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]


def test_a_generator_is_no_judge(entries):
    schema = {"type": "object", "properties": {"score": {"type": "integer"}}}
    body = {
        **question_body(entries[0]),
        "response_format": response_format_for("faithfulness", schema),
    }
    with pytest.raises(openai.BadRequestError, match="cannot judge"):
        ask(Simulator(), **body)


def test_the_count_shows_repeats(key, entries):
    simulator = Simulator(key)
    for replicate in (0, 0, 1):
        ask(simulator, replicate, **question_body(entries[0]))
    ask(simulator, **question_body(entries[1], "extractive"))
    stats = get(simulator, "/stats")
    assert stats["requests"] == 4
    assert stats["repeated"] == 1
    assert stats["by_model"] == {"sim-weak": 3, "extractive": 1}
    assert sorted(stats["by_body"].values()) == [1, 3]
    assert sorted(stats["by_call"].values()) == [1, 1, 2]


def test_models_are_listed_as_simulated():
    listed = get(Simulator(), "/v1/models")["data"]
    assert [model["id"] for model in listed] == MODELS
    assert all("simulated" in model["owned_by"] for model in listed)


def test_plain_messages_are_a_question_without_context():
    reply = ask(Simulator(), model="extractive", messages=[{"role": "user", "content": "Где?"}])
    assert reply.choices[0].message.content == "Ответ не найден"


@pytest.mark.parametrize("model", ["extractive", "sim-strong", "sim-judge-sharp"])
def test_questions_are_written_from_chunks(model, chat, entries):
    made = [
        asyncio.run(write_question(chat, model, entry.chunk_texts[0], "Справки"))
        for entry in entries[:40]
    ]
    assert all(question.endswith("?") for question, _ in made)
    assert any("тему «Справки" in question for question, _ in made)
    assert any("Forms of the" in question for question, _ in made)


def test_questions_can_be_written_for_real_paragraphs(chat, xquad):
    for language in ("ru", "en"):
        data = json.loads((xquad / f"xquad.{language}.json").read_text(encoding="utf-8"))["data"]
        texts = [paragraph["context"] for article in data for paragraph in article["paragraphs"]]
        failed = 0
        for text in texts:
            body = {
                "messages": prompts.render(
                    "synthetic_question", page="XQuAD", chunk=text, question=""
                ),
                "response_format": response_format_for("synthetic_question", SyntheticQuestion),
            }
            made = json.loads(asyncio.run(chat.simulator.reply("extractive", body, 0)))
            try:
                check_pair(made["question"], made["reference_answer"], text)
            except Exception as error:
                failed += 1
                print(error)
        assert failed <= 0.05 * len(texts)


def test_any_other_schema_gets_a_minimal_valid_reply():
    schema = {
        "type": "object",
        "properties": {
            "verdict": {"enum": [0, 1]},
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 2},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "share": {"type": "number", "minimum": 0.5, "maximum": 0.7},
            "extra": {"type": "boolean"},
        },
        "required": ["verdict", "items", "note", "share"],
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {"text": {"type": "string"}, "n": {"type": "integer"}},
                "required": ["text", "n"],
            }
        },
    }
    expected = {
        "verdict": 0,
        "items": [{"text": "—", "n": 0}, {"text": "—", "n": 0}],
        "note": "—",
        "share": 0.5,
    }
    messages = [{"role": "user", "content": "Сделай JSON"}]
    strict = {"type": "json_schema", "json_schema": {"name": "other", "schema": schema}}
    body = {"model": "sim-judge-sharp", "messages": messages, "response_format": strict}
    reply = ask(Simulator(), **body)
    assert json.loads(reply.choices[0].message.content or "") == expected
    # Clients that write the schema into the prompt instead.
    messages = [{"role": "system", "content": f"Reply as:\n{json.dumps(schema)}"}, *messages]
    loose = {"type": "json_object"}
    reply = ask(Simulator(), model="extractive", messages=messages, response_format=loose)
    assert json.loads(reply.choices[0].message.content or "") == expected
