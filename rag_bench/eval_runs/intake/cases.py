"""Cases: each against its fields and limits, with an id of its own; then with what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import ConfigurationError
from rag_bench.eval_runs.intake import fields
from rag_bench.eval_runs.intake.request import EvalCase
from rag_bench.evaluation.text.text_folding import visible
from rag_bench.evaluation.text.text_scripts import russian_or_english
from rag_bench.retrieval.tokens import token_counter
from rag_bench.settings import Settings
from rag_bench.store.eval_runs.chunk_names import Named, named_in
from rag_bench.store.eval_runs.creating import NewCase
from rag_bench.strict_json.places import Place

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True)
class Sent:
    """A case as it was sent, and how its places are told."""

    given: Any
    where: fields.Where


@dataclass(frozen=True)
class Read:
    """A case that has the right form."""

    case_id: str
    given: Mapping[str, Any]
    case: EvalCase


def read_cases(sent: Iterable[Sent], settings: Settings, errors: list[Place]) -> list[Read]:
    """Return the cases that can be meant; everything that is wrong with the others is told."""
    read: list[Read] = []
    seen: dict[str, int] = {}
    tokens = Tokens(settings)
    for number, one in enumerate(sent, start=1):
        case = fields.read(EvalCase, one.given, one.where, errors)
        if case is None:
            continue
        _check_texts(case, one.where, settings, tokens, errors)
        case_id = str(number if case.id is None else case.id)
        if case_id in seen:
            detail = f"Case {seen[case_id]} has the id {case_id!r} already."
            if case.id is None:
                detail += " A case without an id has its number."
            errors.append(one.where(("id",) if case.id is not None else (), detail))
        seen.setdefault(case_id, number)
        read.append(Read(case_id, one.given, case))
    return read


def _check_texts(
    case: EvalCase, where: fields.Where, settings: Settings, tokens: Tokens, errors: list[Place]
) -> None:
    most = settings.eval_max_question_chars
    if not visible(case.question):
        errors.append(where(("question",), "The question is empty."))
    elif len(case.question) > most:
        detail = f"The question has {len(case.question)} characters; at most {most} are allowed."
        errors.append(where(("question",), detail))
    if (why := tokens.too_many(case.ground_truth_answer)) is not None:
        errors.append(where(("ground_truth_answer",), why))
    if case.id == "":
        errors.append(where(("id",), "The id is empty."))
    if case.answer is not None and not visible(case.answer):
        errors.append(where(("answer",), "The answer is empty: leave it out to have one made."))
    for name, given in (("contexts", case.contexts), ("citations", case.citations)):
        if given is not None and case.answer is None:
            detail = f"The {name} are those of a given answer: give the answer, too."
            errors.append(where((name,), detail))


class Tokens:
    """The limit of a right answer. The tokenizer is loaded for a text that may exceed it only."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._most = settings.eval_max_answer_tokens

    def too_many(self, text: str | None) -> str | None:
        """Return what is wrong with a text's length; None: nothing.

        A token is a character at least, so a text of fewer characters has fewer tokens.
        """
        if text is None or len(text) < self._most:
            return None
        try:
            found = token_counter(self._settings)(text)
        except ConfigurationError as error:
            return f"Its tokens cannot be counted, as there is no encoder. {error}"
        if found <= self._most:
            return None
        return f"The answer has {found} tokens of the encoder; at most {self._most} are allowed."


def new_cases(
    read: Sequence[Read], connection: Connection | None, dump_sha256: str | None
) -> list[NewCase]:
    """Return the cases with their languages, and their chunks in this snapshot."""
    named = {str(name) for one in read for name in _names(one.case)}
    meant = Named()
    if named and connection is not None:
        meant = named_in(connection, dump_sha256, named)
    return [
        NewCase(position, one.case_id, one.given, _known(one.case, meant))
        for position, one in enumerate(read)
    ]


def _known(case: EvalCase, meant: Named) -> dict[str, Any]:
    truth = list(dict.fromkeys(case.ground_truth_chunks or ()))
    found = {name: meant.current.get(str(name)) for name in _names(case)}
    lacking = [name for name in truth if found[name] is None]
    outdated = [name for name in lacking if str(name) in meant.outdated]
    known: dict[str, Any] = {
        "lang": case.lang or russian_or_english(_letters(case)),
        "lang_by": "client" if case.lang else "detected",
        "chunk_hashes": list(dict.fromkeys(found[name] for name in truth if found[name])),
        # The first name that the case itself has for a chunk.
        "names": {digest: name for name, digest in reversed(found.items()) if digest},
        "unknown_chunks": [name for name in lacking if name not in outdated],
    }
    if outdated:
        known["outdated_chunks"] = outdated
    if case.contexts is not None:
        ids = [None if isinstance(one, str) else one.id for one in case.contexts]
        known["context_hashes"] = [None if one is None else found[one] for one in ids]
    return known


def _names(case: EvalCase) -> dict[int | str, None]:
    """Return the ids of chunks that a case holds, those of the ground truth first."""
    named: dict[int | str, None] = dict.fromkeys(case.ground_truth_chunks or ())
    for one in case.contexts or ():
        if not isinstance(one, str) and one.id is not None:
            named[one.id] = None
    return named | dict.fromkeys(case.citations or ())


def _letters(case: EvalCase) -> str:
    has_any = any(sign.isalpha() for sign in case.question)
    return case.question if has_any else (case.ground_truth_answer or "")
