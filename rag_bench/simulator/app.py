"""The simulator's HTTP face: OpenAI's chat completions, so that the real client runs unchanged.

A reply depends on the model, the request's body, the replicate header, the answer key and the
truth store; never on time, order or random state. `GET /stats` is the provider's own count of
what it was asked, by which a test sees calls that were paid for twice.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from rag_bench.hashing import content_hash
from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.simulator.critics import CRITICS, critic_reply
from rag_bench.simulator.extractive import extractive_answer
from rag_bench.simulator.generators import generate
from rag_bench.simulator.judges import (
    PAIRWISE,
    gate_reply,
    judge_reply,
    pairwise_reply,
    unperturbed,
)
from rag_bench.simulator.models import Extractive, Gate, Generator, Judge
from rag_bench.simulator.question_types import typed_question
from rag_bench.simulator.ragas_replies import ragas_reply
from rag_bench.simulator.roster import Catalogue
from rag_bench.simulator.schema_filler import fill, schema_in_messages
from rag_bench.simulator.sections import Sections, message_text, read_sections
from rag_bench.simulator.serving import Serving
from rag_bench.simulator.truth import WORTH, MemoryTruth, Quality, TruthStore

_TURN = 500  # replicates of one turn of a conversation
REPLICATE_HEADER = "X-Rag-Bench-Replicate"
SYNTHETIC_QUESTION = "synthetic_question"
_TOKEN = re.compile(r"\w+|[^\w\s]")


class RefusedRequestError(Exception):
    """A request that is answered with an error of OpenAI's shape."""

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str = ""
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


