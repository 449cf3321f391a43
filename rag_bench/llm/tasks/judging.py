"""Benchmark judges: one rubric, one strict structured reply, one whole score from 1 to 5.

A reply that is not exactly the asked JSON is an error of the case. There is no fallback: the
forerunner took the first digit of any text, and 3 of none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation import rubrics
from rag_bench.evaluation.rubrics import rubric_named
from rag_bench.llm.config.providers import Role
from rag_bench.llm.reading.structured import parse_structured, response_format_for
from rag_bench.llm.tasks import prompts
from rag_bench.llm.tasks.asking import ask_and_read
from rag_bench.llm.tasks.pipeline import Chat, as_texts

R = TypeVar("R", bound=BaseModel)

#: The scores that a judge may give.
SCALE = (int(rubrics.SCALE[0]), int(rubrics.SCALE[1]))


class JudgeMode(StrEnum):
    """``direct``: the score alone. ``reasoned``: the reasoning first, and it is kept."""

    direct = "direct"
    reasoned = "reasoned"


#: Not a `Literal`: pydantic's takes ``true`` for 1 and 4.0 for 4, even when strict. The schema sent
#: lists the values, as not every provider's strict mode knows minimum and maximum.
Score = Annotated[
    int,
    Field(strict=True, ge=SCALE[0], le=SCALE[1]),
    WithJsonSchema({"type": "integer", "enum": list(range(SCALE[0], SCALE[1] + 1))}),
]


class DirectScore(BaseModel):
    """The reply in mode ``direct``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    score: Score


class ReasonedScore(BaseModel):
    """The reply in mode ``reasoned``; the order of fields makes the model reason first."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reasoning: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
    score: Score


@dataclass(frozen=True)
class JudgeScore:
    """A score on the rubric's own scale (whole, 1 to 5) and the reasoning, if it was asked for;
    ``flags`` are remarks on the replies that it was read from.
    """

    score: int
    reasoning: str | None
    latency_ms: float | None = None
    flags: tuple[str, ...] = ()


async def score(
    chat: Chat,
    judge_model: str,
    rubric: str,
    *,
    question: str,
    answer: str,
    context: str | Sequence[str] | None = None,
    reference_answer: str | None = None,
    mode: JudgeMode | str = JudgeMode.direct,
    temperature: float = 0.0,
    max_tokens: int | None = None,
) -> JudgeScore:
    """Score one answer with one rubric.

    Values that the rubric does not read are not sent, so that they cannot change its score.

    Raises:
        CaseError: INVALID_INPUT when a value that the rubric reads is missing or blank;
            LLM_FAILED when the reply is empty or cut off; METRIC_ERROR when it is not the JSON
            that was asked for. Never a number in place of an error.
    """
    asked = rubric_named(rubric)
    mode = JudgeMode(mode)
    given = {
        "question": question,
        "answer": answer,
        "context": None if context is None else as_texts(context),
        "reference_answer": reference_answer,
    }
    values: dict[str, Any] = {name: given[name] for name in asked.inputs}
    for name, value in values.items():
        if not value:
            raise CaseError(ErrorCode.INVALID_INPUT, f"{rubric} needs {name}, which is empty")
    shape: type[ReasonedScore] | type[DirectScore]
    shape = ReasonedScore if mode is JudgeMode.reasoned else DirectScore
    reply, latency_ms = await ask_in_mode(
        chat,
        judge_model,
        asked.name,
        prompts.render(asked.prompt, parts=(_reply_prompt(mode),), **values),
        shape,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    return JudgeScore(reply.score, getattr(reply, "reasoning", None), latency_ms)


async def ask_in_mode(
    chat: Chat,
    judge_model: str,
    name: str,
    messages: list[dict[str, str]],
    shape: type[R],
    *,
    temperature: float,
    max_tokens: int | None,
) -> tuple[R, float | None]:
    """Ask a judge for JSON of a mode's shape; return it read strictly, with the call's latency.

    ``name`` is the schema's. A shape with a ``reasoning`` gets room for one by default.

    Raises:
        CaseError: LLM_FAILED when the reply is empty or cut off; METRIC_ERROR when it is not the
            JSON that was asked for.
    """
    return await ask_and_read(
        chat,
        judge_model,
        Role.benchmark_judge,
        messages,
        lambda text: parse_structured(text, shape),
        response_format=response_format_for(name, shape),
        temperature=temperature,
        max_tokens=max_tokens or (1024 if "reasoning" in shape.model_fields else None),
    )


def prompt_names(rubric: str, mode: JudgeMode | str) -> list[str]:
    """Return the prompt files that a score depends on, for `prompts.prompt_hash`."""
    return [rubric_named(rubric).prompt, _reply_prompt(JudgeMode(mode))]


def _reply_prompt(mode: JudgeMode) -> str:
    return f"reply_{mode.value}"
