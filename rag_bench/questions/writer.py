"""Synthetic questions of several types: a question and its reference answer, checked by rule.

What a model makes is taken only if it could be asked by a person who never saw the chunk and can
be answered from it; everything else is an error of the case, kept with its cause. What a rule
cannot see, the critics judge (`question_critics`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.text.text_folding import words
from rag_bench.llm.config.providers import Role
from rag_bench.llm.reading.structured import parse_structured, response_format_for
from rag_bench.llm.tasks import prompts
from rag_bench.llm.tasks.asking import ask_and_read
from rag_bench.llm.tasks.pipeline import NOT_FOUND, Chat, is_refusal


class QuestionType(StrEnum):
    """What a synthetic question tests.

    ``simple``: one fact, asked plainly. ``paraphrased``: informally, in other words than the
    chunk's. ``misspelt``: with typing errors. ``conditional``: the asker's circumstances decide.
    ``two_chunk``: the answer needs two chunks. ``out_of_scope``: no chunk answers it, and the
    right answer is a refusal.
    """

    simple = "simple"
    paraphrased = "paraphrased"
    misspelt = "misspelt"
    conditional = "conditional"
    two_chunk = "two_chunk"
    out_of_scope = "out_of_scope"


_BASE_PROMPTS = {
    QuestionType.two_chunk: "synthetic_question_two_chunks",
    QuestionType.out_of_scope: "synthetic_question_out_of_scope",
}
SCHEMA = "synthetic_question"
QUESTION_LENGTH = (8, 500)  # characters
#: A question may share this many words in a row with the chunk; more is copying, not asking.
LONGEST_COPY = 14
#: A paraphrase has words of its own.
LONGEST_COPY_PARAPHRASED = 7
#: How much of a misspelt question must be as in the clean one, letter by letter (0 to 1).
LEAST_LIKE_CLEAN = 0.7
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
_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)


class SyntheticQuestion(BaseModel):
    """The reply of the model that writes questions."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str
    reference_answer: str


class MisspeltQuestion(BaseModel):
    """The reply for ``misspelt``: the clean form shows that only the spelling was spoilt."""

    model_config = ConfigDict(extra="forbid", strict=True)

    clean_question: str
    question: str
    reference_answer: str


class OutOfScopeQuestion(BaseModel):
    """The reply for ``out_of_scope``; the reference answer is the agreed refusal."""

    model_config = ConfigDict(extra="forbid", strict=True)

    question: str
    reason: str


_SHAPES: dict[QuestionType, type[BaseModel]] = {
    QuestionType.misspelt: MisspeltQuestion,
    QuestionType.out_of_scope: OutOfScopeQuestion,
}


class Written(NamedTuple):
    """A question that the rules took, and its reference answer."""

    question: str
    reference_answer: str


class Source(NamedTuple):
    """A chunk that a question is made from; ``page`` is its title or URL."""

    text: str
    page: str


async def write_question(
    chat: Chat,
    model: str,
    chunk_text: str,
    page: str,
    *,
    question_type: QuestionType = QuestionType.simple,
    second: Source | None = None,
    known: Sequence[str] = (),
    temperature: float = 0.0,
    max_tokens: int = 768,
) -> Written:
    """Return a question and its reference answer for one chunk; ``page`` is its title or URL.

    ``second``: the other chunk of a ``two_chunk`` question. ``known``: questions that were asked
    about this chunk already.

    Raises:
        CaseError: METRIC_ERROR when the reply is not the JSON asked for or fails the rules;
            INVALID_INPUT when a chunk is blank; whatever the call itself failed with.
        ValueError: a second chunk where the type takes none, or none where it takes one.
    """
    if (second is not None) != (question_type is QuestionType.two_chunk):
        raise ValueError(f"{question_type} and a second chunk do not go together")
    base, part = prompt_names(question_type)
    values: dict[str, Any] = {"page": page, "question": "\n".join(known)}
    if second is not None:
        for text in (chunk_text, second.text):
            if not text.strip():
                raise CaseError(ErrorCode.INVALID_INPUT, "a chunk is empty")
        values |= {"page": f"{page}\n{second.page}", "context": [chunk_text, second.text]}
    else:
        values["chunk"] = chunk_text
    shape = _SHAPES.get(question_type, SyntheticQuestion)
    made, _ = await ask_and_read(
        chat,
        model,
        Role.dataset,
        prompts.render(base, parts=(part,), **values),
        lambda text: parse_structured(text, shape),
        response_format=response_format_for(schema_name(question_type), shape),
        temperature=temperature,
        max_tokens=max_tokens,
    )
    question = " ".join(made.question.split())  # type: ignore[attr-defined]
    if isinstance(made, OutOfScopeQuestion):
        check_question(question, chunk_text)
        return Written(question, NOT_FOUND)
    reference = made.reference_answer.strip()  # type: ignore[attr-defined]
    if isinstance(made, MisspeltQuestion):
        check_misspelt(question, " ".join(made.clean_question.split()))
    check_pair(question, reference, chunk_text, question_type=question_type, second=second)
    return Written(question, reference)


