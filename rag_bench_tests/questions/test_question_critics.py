"""Types of questions and their critics: what rules and critics let pass, and what they do not."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.tasks.pipeline import NOT_FOUND
from rag_bench.questions.critics import Critic, criticise, critics_for
from rag_bench.questions.writer import (
    QuestionType,
    Source,
    check_misspelt,
    check_pair,
    prompt_names,
    write_question,
)

FIRST = "Пересдачи\nПервая пересдача проходит с 10 по 20 февраля, направление берут в деканате."
SECOND = Source(
    "Академический отпуск\nЗаявление подают вместе с медицинским заключением.", "https://h/otpusk"
)
QUESTION = "Когда первая пересдача?"
REFERENCE = "С 10 по 20 февраля."


@dataclass
class Reply:
    text: str
    finish_reason: str | None = "stop"
    latency_ms: float | None = 3.0


@dataclass
class Scripted:
    """Gives one reply, and keeps what it was asked."""

    reply: Any
    asked: list[tuple[list[dict[str, str]], dict[str, Any]]] = field(default_factory=list)

    async def chat(self, model_key, role, messages, **options):
        self.asked.append((messages, options))
        text = self.reply if isinstance(self.reply, str) else json.dumps(self.reply)
        return Reply(text)


def write(reply: Any, kind: QuestionType, **options: Any) -> tuple[tuple[str, str], Scripted]:
    chat = Scripted(reply)
    made = asyncio.run(
        write_question(chat, "p/m", FIRST, "https://h/p", question_type=kind, **options)
    )
    return made, chat


def test_each_type_has_its_prompt_and_tells_of_questions_asked_before():
    for kind in set(QuestionType) - {QuestionType.out_of_scope, QuestionType.two_chunk}:
        reply = {"question": "а пересдача первая када", "reference_answer": REFERENCE}
        if kind is QuestionType.misspelt:
            reply = {"clean_question": "А пересдача первая когда?", **reply}
        made, chat = write(reply, kind, known=["Кто выдаёт направление?"])
        assert made == ("а пересдача первая када", REFERENCE)
        [(messages, options)] = chat.asked
        assert "<question>\nКто выдаёт направление?\n</question>" in messages[1]["content"]
        assert kind.value in options["response_format"]["json_schema"]["name"] or kind == "simple"
    assert len({prompt_names(kind) for kind in QuestionType}) == len(QuestionType)


def test_an_out_of_scope_question_is_answered_by_the_agreed_refusal():
    reply = {"question": "Можно прийти на пересдачу с хомяком?", "reason": "о хомяках ничего"}
    made, _ = write(reply, QuestionType.out_of_scope)
    assert made == ("Можно прийти на пересдачу с хомяком?", NOT_FOUND)


def test_a_two_chunk_answer_takes_from_both_chunks():
    question = "Если ухожу в академ, что нести и до какого числа первая пересдача?"
    both = "Заявление с медицинским заключением; пересдача с 10 по 20 февраля."
    made, chat = write(
        {"question": question, "reference_answer": both}, QuestionType.two_chunk, second=SECOND
    )
    assert made == (question, both)
    user = chat.asked[0][0][1]["content"]
    assert f'<fragment id="1">\n{FIRST}\n</fragment>' in user
    assert f'<fragment id="2">\n{SECOND.text}\n</fragment>' in user
    for reference, number in ((REFERENCE, 2), ("Вместе с медицинским заключением.", 1)):
        with pytest.raises(CaseError, match=f"nothing from fragment {number} alone"):
            write(
                {"question": question, "reference_answer": reference},
                QuestionType.two_chunk,
                second=SECOND,
            )
    with pytest.raises(ValueError, match="do not go together"):
        write({}, QuestionType.two_chunk)
    with pytest.raises(ValueError, match="do not go together"):
        write({}, QuestionType.simple, second=SECOND)


@pytest.mark.parametrize(
    ("question", "clean", "why"),
    [
        ("Когда первая пересдача", "Когда первая пересдача?", "no word"),
        ("Где купить пирожки?", "Когда первая пересдача?", "like the clean one"),
        ("када перездача в 215", "Когда пересдача в 214?", "other numbers"),
    ],
)
def test_misspelt_means_spelt_worse_and_nothing_else(question, clean, why):
    with pytest.raises(CaseError, match=why):
        check_misspelt(question, clean)
    check_misspelt("када перва пересдача", "Когда первая пересдача?")


def test_a_paraphrase_has_words_of_its_own_and_every_question_the_chunks_language():
    copied = "А правда первая пересдача проходит с 10 по 20 февраля?"
    check_pair(copied, REFERENCE, FIRST)
    with pytest.raises(CaseError, match="copies 8 words"):
        check_pair(copied, REFERENCE, FIRST, question_type=QuestionType.paraphrased)
    with pytest.raises(CaseError, match="language"):
        check_pair("When is the first retake?", REFERENCE, FIRST)
    check_pair(
        "Как сбросить пароль LMS?",
        "Через reset в LMS Moodle.",
        "LMS Moodle: пароль — reset в LMS Moodle",
    )


# Critics


def ask(reply: Any, critic: Critic, kind: QuestionType, chunks: list[str]) -> Any:
    chat = Scripted(reply)
    opinion = asyncio.run(
        criticise(
            chat,
            "p/m",
            critic,
            kind,
            question=QUESTION,
            reference_answer=REFERENCE,
            chunks=chunks,
        )
    )
    return opinion, chat


@pytest.mark.parametrize(("score", "accepted"), [(1, False), (3, False), (4, True), (5, True)])
def test_a_score_of_four_is_enough(score, accepted):
    reply = {"reason": "сойдёт", "score": score}
    for critic in (Critic.groundedness, Critic.self_containedness):
        opinion, chat = ask(reply, critic, QuestionType.simple, [FIRST])
        assert (opinion.accepted, opinion.value, opinion.reason) == (accepted, score, "сойдёт")
        user = chat.asked[0][0][1]["content"]
        # To be understood alone, it must be read alone.
        assert (FIRST in user) == (REFERENCE in user) == (critic is Critic.groundedness)


@pytest.mark.parametrize(
    ("kind", "answered", "fragments", "accepted"),
    [
        (QuestionType.simple, True, [1], True),
        (QuestionType.simple, False, [], False),
        (QuestionType.two_chunk, True, [2, 1], True),
        (QuestionType.two_chunk, True, [1], False),
        (QuestionType.two_chunk, False, [], False),
        (QuestionType.out_of_scope, False, [], True),
        (QuestionType.out_of_scope, True, [2], False),
    ],
)
def test_answerability_is_turned_round_out_of_scope(kind, answered, fragments, accepted):
    reply = {"reason": "потому", "answered": answered, "fragments": fragments}
    opinion, chat = ask(reply, Critic.answerability, kind, [FIRST, SECOND.text])
    assert opinion.accepted is accepted
    assert opinion.value is answered
    if answered and not accepted:
        assert opinion.reason == f"answered by fragment {fragments[0]}: потому"
    assert REFERENCE not in chat.asked[0][0][1]["content"]


@pytest.mark.parametrize(
    ("critic", "reply"),
    [
        (Critic.groundedness, "Оценка по 5-балльной шкале: 2"),
        (Critic.groundedness, {"score": 5}),
        (Critic.groundedness, {"reason": "ок", "score": 4.5}),
        (Critic.groundedness, {"reason": "ок", "score": 6}),
        (Critic.groundedness, {"reason": " ", "score": 5}),
        (Critic.self_containedness, {"reason": "ок", "score": True}),
        (Critic.answerability, {"reason": "ок", "answered": "yes", "fragments": [1]}),
        (Critic.answerability, {"reason": "ок", "answered": True, "fragments": [3]}),
        (Critic.answerability, {"reason": "ок", "answered": True, "fragments": []}),
    ],
)
def test_a_reply_that_cannot_be_read_is_an_error_and_no_opinion(critic, reply):
    with pytest.raises(CaseError) as caught:
        ask(reply, critic, QuestionType.simple, [FIRST])
    assert caught.value.code is ErrorCode.METRIC_ERROR
    assert not caught.value.retryable


def test_a_refusal_has_no_ground_to_check():
    assert Critic.groundedness not in critics_for(QuestionType.out_of_scope)
    assert all(
        set(critics_for(kind)) == set(Critic)
        for kind in QuestionType
        if kind is not QuestionType.out_of_scope
    )