class Simulator:
    """The offline models with their answer key and truth, and the count of what was asked.

    Args:
        key: the answer key, or a function that returns the current one.
        truth: where labels of made-up answers are kept; unset: in this process.
        catalogue: the models served; unset: those of ``serving``.
        latency_seconds: what every reply waits, so that calls can be seen in flight.
        serving: how they are served; unset: as the roster says.
    """

    def __init__(
        self,
        key: AnswerKey | Callable[[], AnswerKey] | None = None,
        truth: TruthStore | None = None,
        catalogue: Catalogue | None = None,
        latency_seconds: float = 0.0,
        serving: Serving | None = None,
    ) -> None:
        self._serving = serving or Serving()
        fixed = key if isinstance(key, AnswerKey) else AnswerKey()
        self._key: Callable[[], AnswerKey] = key if callable(key) else lambda: fixed
        self.truth: TruthStore = truth or MemoryTruth()
        self.catalogue = catalogue or self._serving.catalogue
        self.latency_seconds = latency_seconds
        self.by_model: Counter[str] = Counter()
        self.by_body: Counter[str] = Counter()
        self.by_call: Counter[str] = Counter()

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._completions, methods=["POST"]),
                Route("/v1/models", self._models, methods=["GET"]),
                Route("/stats", self._stats, methods=["GET"]),
            ]
        )

    async def reply(self, model_name: str, body: Mapping[str, Any], replicate: int) -> str:
        """Return the text that a model answers to a checked request body."""
        model = self.catalogue.by_name.get(model_name)
        if model is None:
            known = ", ".join(self.catalogue.by_name)
            raise RefusedRequestError(
                404,
                f"The model '{model_name}' does not exist. Simulated models: {known}.",
                code="model_not_found",
            )
        messages, replicate = _asked_first(body["messages"], replicate)
        asked = read_sections(messages)
        schema_name, schema = _schema(body)
        if schema_name and not isinstance(model, Gate):
            kind = schema_name.removeprefix(SYNTHETIC_QUESTION)
            if kind != schema_name and (asked.chunk or asked.fragments):
                return typed_question(kind.lstrip("_") or "simple", asked)
            if schema_name in CRITICS:
                return critic_reply(model, schema_name, asked, replicate)
        if schema_name in WORTH or schema_name == PAIRWISE:
            if not isinstance(model, Judge):
                raise RefusedRequestError(400, f"The simulated model '{model_name}' cannot judge.")
            if schema_name == PAIRWISE:
                return await self._compare(model, schema or {}, asked, replicate)
            return await self._judge(model, schema_name, schema or {}, asked, replicate)
        if schema is not None and isinstance(model, Judge):
            told = await self._ragas(model, schema, messages, replicate)
            if told is not None:
                return told
        if schema is not None:
            return json.dumps(fill(schema), ensure_ascii=False)
        if isinstance(model, Judge):
            raise RefusedRequestError(
                400,
                f"The simulated judge '{model_name}' needs a response_format with a JSON schema.",
                param="response_format",
            )
        if isinstance(model, Extractive):
            return extractive_answer(asked.question, asked.fragments)
        if isinstance(model, Gate):
            quality = await self._recall(asked)
            return gate_reply(model, asked, quality, self._key(), replicate)
        if self._serving.cites_if_asked and not any(map(_shows_how_to_cite, messages)):
            model = replace(model, no_citation=1.0)
        return await self._generate(model, asked, replicate)

    async def _judge(
        self, model: Judge, rubric: str, schema: Mapping[str, Any], asked: Sections, replicate: int
    ) -> str:
        return judge_reply(
            model,
            rubric,
            asked,
            await self._recall(unperturbed(asked)),
            self._key(),
            replicate,
            with_reasoning="reasoning" in schema.get("properties", {}),
        )

    async def _ragas(
        self,
        model: Judge,
        schema: Mapping[str, Any],
        messages: Sequence[Mapping[str, Any]],
        replicate: int,
    ) -> str | None:
        given = (model, schema, messages, self._key(), self.truth.recall, replicate)
        if self.truth.blocking:
            return await run_in_threadpool(ragas_reply, *given)
        return ragas_reply(*given)

    async def _compare(
        self, model: Judge, schema: Mapping[str, Any], asked: Sections, replicate: int
    ) -> str:
        answers = (asked.answer_a, asked.answer_b)
        sides = [replace(asked, answer=answer) for answer in answers]
        return pairwise_reply(
            model,
            sides,
            [await self._recall(side) for side in sides],
            self._key(),
            replicate,
            with_reasoning="reasoning" in schema.get("properties", {}),
        )

    async def _generate(self, model: Generator, asked: Sections, replicate: int) -> str:
        made = generate(model, asked, self._key(), replicate)
        if made.quality is not None:
            label = (asked.question, made.text, made.quality)
            # Before the reply: whoever has the answer can rely on its label.
            if self.truth.blocking:
                await run_in_threadpool(self.truth.remember, *label)
            else:
                self.truth.remember(*label)
        return made.text

    async def _recall(self, asked: Sections) -> Quality | None:
        if self.truth.blocking:
            return await run_in_threadpool(self.truth.recall, asked.question, asked.answer)
        return self.truth.recall(asked.question, asked.answer)

    async def _completions(self, request: Request) -> Response:
        try:
            body = _checked(await request.body())
            replicate = _replicate(request.headers.get(REPLICATE_HEADER))
            address = content_hash(body)
            self.by_model[body["model"]] += 1
            self.by_body[address] += 1
            self.by_call[f"{address}:{replicate}"] += 1
            self._may_fail(f"{address}:{replicate}")
            if self.latency_seconds:
                await asyncio.sleep(self.latency_seconds)
            text = await self.reply(body["model"], body, replicate)
        except RefusedRequestError as error:
            return JSONResponse(
                {
                    "error": {
                        "message": str(error),
                        "type": "invalid_request_error",
                        "param": error.param or None,
                        "code": error.code,
                    }
                },
                status_code=error.status,
            )
        reply = _completion(body, text, f"{address}:{replicate}")
        reply["model"] = self._serving.named.get(body["model"], body["model"])
        return JSONResponse(reply)

    def _may_fail(self, call: str) -> None:
        failing = self._serving.failing
        if failing is not None and failing.fails(call, self.by_call[call]):
            raise RefusedRequestError(failing.status, "The simulated provider failed here.")

    async def _models(self, request: Request) -> Response:
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "rag-bench (simulated)"}
            for name in self.catalogue.by_name
        ]
        return JSONResponse({"object": "list", "data": data})

    async def _stats(self, request: Request) -> Response:
        return JSONResponse(self.stats())

    def stats(self) -> dict[str, Any]:
        """Return how often each model, body, and body with replicate was asked for.

        ``repeated`` is the number of requests whose body and replicate had been asked before.
        """
        return {
            "requests": self.by_model.total(),
            "repeated": self.by_call.total() - len(self.by_call),
            "by_model": dict(self.by_model),
            "by_body": dict(self.by_body),
            "by_call": dict(self.by_call),
        }


