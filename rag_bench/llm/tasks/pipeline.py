"""The pipeline under test: retrieved fragments -> answer with citations -> show it or hide it.

Retrieval itself is elsewhere; its top results arrive here as ``fragments``. This is the behaviour
of the production assistant in one place, so that what is benchmarked can be read in one sitting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import regex

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.text.text_folding import INVISIBLE, has_words_in_a_row, words
from rag_bench.llm.config.providers import Role
from rag_bench.llm.reading.finish import finish_problem
from rag_bench.llm.reading.structured import UnreadableReplyError
from rag_bench.llm.tasks import prompts

ANSWER_PROMPT = "generation_answer"
GATE_PROMPT = "production_judge"
#: The exact words of a refusal; `is_refusal` compares with them.
NOT_FOUND = "Ответ не найден"

NO_CITATIONS = "NO_CITATIONS"
INVALID_CITATION = "invalid_citation"
MENTIONS_NOT_FOUND = "mentions_not_found"
#: Of a case: it says that there is no answer, in an assistant's own words.
REFUSED = "refused"

# [1], [1, 2], [1-3], [фрагмент 2]; a year in brackets is text of the answer, not a citation.
# Brackets of any width, any dash, and what is invisible between: a reader sees one marker.
_GAP = rf"[\s{INVISIBLE}]*"
_MARKER = regex.compile(
    rf"[ \t\u00a0\u202f\u200b\u2060\ufeff]*[\[［【]{_GAP}(?:фрагменты?|fragments?|№|#)?{_GAP}"
    rf"(\p{{Nd}}{{1,2}}(?:{_GAP}[,;，、；\p{{Pd}}\u2212]{_GAP}\p{{Nd}}{{1,2}})*){_GAP}[\]］】]",
    regex.IGNORECASE,
)
_SEPARATOR = regex.compile(rf"{_GAP}[,;，、；]{_GAP}")
_DASH = regex.compile(rf"{_GAP}[\p{{Pd}}\u2212]{_GAP}")
# What may stand around the word: Markdown and quotation marks, which change nothing of it.
_DRESS = r"[\s*_`\"'«»“”„]*"
_VERDICT = re.compile(
    rf"{_DRESS}(?:(yes){_DRESS}[.!]?|no{_DRESS}(?:[.!]|:(.*))?){_DRESS}", re.IGNORECASE | re.DOTALL
)


class Reply(Protocol):
    """What the pipeline reads of a chat reply; latency is that of the provider's own call."""

    @property
    def text(self) -> str: ...
    @property
    def finish_reason(self) -> str | None: ...
    @property
    def latency_ms(self) -> float | None: ...


class Chat(Protocol):
    """Whatever can send chat messages to a model by its key: in the program, `ChatModels`."""

    async def chat(
        self,
        model_key: str,
        role: Role,
        messages: list[dict[str, str]],
        *,
        response_format: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        max_tokens: int | None = None,
    ) -> Reply: ...


@dataclass(frozen=True)
class Fragment:
    """A retrieved chunk as the generator gets it; its number is its place in the list, from 1."""

    chunk_hash: str
    page_url: str
    text: str


@dataclass(frozen=True)
class Answer:
    """An answer of the pipeline.

    Attributes:
        text: the answer without citation markers; what is compared with references and judged.
        reply: the model's text as it came.
        citations: chunk hashes cited, in order of first mention, without repeats.
        refused: the model said that there is no answer, in the agreed words and nothing else.
        flags: ``NO_CITATIONS``, ``invalid_citation`` (a number that no fragment has),
            ``mentions_not_found`` (the words of a refusal inside a longer answer); after them
            those of the call's reply (thinking cut off, an unknown reason to end).
    """

    text: str
    reply: str
    citations: tuple[str, ...]
    refused: bool
    latency_ms: float | None
    flags: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Verdict:
    """The production judge's decision, and its reason when it hides; ``flags`` are remarks on the
    replies that it was read from.
    """

    show: bool
    reason: str | None
    latency_ms: float | None
    flags: tuple[str, ...] = ()


