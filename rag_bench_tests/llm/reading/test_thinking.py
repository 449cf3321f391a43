"""Thinking before an answer: what is cut off, what is left alone, and in every role."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from fake_provider import FakeProvider, completion, question
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from starlette.responses import JSONResponse, Response

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Role
from rag_bench.llm.reading.chat_reply import ChatReply
from rag_bench.llm.reading.thinking import cut_thinking
from rag_bench.llm.tasks import judging, pairwise, pipeline
from rag_bench.llm.tasks.pipeline import Fragment
from rag_bench.llm.transport.client import ChatModels
from rag_bench.questions.critics import Critic, criticise
from rag_bench.questions.writer import QuestionType, write_question

MakeModels = Callable[..., ChatModels]

#: Every family's marks, with an opening of its own.
FAMILIES = {
    "think": ("<think>", "</think>"),
    "upper case": ("<THINK>", "</THINK>"),
    "thinking": ("<thinking>", "</thinking>"),
    "thought": ("<thought>", "</thought>"),
    "reasoning": ("<reasoning>", "</reasoning>"),
    "seed": ("<seed:think>", "</seed:think>"),
    "magistral": ("[THINK]", "[/THINK]"),
    "kimi": ("◁think▷", "◁/think▷"),
    "begin of thought": ("<|begin_of_thought|>", "<|end_of_thought|>"),
    "command": ("<|START_THINKING|>", "<|END_THINKING|>"),
    "gemma": ("<|channel>thought\n", "<channel|>"),
    "harmony": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "harmony without its tokens": ("analysis", "assistantfinal"),
    "granite": ("Here is my thought process:", "Here is my response:"),
    "a page's details": ('<details type="reasoning" done="true">', "</details>"),
}
#: Those whose thinking a server's prompt may have opened.
LONE = {name for name in FAMILIES if name not in
        ("harmony without its tokens", "granite", "a page's details")}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("gap", ["", "\n", "\n\n", " "])
def test_thinking_before_an_answer_is_cut(family: str, gap: str) -> None:
    opening, closing = FAMILIES[family]
    cut = cut_thinking(f"{opening}Стипендия? См. [2], «Ответ не найден».{closing}{gap}25 числа [1]")
    assert (cut.answer, cut.closed) == ("25 числа [1]", True)
    assert cut.thinking is not None
    assert "Стипендия" in cut.thinking


@pytest.mark.parametrize("family", sorted(LONE))
def test_a_closing_mark_alone_ends_a_thinking(family: str) -> None:
    _, closing = FAMILIES[family]
    cut = cut_thinking(f"Надо найти дату. Она в [2].{closing}\n\n25 числа [1]")
    assert cut.answer == "25 числа [1]"
    assert (cut.thinking or "").startswith("Надо найти дату.")


# "analysis" is a word like any other unless the answer's mark follows.
@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"harmony without its tokens"}))
def test_a_thinking_that_never_ends_leaves_no_answer(family: str) -> None:
    opening, _ = FAMILIES[family]
    cut = cut_thinking(f"\n {opening}Сначала посмотрим, что")
    assert (cut.answer, cut.closed) == ("", False)


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("<think></think>\n\nДа", "Да"),
        ("<think>\n\n</think>\n\nДа", "Да"),
        ("<think>раз</think><think>два</think>Да", "Да"),
        ("<think>о <think>вложенном</think> и дальше</think>Да", "Да"),
        ("<think>о знаке <think> в тексте</think>Да", "Да"),
        ("\ufeff <think>x</think> Да", "Да"),
        ("<think>x</think><answer>Да</answer>", "Да"),
        ("<think>x</think>\n<response>\nДа\n</response>", "Да"),
        ("<think>x</think>Да<|im_end|>", "Да"),
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>"
         "b<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>{}<|return|>",
         "{}"),
        ("<|channel|>final<|message|>Да<|return|>", "Да"),
        ("Да<|eot_id|>\n", "Да"),
        ('<think>x</think>```json\n{"score": 4}\n```', '```json\n{"score": 4}\n```'),
    ],
)  # fmt: skip
def test_odd_forms(given: str, left: str) -> None:
    assert cut_thinking(given).answer == left


@pytest.mark.parametrize(
    "answer",
    [
        "Модель пишет <think> перед ответом.",
        "Между <think> и </think> стоит рассуждение.",
        "Вот пример:\n```\n<think>рассуждение</think>\nответ\n```\nКонец.",
        "Вот пример:\n```xml\nответ</think>\n```\nКонец.",
        "Закройте его знаком `</think>` в конце.",
        "Знак «</think>» закрывает рассуждение.",
        '{"reasoning": "в ответе стоит </think> без начала", "score": 4}',
        "Analysis of the final exam: 25 points.",
        "<answer>Да</answer>",
        "  Да \n",
        "",
        "5 < 7 и 7 > 5 [1]",
        "Thinking about it: yes.",
    ],
)
def test_an_answer_that_speaks_of_marks_stays_as_it_is(answer: str) -> None:
    cut = cut_thinking(answer)
    assert (cut.answer, cut.thinking, cut.closed) == (answer, None, True)


@given(st.text(max_size=200))
def test_text_without_marks_is_never_changed(words: str) -> None:
    plain = words.translate(str.maketrans("", "", "<>[]◁▷|"))
    if "assistantfinal" not in plain and "thought process" not in plain:
        assert cut_thinking(plain).answer == plain


@given(
    st.sampled_from(sorted(LONE)),
    st.text(alphabet="абв \n.,[]12", min_size=1, max_size=60),
    st.text(alphabet="где ё.12", min_size=1, max_size=60).filter(str.strip),
)
def test_what_follows_the_thinking_is_the_answer(family: str, thinking: str, answer: str) -> None:
    opening, closing = FAMILIES[family]
    assert cut_thinking(opening + thinking + closing + answer).answer == answer.strip()


# Through the real client, in every role.

FRAGMENTS = [Fragment("a", "p", "Стипендия приходит 25 числа."), Fragment("b", "p", "Комната 800.")]
THOUGHT = "<think>Посмотрим. Может быть, «Ответ не найден»? Или [2]. Score 1. No.</think>\n\n"


def says(provider: FakeProvider, content: Any, **choice: Any) -> None:
    async def behaviour(body: dict[str, Any], number: int) -> Response:
        return JSONResponse(completion(content, **choice))

    provider.behaviour = behaviour


async def in_case(models: MakeModels, ask: Callable[[ChatModels], Any]) -> tuple[Any, Any]:
    async with models() as client, client.case("role", "case") as context:
        return await ask(client), context.flags


def asking(models: MakeModels, ask: Callable[[ChatModels], Any]) -> tuple[Any, Any]:
    return asyncio.run(in_case(models, ask))


@pytest.mark.parametrize("before", [THOUGHT, THOUGHT.removeprefix("<think>")])
def test_a_generators_answer(models: MakeModels, provider: FakeProvider, before: str) -> None:
    says(provider, before + "25 числа [1]")
    made, flags = asking(
        models, lambda c: pipeline.answer_question(c, "fake/m", "Когда?", FRAGMENTS)
    )
    assert (made.text, made.citations, made.refused) == ("25 числа", ("a",), False)
    assert flags == ("thinking_cut",)


def test_a_refusal_behind_thinking_is_one(models: MakeModels, provider: FakeProvider) -> None:
    says(provider, THOUGHT + "Ответ не найден.")
    made, _ = asking(models, lambda c: pipeline.answer_question(c, "fake/m", "Когда?", FRAGMENTS))
    assert (made.refused, made.citations, made.flags) == (True, (), ())


def test_judges_gates_critics_and_the_writer(models: MakeModels, provider: FakeProvider) -> None:
    says(provider, THOUGHT + '{"score": 4}')
    scored, flags = asking(
        models,
        lambda c: judging.score(c, "fake/m", "answer_relevance", question="Когда?", answer="25"),
    )
    assert (scored.score, flags) == (4, ("thinking_cut",))
    says(provider, THOUGHT + '```json\n{"winner": "B"}\n```')
    preferred, _ = asking(
        models,
        lambda c: pairwise.prefer(
            c, "fake/m", question="Когда?", context="", answer_a="25", answer_b="26"
        ),
    )
    assert preferred.winner == "B"
    for reply, show in (("Yes", True), ("No: не по теме", False), ("**Yes**", True)):
        says(provider, THOUGHT + reply)
        verdict, _ = asking(
            models, lambda c, r=reply: pipeline.show_or_hide(c, "fake/m", "Когда?", r, "")
        )
        assert verdict.show is show
    says(provider, THOUGHT + '{"reason": "есть в тексте", "score": 5}')
    opinion, _ = asking(
        models,
        lambda c: criticise(
            c,
            "fake/m",
            Critic.groundedness,
            QuestionType.simple,
            question="Когда приходит стипендия?",
            reference_answer="25 числа",
            chunks=["Стипендия приходит 25 числа."],
        ),
    )
    assert opinion.value == 5
    says(
        provider,
        THOUGHT + '{"question": "Когда платят?", "reference_answer": "Стипендия приходит 25"}',
    )
    written, _ = asking(
        models, lambda c: write_question(c, "fake/m", "Стипендия приходит 25 числа.", "Деньги")
    )
    assert written.question == "Когда платят?"


def test_the_ledger_keeps_the_reply_as_it_came(
    models: MakeModels, provider: FakeProvider, engine: Engine
) -> None:
    says(provider, THOUGHT + "25 числа")
    first, _ = asking(models, lambda c: c.chat("fake/m", "r", question("Когда?")))
    again, flags = asking(models, lambda c: c.chat("fake/m", "r", question("Когда?")))
    assert provider.count == 1
    assert (first.text, again.text, flags) == ("25 числа", "25 числа", ("thinking_cut",))
    with engine.connect() as connection:
        kept = connection.execute(
            text("select response #>> '{choices,0,message,content}' from rag_bench.llm_call")
        ).scalar_one()
    assert kept == THOUGHT + "25 числа"


@pytest.mark.parametrize(
    ("message", "finish", "cause"),
    [
        ({"content": "<think>Сначала"}, "stop", "the thinking was cut before an answer began"),
        ({"content": "<think>Сначала"}, "length", "finish_reason=length"),
        ({"content": "<think>Ответ ясен.</think>\n"}, "stop", "the model only thought"),
        ({"content": "", "reasoning_content": "Сначала"}, "stop", "the model only thought"),
        ({"content": None, "reasoning": "Сначала"}, "stop", "the model only thought"),
        ({"content": [{"type": "thinking", "thinking": []}]}, "stop", "the model only thought"),
        ({"content": " "}, "stop", "the reply is empty"),
    ],
)
def test_no_answer_is_an_error_with_its_cause(
    models: MakeModels,
    provider: FakeProvider,
    engine: Engine,
    message: dict[str, Any],
    finish: str,
    cause: str,
) -> None:
    says(provider, "", message={"role": "assistant", **message}, finish_reason=finish)
    for _ in range(2):  # the second time from the ledger
        with pytest.raises(CaseError) as caught:
            asking(models, lambda c: c.chat("fake/m", "r", question("Когда?")))
        assert caught.value.code is ErrorCode.LLM_FAILED
        assert cause in caught.value.detail
    assert provider.count == 1
    with engine.connect() as connection:
        stored = connection.execute(text("select error_detail from rag_bench.llm_call"))
        assert cause in stored.scalar_one()


def test_thinking_beside_an_answer_is_not_the_answer(
    models: MakeModels, provider: FakeProvider
) -> None:
    async def behaviour(body: dict[str, Any], number: int) -> Response:
        message = {"role": "assistant", "content": "25", "reasoning_content": "Ответ не найден"}
        reply = completion("", message=message)
        reply["usage"]["completion_tokens_details"] = {"reasoning_tokens": 5}
        return JSONResponse(reply)

    provider.behaviour = behaviour
    reply: ChatReply
    reply, flags = asking(models, lambda c: c.chat("fake/m", "r", question("Когда?")))
    assert (reply.text, flags) == ("25", ())
    assert (reply.completion_tokens, reply.thinking_tokens) == (7, 5)


def test_ragas_reads_what_follows_the_thinking(models: MakeModels, provider: FakeProvider) -> None:
    pytest.importorskip("ragas")
    import numpy as np

    from rag_bench.llm.ragas.library import BenchEmbeddings
    from rag_bench.llm.ragas.metrics import RagasJudge, Sample

    says(provider, THOUGHT + '{"reason": "да", "verdict": 1.0}')
    embeddings = BenchEmbeddings(lambda texts: np.ones((len(texts), 2)))

    async def ask(client: ChatModels) -> Any:
        judge = RagasJudge(client, "fake/m", "ru", embeddings)
        sample = Sample("Когда?", contexts=["25 числа"], reference="25")
        return await judge.score("context_precision", sample)

    found, flags = asking(models, ask)
    assert (found.value, flags) == (1.0, ("thinking_cut",))


def test_a_case_that_fails_keeps_its_flags(models: MakeModels, provider: FakeProvider) -> None:
    says(provider, THOUGHT + "пять")

    async def run() -> None:
        async with models() as client, client.case(Role.benchmark_judge, "case"):
            await judging.score(client, "fake/m", "answer_relevance", question="x", answer="y")

    with pytest.raises(CaseError) as caught:
        asyncio.run(run())
    assert caught.value.code is ErrorCode.METRIC_ERROR
    assert "thinking_cut" in caught.value.flags
