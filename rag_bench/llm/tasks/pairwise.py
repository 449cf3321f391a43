"""Two answers to one question, side by side: which is better, says a benchmark judge, or neither.

The reply is read as strictly as a score. Asked in both orders, the same pair shows whether the
judge prefers a place instead of an answer (Zheng et al. 2023, arXiv 2306.05685).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from rag_bench.llm.tasks import prompts
from rag_bench.llm.tasks.judging import JudgeMode, ask_in_mode
from rag_bench.llm.tasks.pipeline import Chat, as_texts

#: The prompt's name and that of the reply's schema.
PAIRWISE = "pairwise_preference"

Winner = Literal["A", "B", "tie"]


class DirectPreference(BaseModel):
    """The reply in mode ``direct``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    winner: Winner


class ReasonedPreference(BaseModel):
    """The reply in mode ``reasoned``; the order of fields makes the model reason first."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reasoning: Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
    winner: Winner


@dataclass(frozen=True)
class Preference:
    """The better answer by its place ("A" was shown first), and the reasoning, if asked for;
    ``flags`` are remarks on the replies that it was read from.
    """

    winner: Winner
    reasoning: str | None
    latency_ms: float | None = None
    flags: tuple[str, ...] = ()


async def prefer(
    chat: Chat,
    judge_model: str,
    *,
    question: str,
    context: str | Sequence[str],
    answer_a: str,
    answer_b: str,
    mode: JudgeMode | str = JudgeMode.direct,
    temperature: float = 0.0,
    max_tokens: int | None = None,
) -> Preference:
    """Ask which answer is better; ``answer_a`` is shown first. The context may be blank.

    Raises:
        CaseError: INVALID_INPUT when question or an answer is blank; LLM_FAILED when the reply is
            empty or cut off; METRIC_ERROR when it is not the JSON that was asked for.
    """
    mode = JudgeMode(mode)
    shape: type[ReasonedPreference] | type[DirectPreference]
    shape = ReasonedPreference if mode is JudgeMode.reasoned else DirectPreference
    reply, latency_ms = await ask_in_mode(
        chat,
        judge_model,
        PAIRWISE,
        prompts.render(
            PAIRWISE,
            parts=(_reply_prompt(mode),),
            question=question,
            context=as_texts(context),
            answer_a=answer_a,
            answer_b=answer_b,
        ),
        shape,
        temperature=temperature,
        max_tokens=max_tokens,
    )
    return Preference(reply.winner, getattr(reply, "reasoning", None), latency_ms)


def prompt_names(mode: JudgeMode | str) -> list[str]:
    """Return the prompt files that a comparison depends on, for `prompts.prompt_hash`."""
    return [PAIRWISE, _reply_prompt(JudgeMode(mode))]


def _reply_prompt(mode: JudgeMode) -> str:
    return f"pairwise_reply_{mode.value}"