async def answer_question(
    chat: Chat,
    model: str,
    question: str,
    fragments: Sequence[Fragment],
    *,
    temperature: float = 0.0,
    max_tokens: int | None = None,
) -> Answer:
    """Ask the generation model ``model`` to answer from ``fragments``, best first.

    Raises:
        CaseError: INVALID_INPUT without question or fragments; LLM_FAILED when the reply is empty
            or cut off; whatever the call itself failed with.
    """
    messages = prompts.render(
        ANSWER_PROMPT, question=question, context=[fragment.text for fragment in fragments]
    )
    reply = await chat.chat(
        model, Role.generation, messages, temperature=temperature, max_tokens=max_tokens
    )
    return read_answer(complete_text(reply), fragments, reply.latency_ms)


async def show_or_hide(
    chat: Chat,
    model: str,
    question: str,
    answer: str,
    context: str | Sequence[str],
    *,
    temperature: float = 0.0,
    max_tokens: int | None = None,
) -> Verdict:
    """Ask the production judge ``model`` whether to show ``answer``; ``context`` may be empty.

    Raises:
        CaseError: METRIC_ERROR when the reply is neither ``Yes`` nor ``No`` with a reason.
    """
    messages = prompts.render(
        GATE_PROMPT, question=question, answer=answer, context=as_texts(context)
    )
    reply = await chat.chat(
        model, Role.production_judge, messages, temperature=temperature, max_tokens=max_tokens
    )
    show, reason = parse_verdict(complete_text(reply))
    return Verdict(show=show, reason=reason, latency_ms=reply.latency_ms)


def read_answer(reply: str, fragments: Sequence[Fragment], latency_ms: float | None) -> Answer:
    """Read citations, refusal and flags out of a generation model's reply."""
    numbers, text = split_citations(reply)
    cited = [fragments[n - 1].chunk_hash for n in numbers if 1 <= n <= len(fragments)]
    refused = is_refusal(text)
    flags = []
    if not cited and not refused:
        flags.append(NO_CITATIONS)
    if any(not 1 <= n <= len(fragments) for n in numbers):
        flags.append(INVALID_CITATION)
    if not refused and has_words_in_a_row(text, NOT_FOUND):
        flags.append(MENTIONS_NOT_FOUND)
    return Answer(
        text=text,
        reply=reply,
        citations=() if refused else tuple(dict.fromkeys(cited)),
        refused=refused,
        latency_ms=latency_ms,
        flags=tuple(flags),
    )


def split_citations(text: str) -> tuple[list[int], str]:
    """Return the fragment numbers cited, in order, and the text without the markers."""
    numbers: list[int] = []
    for match in _MARKER.finditer(text):
        for item in _SEPARATOR.split(match.group(1)):
            first, *last = (int(number) for number in _DASH.split(item))
            # A backward range ("3-1") names its ends; a forward one all between.
            numbers += range(first, last[-1] + 1) if last and last[-1] > first else [first, *last]
    return numbers, _MARKER.sub("", text).strip()


@lru_cache(maxsize=4096)  # every rubric of every judge asks it of the same answers
def is_refusal(text: str) -> bool:
    """Tell whether ``text`` is «Ответ не найден» and nothing else, case and punctuation aside."""
    return words(text) == words(NOT_FOUND)


def parse_verdict(text: str) -> tuple[bool, str | None]:
    """Read ``Yes``, ``No`` or ``No: reason``, also in Markdown or quotation marks and with a full
    stop; nothing else is guessed at.

    Raises:
        UnreadableReplyError: METRIC_ERROR for any other text ("Yes, but …", "Да", an empty reply).
    """
    match = _VERDICT.fullmatch(text)
    if match is None:
        raise UnreadableReplyError("the reply is neither Yes nor No: reason", text.strip())
    reason = (match.group(2) or "").strip(" \t\r\n*_`")
    return match.group(1) is not None, reason or None


def complete_text(reply: Reply) -> str:
    """Return the text of a reply that is whole.

    Raises:
        CaseError: LLM_FAILED when it is empty, was cut at the token limit, or was filtered.
    """
    problem = finish_problem(reply.finish_reason)
    if problem:
        raise CaseError(ErrorCode.LLM_FAILED, f"the reply is incomplete: {problem}")
    text = reply.text.strip()
    if not text:
        raise CaseError(ErrorCode.LLM_FAILED, "the reply is empty")
    return text


def as_texts(context: str | Sequence[str]) -> list[str]:
    """Return a context as a list of fragment texts; a blank one as no fragment."""
    texts = [context] if isinstance(context, str) else list(context)
    return [text for text in texts if text.strip()]
