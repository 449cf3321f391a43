"""A judge whose replies a test writes, and RAGAS' metrics asked of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rag_bench.llm.ragas import prompts
from rag_bench.llm.reading.chat_reply import ChatReply

Answer = Callable[[str, Mapping[str, Any]], Any]


QUESTION = "Как получить справку?"


ANSWER = "Справку заказывают в личном кабинете. Её выдают в окне 4. Она готова через три дня."


REFERENCE = "Справку заказывают в личном кабинете. Выдают её в окне 4."


CONTEXTS = ["Справку заказывают в личном кабинете. Выдача в окне 4.", "Столовая открыта с 9."]


FIVE = [f"Утверждение номер {n}." for n in range(1, 6)]


def given_of(prompt: str) -> dict[str, Any]:
    return json.loads(re.split(r"\n(?:Дано|Given): ", prompt)[-1].rpartition("}")[0] + "}")


class Scripted:
    """A judge whose replies a test makes up."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.calls: list[dict[str, Any]] = []

    async def chat(self, model_key, role, messages, *, response_format, temperature, max_tokens):
        name = response_format["json_schema"]["name"]
        self.calls.append({"name": name, "temperature": temperature, "max_tokens": max_tokens})
        reply = self.answer(name, given_of(messages[0]["content"]))
        return ChatReply(
            reply if isinstance(reply, str) else json.dumps(reply, ensure_ascii=False),
            *("stop", 1, 1, 1.0, False, "key"),
        )


def letters(texts: Sequence[str]) -> np.ndarray:
    """Vectors by letters: the same for the same text, never negative."""
    return np.array([[1 + text.lower().count(letter) for letter in "аеиоснту"] for text in texts])


def scored(metric: str, chat: Any, language: prompts.Language = "ru", **sample: Any):
    from rag_bench.llm.ragas.library import BenchEmbeddings
    from rag_bench.llm.ragas.metrics import RagasJudge, Sample

    given = {"question": QUESTION, "answer": ANSWER, "contexts": CONTEXTS, "reference": REFERENCE}

    async def main():
        judge = RagasJudge(chat, "p/judge", language, BenchEmbeddings(letters))
        return await judge.score(metric, Sample(**{**given, **sample}))

    return asyncio.run(main())


def statements(each: Sequence[str]) -> dict[str, Any]:
    return {"statements": list(each)}


def verdicts(*values: int, numbers: Sequence[int] = ()) -> dict[str, Any]:
    pairs = zip(numbers or range(1, len(values) + 1), values, strict=True)
    return {"verdicts": [{"number": n, "reason": "так", "verdict": v} for n, v in pairs]}
