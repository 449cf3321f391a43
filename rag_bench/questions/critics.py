"""Critics of synthetic questions: each one strict structured reply, a score or yes and no.

A reply that cannot be read is an error of the question, which then is "not criticised": it is
neither taken nor rejected, and can be asked about again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.config.providers import Role
from rag_bench.llm.reading.structured import parse_structured, response_format_for
from rag_bench.llm.tasks import prompts
from rag_bench.llm.tasks.asking import ask_and_read
from rag_bench.llm.tasks.judging import Score
from rag_bench.llm.tasks.pipeline import Chat
from rag_bench.questions.writer import QuestionType

#: The least score, of 1 to 5, at which a critic takes a question.
LEAST_SCORE = 4

Reason = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Shape = TypeVar("Shape", bound=BaseModel)


class Critic(StrEnum):
    """What is asked about a question.

    ``groundedness``: does the reference answer follow from the question's own chunks?
    ``self_containedness``: can the question be understood without them?
    ``answerability``: do the chunks answer it; for two chunks, are both needed? For a question
    out of scope it is turned round: no chunk that retrieval finds may answer it.
    """

    groundedness = "groundedness"
    self_containedness = "self_containedness"
    answerability = "answerability"


class CriticScore(BaseModel):
    """The reply of a critic that scores; the reason first, as it is asked for first."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason
    score: Score


class CriticAnswer(BaseModel):
    """The reply of the critic that says yes or no, and which fragments are needed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Reason
    answered: bool
    fragments: list[int]


@dataclass(frozen=True)
class Opinion:
    """What a critic said: ``value`` is a score from 1 to 5, or whether the chunks answer it."""

    critic: Critic
    accepted: bool
    value: int | bool
    reason: str


def critics_for(question_type: QuestionType) -> tuple[Critic, ...]:
    """Return the critics of a type: a refusal as the reference answer has no ground to check."""
    if question_type is QuestionType.out_of_scope:
        return (Critic.self_containedness, Critic.answerability)
    return (Critic.groundedness, Critic.self_containedness, Critic.answerability)


def prompt_name(critic: Critic) -> str:
    """Return the prompt file of a critic, which is also its schema's name."""
    return f"critic_{critic.value}"


async def criticise(
    chat: Chat,
    model: str,
    critic: Critic,
    question_type: QuestionType,
    *,
    question: str,
    reference_answer: str,
    chunks: Sequence[str],
    max_tokens: int = 512,
) -> Opinion:
    """Ask one critic about one question.

    ``chunks``: the question's own ones; for a question out of scope those that retrieval finds.

    Raises:
        CaseError: METRIC_ERROR when the reply is not the JSON asked for or contradicts itself;
            INVALID_INPUT without question or chunks; whatever the call itself failed with.
    """
    if critic is Critic.answerability:
        values: dict[str, Any] = {"question": question, "context": list(chunks)}
        answer = await _ask(chat, model, critic, CriticAnswer, values, max_tokens)
        return _read_answer(answer, question_type, len(chunks))
    values = {"question": question}
    if critic is Critic.groundedness:
        values |= {"context": list(chunks), "reference_answer": reference_answer}
    found = await _ask(chat, model, critic, CriticScore, values, max_tokens)
    return Opinion(critic, found.score >= LEAST_SCORE, found.score, found.reason)


async def _ask(
    chat: Chat,
    model: str,
    critic: Critic,
    shape: type[Shape],
    values: dict[str, Any],
    max_tokens: int,
) -> Shape:
    name = prompt_name(critic)
    found, _ = await ask_and_read(
        chat,
        model,
        Role.dataset,
        prompts.render(name, **values),
        lambda text: parse_structured(text, shape),
        response_format=response_format_for(name, shape),
        temperature=0.0,
        max_tokens=max_tokens,
    )
    return found


def _read_answer(answer: CriticAnswer, question_type: QuestionType, n_chunks: int) -> Opinion:
    critic, needed = Critic.answerability, set(answer.fragments)
    if not needed <= set(range(1, n_chunks + 1)):
        raise _contradiction(f"fragments {sorted(needed)} of {n_chunks}")
    if answer.answered and not needed:
        raise _contradiction("an answer that needs no fragment")
    if question_type is QuestionType.out_of_scope:
        accepted = not answer.answered
    elif question_type is QuestionType.two_chunk:
        accepted = answer.answered and needed == {1, 2}
    else:
        accepted = answer.answered
    reason = answer.reason
    if answer.answered and not accepted:
        found = ", ".join(map(str, sorted(needed)))
        reason = f"answered by fragment {found}: {reason}"
    return Opinion(critic, accepted, answer.answered, reason)


def _contradiction(what: str) -> CaseError:
    return CaseError(ErrorCode.METRIC_ERROR, f"the critic's reply contradicts itself: {what}")