def prompt_names(question_type: QuestionType) -> tuple[str, str]:
    """Return the prompt files that questions of a type are written by: the task, and its type."""
    return _BASE_PROMPTS.get(question_type, SCHEMA), f"question_{question_type.value}"


def schema_name(question_type: QuestionType) -> str:
    """Return the name of the JSON schema that a reply of a type must follow."""
    return SCHEMA if question_type is QuestionType.simple else f"{SCHEMA}_{question_type.value}"


def check_pair(
    question: str,
    reference_answer: str,
    chunk_text: str,
    *,
    question_type: QuestionType = QuestionType.simple,
    second: Source | None = None,
) -> None:
    """Check that a question and its reference answer are usable for this chunk, or these two.

    Raises:
        CaseError: METRIC_ERROR with what is wrong.
    """
    paraphrased = question_type is QuestionType.paraphrased
    longest = LONGEST_COPY_PARAPHRASED if paraphrased else LONGEST_COPY
    check_question(question, chunk_text, longest)
    if second is not None:  # its language may be another one
        _check_copy(question, second.text, longest)
    if not reference_answer or is_refusal(reference_answer):
        raise _unusable("the reference answer is empty")
    whole = chunk_text if second is None else f"{chunk_text}\n{second.text}"
    support = _support(reference_answer, whole)
    if support < LEAST_SUPPORT:
        raise _unusable(f"only {support:.0%} of the reference answer's words are in the chunk")
    if second is not None:
        _check_both_used(reference_answer, chunk_text, second.text)


def check_question(question: str, chunk_text: str, longest_copy: int = LONGEST_COPY) -> None:
    """Check that a question can be asked by somebody who does not see the chunk.

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
    if len(words(question)) < 2:
        raise _unusable(f"the question is one word: {question!r}")
    _check_copy(question, chunk_text, longest_copy)
    if _language(chunk_text) and _language(question) not in (_language(chunk_text), None):
        raise _unusable(f"the question is not in the chunk's language: {question!r}")


def _check_copy(question: str, chunk_text: str, longest_copy: int) -> None:
    asked, chunk = words(question), words(chunk_text)
    run = SequenceMatcher(None, asked, chunk, autojunk=False).find_longest_match().size
    if run > longest_copy or run == len(chunk):
        raise _unusable(f"the question copies {run} words in a row from the chunk")


def check_misspelt(question: str, clean: str) -> None:
    """Check that a misspelt question is the clean one, only spelt worse.

    Raises:
        CaseError: METRIC_ERROR with what is wrong.
    """
    spoilt, right = " ".join(words(question)), " ".join(words(clean))
    if spoilt == right:
        raise _unusable("no word of the misspelt question is misspelt")
    like = SequenceMatcher(None, spoilt, right, autojunk=False).ratio()
    if like < LEAST_LIKE_CLEAN:
        raise _unusable(f"the misspelt question is {like:.0%} like the clean one")
    if sorted(re.findall(r"\d+", question)) != sorted(re.findall(r"\d+", clean)):
        raise _unusable("the misspelt question has other numbers than the clean one")


def _check_both_used(reference_answer: str, first: str, second: str) -> None:
    """Check that the reference takes something from each chunk that the other does not have."""
    used = {_beginning(word) for word in _content(reference_answer)}
    known = [{_beginning(word) for word in words(text)} for text in (first, second)]
    for number, (own, other) in enumerate((known, known[::-1]), start=1):
        if not used & (own - other):
            raise _unusable(f"the reference answer takes nothing from fragment {number} alone")


def _language(text: str) -> str | None:
    """Return the script that most letters of a text are of; None where they are mixed."""
    russian, english = len(_CYRILLIC.findall(text)), len(_LATIN.findall(text))
    if max(russian, english) < 4 * min(russian, english) or not russian + english:
        return None
    return "ru" if russian > english else "en"


def _support(answer: str, chunk_text: str) -> float:
    """Return the share of the answer's content words whose beginning stands in the chunk.

    Words are compared by their first letters, as Russian inflects their ends; numbers exactly.
    An answer of only short words counts all its words.
    """
    said = _content(answer) or words(answer)
    known = {_beginning(word) for word in words(chunk_text)}
    return sum(_beginning(word) in known for word in said) / len(said) if said else 0.0


def _content(text: str) -> list[str]:
    return [word for word in words(text) if len(word) > 3 or word.isdigit()]


def _beginning(word: str) -> str:
    return word if word.isdigit() else word[: max(4, len(word) - 3)]


def _unusable(reason: str) -> CaseError:
    return CaseError(ErrorCode.METRIC_ERROR, f"synthetic question not usable: {reason}")
