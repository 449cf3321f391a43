"""The names that files of questions have for the same things, in one table.

RAGAS of both generations, Hugging Face's question answering sets, DeepEval, hand-made tables. What
stands in one field can depend on what stands beside it: see `Layout`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.question_files.json_rows import Row

#: What a thing is called; the first name that a row has something under is taken.
ID = ("id", "question_id", "qid", "_id")
QUESTION = ("question", "user_input", "query", "input", "prompt", "messages", "вопрос")
REFERENCE = (
    *("reference_answer", "ground_truth_answer", "ground_truth", "ground_truths", "reference"),
    *("expected_answer", "expected_output", "gold_answer", "correct_answer", "ideal"),
    *("answers", "answers.text", "эталонный_ответ", "эталон"),
)
#: Texts that a question is about.
CONTEXT = (
    *("reference_contexts", "reference_context", "gold_contexts", "gold_context"),
    *("ground_truth_contexts", "ground_truth_context", "context", "контекст"),
)
#: What the measured system itself said and found; never a reference, never relevant.
SYSTEM = ("response", "actual_output", "retrieved_contexts", "retrieval_context")
#: What a model said of an item of OpenAI's hosted Evals; beside it an ``answer`` is a reference.
SAMPLE = "sample"
#: A reference and texts that the question is about, unless what a system said stands beside.
DEPENDS = ("answer", "contexts")
ANSWER = ("answer", "response", "actual_output", "ответ")  # of a show/hide pair

#: An annotator's: 0 leaves the item out.
FLAGS = ("is_question_ok", "is_answer_ok", "is_chunk_ok", "is_pair_ok")
# Our own fields and the forerunner's, and what tables bring along that says nothing about quality.
_OWN = (
    *("relevant", "relevant_urls", "ground_truth_chunks", "chunk_text", "confluence_url"),
    *("chunk_id", "relevant_chunk_ids", "notes", "rationale", "ground_truth_show"),
    *("page", "chunk", "text_contains", *FLAGS),
    *("lang", "language", "type", "quality_category", "source", "question_source"),
    *("question_answer_id", "user_score", "is_relevant_chunk_matched"),
    *("written_by", "criticised_by"),
)
_CHUNKS = (
    *("relevant", "relevant_urls", "ground_truth_chunks", "chunk_text", "confluence_url"),
    *("page", "chunk", "text_contains"),
)
_PASSED_OVER = (
    *("title", "is_impossible", "plausible_answers", "answers.answer_start", "answer_start"),
    *("unnamed:_0", "index", ""),
    *("persona_name", "query_style", "query_length"),  # of RAGAS' generator
    "synthesizer_name",
)
KNOWN = frozenset(
    [*ID, *QUESTION, *REFERENCE, *CONTEXT, *SYSTEM, *DEPENDS, *ANSWER, *_OWN, *_PASSED_OVER, SAMPLE]
)


@dataclass(frozen=True)
class Layout:
    """What the fields of one file mean.

    ``answer`` is the reference unless another field is one, and ``contexts`` are what the question
    is about; but beside ``contexts`` an ``answer`` is what a system said and found (so in RAGAS'
    rows), and neither is read. One rule for the whole file, as single rows may leave fields empty.
    """

    names: frozenset[str]
    reference: tuple[str, ...]
    context: tuple[str, ...]
    left_out: tuple[str, ...]
    has_answers: bool = True

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Layout:
        """Return the layout of a file with these rows."""
        names = frozenset(name for row in rows for name in row.fields)
        answered = bool(names & {"answer", *SYSTEM})
        left_out = [name for name in SYSTEM if name in names]
        reference: tuple[str, ...] = REFERENCE
        context: tuple[str, ...] = CONTEXT
        if "contexts" in names and answered:
            left_out.append("contexts")
        else:
            context = (*CONTEXT, "contexts")
        if "answer" in names and (names & set(REFERENCE) or len(left_out)):
            left_out.append("answer")
        else:
            reference = (*REFERENCE, "answer")
        layout = cls(names, reference, context, tuple(sorted(left_out)))
        return replace(layout, has_answers=any(layout.references(row) for row in rows))

    def question(self, row: Row) -> str:
        """Return the question; RagBenchError if there is none."""
        name = next((name for name in QUESTION if not _blank(row.fields.get(name))), "question")
        said = last_said(row.fields.get(name))
        return row.text(name) if said is None else Row(row.where, {name: said}).text(name)

    def references(self, row: Row) -> tuple[str, ...]:
        """Return the accepted answers, the reference first; none if there is none."""
        for name in self.reference:
            found = _texts(row, name, "text")
            if found:
                return tuple(dict.fromkeys(found))
        return ()

    def contexts(self, row: Row) -> tuple[str, ...]:
        """Return the texts that the question is about."""
        for name in self.context:
            found = _texts(row, name, None)
            if found:
                return tuple(dict.fromkeys(found))
        return ()

    def says_impossible(self, row: Row) -> bool | None:
        """Return whether a row says that its text does not answer it; None: it says nothing.

        By SQuAD 2.0's ``is_impossible``, or by ``answers`` that are there and empty, unless no row
        of the file has an answer: then they are held back.
        """
        said = row.fields.get("is_impossible")
        if said is not None and said != "":
            return row.truth("is_impossible")
        for name in ("answers", "answers.text"):
            value = row.fields.get(name)
            if isinstance(value, list | dict) and self.has_answers:
                return not self.references(row)
        return None

    def understood(self, rows: Sequence[Row]) -> dict[str, str]:
        """Return what each field of a file was taken for, in words, in their order there."""
        meanings: dict[str, str] = dict.fromkeys(_OWN, "read, see docs/datasets.md")
        meanings |= dict.fromkeys(_PASSED_OVER, "passed over")
        meanings |= dict.fromkeys(ID, "id") | dict.fromkeys(QUESTION, "question")
        meanings |= dict.fromkeys(self.context, "texts that the question is about")
        meanings |= dict.fromkeys(self.reference, "reference answer")
        meanings |= dict.fromkeys(_CHUNKS, "chunks that the question is about")
        meanings |= {"lang": "language", "language": "language"}
        meanings |= dict.fromkeys((*self.left_out, SAMPLE), "what a system said: not read")
        order = dict.fromkeys(name for row in rows for name in row.fields)
        return {name: meanings.get(name, "not known, not read") for name in order}

    def notes(self, rows: Sequence[Row], *, pairs: bool) -> list[str]:
        """Return what was not read of a file (of questions or of pairs), in words."""
        notes = []
        if self.left_out and not pairs:
            named = ", ".join(self.left_out)
            reason = f"{named}: not read, as what a system said and found is no reference"
            if "answer" in self.left_out and not self.names & set(REFERENCE):
                reason += (
                    "; if people wrote them, name them reference_answer and reference_contexts"
                )
            notes.append(reason)
        if SAMPLE in self.names:
            notes.append(f"{SAMPLE}: not read, as what a model said is no reference")
        counts = Counter(
            name
            for row in rows
            for name, value in row.fields.items()
            if name not in KNOWN and not _blank(value)
        )
        if counts:
            named = ", ".join(f"{name} (in {n})" for name, n in sorted(counts.items()))
            notes.append(f"fields that are not known and not read: {named}")
        return notes


def _blank(value: Any) -> bool:
    return value is None or value == [] or value == {} or (isinstance(value, str) and not value)


def _texts(row: Row, name: str, inner: str | None) -> list[str]:
    """Return a field's texts: a text, a list of them, or ``{inner: list}`` and lists of such."""
    value = row.fields.get(name)
    if _blank(value):
        return []
    if isinstance(value, dict) and inner in value:
        value = value[inner]
    found = []
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict) and inner in one:
            one = one[inner]
        if one is None:
            continue
        if not isinstance(one, str):
            raise RagBenchError(
                f"{row.where}: {name} must be a text or a list of texts, not {one!r}."
            )
        text = Row(row.where, {name: one}).text_or_none(name)
        if text and text.strip():
            found.append(text)
    return found


def last_said(value: Any) -> str | None:
    """Return what the user said last in a list of messages; None: the value is no such list."""
    if not isinstance(value, list) or not all(
        isinstance(one, dict) and "content" in one for one in value
    ):
        return None
    said = [one["content"] for one in value if one.get("role", "user") == "user"]
    last = said[-1] if said else ""
    if isinstance(last, list):  # parts, of which some are texts
        parts = [one.get("text") for one in last if isinstance(one, dict)]
        last = "\n".join(part for part in parts if isinstance(part, str))
    if isinstance(last, dict):
        last = last.get("text", "")
    return last if isinstance(last, str) else ""