def _asked_first(
    messages: Sequence[Mapping[str, Any]], replicate: int
) -> tuple[Sequence[Mapping[str, Any]], int]:
    """Return what a conversation began with, and a replicate of its own for each later turn.

    Whoever asks once more about a reply wants the same question answered anew.
    """
    roles = [message.get("role") for message in messages]
    turns = roles.count("assistant")
    first = messages[: roles.index("assistant")] if turns else messages
    return first, replicate + _TURN * turns


def _shows_how_to_cite(message: Mapping[str, Any]) -> bool:
    return message["role"] == "system" and "[1]" in message_text(message)


def _checked(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise RefusedRequestError(400, f"The body is not JSON: {error}") from error
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise RefusedRequestError(400, "You must provide a model parameter.", param="model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RefusedRequestError(400, "'messages' must be a non-empty list.", param="messages")
    for message in messages:
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise RefusedRequestError(400, f"A message needs a role of {_ROLES}.", param="messages")
    if body.get("stream") or body.get("n") not in (None, 1):
        raise RefusedRequestError(400, "Simulated models neither stream nor give several choices.")
    if _limit(body) is not None and not (isinstance(_limit(body), int) and _limit(body) >= 1):
        raise RefusedRequestError(400, "max_tokens must be a positive integer.", param="max_tokens")
    return body


_ROLES = ("system", "developer", "user", "assistant", "tool")


def _limit(body: Mapping[str, Any]) -> Any:
    limit = body.get("max_completion_tokens")
    return body.get("max_tokens") if limit is None else limit


def _replicate(header: str | None) -> int:
    try:
        return int(header or 0)
    except ValueError as error:
        raise RefusedRequestError(400, f"{REPLICATE_HEADER} must be an integer.") from error


def _schema(body: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any] | None]:
    """Return the name and the JSON schema that the reply must follow, if any."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict):
        return None, None
    if wanted.get("type") == "json_schema":
        schema = wanted.get("json_schema")
        if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
            raise RefusedRequestError(400, "Missing json_schema.schema.", param="response_format")
        return schema.get("name"), schema["schema"]
    if wanted.get("type") == "json_object":
        return None, schema_in_messages(body["messages"]) or {"type": "object"}
    return None, None


def _completion(body: Mapping[str, Any], text: str, call: str) -> dict[str, Any]:
    """Shape a reply; tokens are words and punctuation marks, and the limit on them is obeyed."""
    tokens = list(_TOKEN.finditer(text))
    limit, finish_reason = _limit(body), "stop"
    if limit is not None and len(tokens) > limit:
        text, finish_reason = text[: tokens[limit - 1].end()], "length"
        tokens = tokens[:limit]
    prompt_tokens = sum(len(_TOKEN.findall(message_text(m))) + 3 for m in body["messages"])
    return {
        "id": f"chatcmpl-{content_hash(call)[:24]}",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "system_fingerprint": "simulated",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": finish_reason,
            }
        ],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": len(tokens),
            "total_tokens": prompt_tokens + len(tokens),
        },
    }
