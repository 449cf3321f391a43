"""Synthetic questions: one question and its reference answer from one chunk, checked.

What a model makes is taken only if it could be asked by a person who never saw the chunk and can
be answered from it; everything else is an error of the case, kept with its cause.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from pydantic import BaseModel, ConfigDict

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm import prompts
from rag_bench.llm.pipeline import Chat, complete_text, is_refusal
from rag_bench.llm.providers import Role
from rag_bench.llm.structured import parse_structured, response_format_for

PROMPT = "synthetic_question"
SCHEMA = "synthetic_question"
QUESTION_LENGTH = (8, 500)  # characters
#: A question may share this many words in a row with the chunk; more is copying, not asking.
LONGEST_COPY = 14
#: Least share of the reference answer's content words that must stand in the chunk.
LEAST_SUPPORT = 0.6

_POINTS_AT_TEXT = re.compile(
    r"\b(?:в|из|по|согласно|судя по|о чём|о чем)\s+"
    r"(?:(?:этом|этого|этому|данном|данного|данному|приведённом|приведенном|приведённого|"
    r"представленном|указанном|вышеуказанном|тексту|текста)\s+)?"
    r"(?:тексте|тексту|текста|фрагменте|фрагменту|фрагмента|отрывке|отрывку|отрывка|"
    r"абзаце|абзацу|абзаца)\b"
    r"|\bэтот\s+(?:текст|фрагмент|отрывок|абзац|материал)\b"
    r"|\b(?:the|this|given|provided)\s+(?:(?:above|given|provided)\s+)?"
    r"(?:text|passage|fragment|excerpt|paragraph|chunk)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")


class SyntheticQuestion(BaseModel):
    """The reply of the model that writes questions."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str
    reference_answer: str


async def write_question(
    chat: Chat,
    model: str,
    chunk_text: str,
    page: str,
    *,
    temperature: float = 0.0,
    max_tokens: int = 768,
) -> tuple[str, str]:
    """Return (question, reference answer) for one chunk; ``page`` is its title or URL.

    Raises:
        CaseError: METRIC_ERROR when the reply is not the JSON asked for or fails `check_pair`;
            INVALID_INPUT when the chunk is blank; whatever the call itself failed with.
    """
    reply = await chat.chat(
        model,
        Role.dataset,
        prompts.render(PROMPT, page=page, chunk=chunk_text),
        response_format=response_format_for(SCHEMA, SyntheticQuestion.model_json_schema()),
        temperature=temperature,
        max_tokens=max_tokens,
    )
    made = parse_structured(complete_text(reply), SyntheticQuestion)
    question, reference = " ".join(made.question.split()), made.reference_answer.strip()
    check_pair(question, reference, chunk_text)
    return question, reference


def check_pair(question: str, reference_answer: str, chunk_text: str) -> None:
    """Check that a question and its reference answer are usable for this chunk.

    Raises:
        CaseError: METRIC_ERROR with what is wrong.
    """
    shortest, longest = QUESTION_LENGTH
    if not shortest <= len(question) <= longest:
        raise _unusable(f"the question has {len(question)} characters, not {shortest} to {longest}")
    # People in messengers often omit the question mark, so its absence is no fault; a question
    # that stops at a comma, a bracket or an ellipsis was cut off.
    if not re.search(r"[\w?!.)»\"”%]$", question) or question.endswith(".."):
        raise _unusable(f"the question breaks off: {question[-40:]!r}")
    if _POINTS_AT_TEXT.search(question):
        raise _unusable(f"the question points at a text that its reader cannot see: {question!r}")
    asked, chunk = _words(question), _words(chunk_text)
    if len(asked) < 2:
        raise _unusable(f"the question is one word: {question!r}")
    run = SequenceMatcher(None, asked, chunk, autojunk=False).find_longest_match().size
    if run > LONGEST_COPY or run == len(chunk):
        raise _unusable(f"the question copies {run} words in a row from the chunk")
    if not reference_answer or is_refusal(reference_answer):
        raise _unusable("the reference answer is empty")
    support = _support(reference_answer, chunk_text)
    if support < LEAST_SUPPORT:
        raise _unusable(f"only {support:.0%} of the reference answer's words are in the chunk")


def _support(answer: str, chunk_text: str) -> float:
    """Return the share of the answer's content words whose beginning stands in the chunk.

    Words are compared by their first letters, as Russian inflects their ends; numbers exactly.
    An answer of only short words counts all its words.
    """
    words = _words(answer)
    words = [word for word in words if len(word) > 3 or word.isdigit()] or words
    known = {_beginning(word) for word in _words(chunk_text)}
    return sum(_beginning(word) in known for word in words) / len(words) if words else 0.0


def _beginning(word: str) -> str:
    return word if word.isdigit() else word[: max(4, len(word) - 3)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold().replace("ё", "е"))


def _unusable(reason: str) -> CaseError:
    return CaseError(ErrorCode.METRIC_ERROR, f"synthetic question not usable: {reason}")
