"""How a simulated judge answers RAGAS' prompts, in Russian and in English.

A prompt is recognised by the fields that its reply must have, and what it is about is the last
JSON object of the request: so ragas' own prompts and others of the same shape are read alike. What
is true is known, or estimated from shared words; the judge then errs as stated, and now and then
sends something unreadable or leaves a verdict out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rag_bench.simulator.answer_key import AnswerKey, KeyEntry, best_support
from rag_bench.simulator.extractive import NOT_FOUND
from rag_bench.simulator.models import Judge
from rag_bench.simulator.schema_filler import json_objects
from rag_bench.simulator.sections import message_text
from rag_bench.simulator.text import (
    chance,
    is_russian,
    normal,
    numbers,
    overlap,
    pick,
    sentences,
    stable_chance,
)
from rag_bench.simulator.truth import Quality

Recall = Callable[[str, str], Quality | None]
"""What is known of an answer to a question."""

#: A text that holds this share of a statement's content stems, and its numbers, supports it.
ENOUGH = 0.7

_MARKER = re.compile(r"\s*\[\d{1,2}(?:\s*,\s*\d{1,2})*\]")
_UNREADABLE = ('{"statements": [', "Я не могу оценить этот ответ.", '{"verdict": 2}', "")
_ASKED = {
    True: ("{}", "Подскажите, {}", "Хочу узнать: {}"),
    False: ("{}", "Please tell me: {}", "I would like to know: {}"),
}
_ABOUT = {True: "что известно о том, что {}?", False: "what is said about {}?"}
_BESIDE = {True: "О чём этот текст?", False: "What is this text about?"}
_REASONS = {
    True: {True: "В тексте это есть.", False: "В тексте этого нет."},
    False: {True: "The text says so.", False: "The text does not say so."},
}


@dataclass(frozen=True)
class _Asked:
    """One request to a judge, and what decides its errors."""

    model: Judge
    given: Mapping[str, Any]
    key: AnswerKey
    recall: Recall
    replicate: int

    def text(self, name: str) -> str:
        """Return a value that should be a text."""
        return str(self.given.get(name, ""))

    def texts(self, name: str) -> list[str]:
        """Return a value that should be a list of texts."""
        value = self.given.get(name)
        return [_text_of(part) for part in value] if isinstance(value, list) else []

    def numbers(self, name: str) -> list[int]:
        """Return the numbers of a list's parts, which count from 1 where none are given."""
        value = self.given.get(name)
        parts = value if isinstance(value, list) else []
        return [
            int(part["number"]) if isinstance(part, Mapping) and "number" in part else place
            for place, part in enumerate(parts, start=1)
        ]

    def sees(self, true: bool, *seed: object) -> bool:
        """Return how the judge sees something that is so, or is not so."""
        model = self.model
        seed = (model.name, *(normal(part) if isinstance(part, str) else part for part in seed))
        draw = stable_chance(model.variation, self.replicate, "ragas", *seed)
        return draw < model.sensitivity if true else draw >= model.specificity


def ragas_reply(
    model: Judge,
    schema: Mapping[str, Any],
    messages: Sequence[Mapping[str, Any]],
    key: AnswerKey,
    recall: Recall,
    replicate: int,
) -> str | None:
    """Return the judge's reply, or None where the schema is of no RAGAS prompt.

    ``recall`` may wait for a database.
    """
    answer = _KINDS.get(_fields(schema))
    if answer is None:
        return None
    given = given_in(messages)
    seed = ("ragas", model.name, json.dumps(given, ensure_ascii=False, sort_keys=True))
    reply = answer(_Asked(model, given, key, recall, replicate))
    if chance("unreadable", replicate, *seed) < model.unreadable:
        if chance("left out?", replicate, *seed) < 0.5:
            reply = _without_last(reply)
        else:
            return pick(_UNREADABLE, "which", replicate, *seed)
    return json.dumps(reply, ensure_ascii=False)


def given_in(messages: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the last JSON object of the last user message; an empty one if there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return _last_object(message_text(message))
    return {}


@lru_cache(maxsize=1_024)
def _last_object(text: str) -> Mapping[str, Any]:
    objects = list(json_objects(text))
    return objects[-1] if objects else {}


def _fields(schema: Mapping[str, Any]) -> frozenset[str]:
    """Return the fields of a reply; those of statements that are judged are marked."""
    fields = set(schema.get("properties", {}))
    if fields == {"statements"}:
        items = schema["properties"]["statements"].get("items", {})
        fields.add("texts" if items.get("type") == "string" else "verdicts")
    return frozenset(fields)


def _statements(asked: _Asked) -> dict[str, Any]:
    """Split an answer into its sentences; a refusal states nothing."""
    answer = asked.text("answer")
    if normal(answer) == normal(NOT_FOUND):
        return {"statements": []}
    # Without the markers first: one behind a full stop hides the end of its sentence.
    return {"statements": list(sentences(_MARKER.sub("", answer))) or [answer.strip()]}


def _verdicts(asked: _Asked) -> dict[str, Any]:
    context = asked.text("context")
    judged = []
    for statement in asked.texts("statements"):
        held = asked.sees(_supported(statement, context), "faithful", statement, context)
        judged.append(
            {"statement": statement, "reason": _reason(statement, held), "verdict": int(held)}
        )
    return {"statements": judged}


def _question(asked: _Asked) -> dict[str, Any]:
    """Ask what the answer answers: the question that is known for it, or one about its words."""
    answer = asked.text("response")
    russian = is_russian(answer)
    evasive = normal(answer) == normal(NOT_FOUND)
    if not asked.sees(True, "question", answer):
        question = _BESIDE[russian]
    else:
        entry = _answered(asked.key, answer)
        words = normal(answer).split()[:8]
        question = entry.question if entry else _ABOUT[russian].format(" ".join(words))
        # Draws of one prompt differ, as a model's would.
        question = _ASKED[russian][asked.replicate % 3].format(question)
    return {
        "question": question,
        "noncommittal": int(asked.sees(evasive, "evasive", answer)),
    }


def _usefulness(asked: _Asked) -> dict[str, Any]:
    question, context, reference = (asked.text(n) for n in ("question", "context", "answer"))
    known = asked.key.find(question, [context])
    entry = KeyEntry(question, reference, known.chunk_texts if known else ())
    useful = asked.sees(best_support(entry, [context])[0] is not None, "useful", question, context)
    return {"reason": _reason(question, useful), "verdict": int(useful)}


def _attributions(asked: _Asked) -> dict[str, Any]:
    context, reference = asked.text("context"), asked.text("answer")
    found = []
    for statement in sentences(reference) or (reference,):
        there = asked.sees(_supported(statement, context), "attributed", statement, context)
        found.append(
            {"statement": statement, "reason": _reason(statement, there), "attributed": int(there)}
        )
    return {"classifications": found}


def _by_number(asked: _Asked) -> dict[str, Any]:
    """Judge numbered statements of an answer, or numbered sentences of a reference."""
    context = asked.text("context")
    name, field, seed = ("statements", "verdict", "faithful")
    if "sentences" in asked.given:
        name, field, seed = ("sentences", "attributed", "attributed")
    judged = []
    for number, text in zip(asked.numbers(name), asked.texts(name), strict=True):
        held = asked.sees(_supported(text, context), seed, text, context)
        judged.append({"number": number, "reason": _reason(text, held), field: int(held)})
    return {"verdicts": judged}


def _sorted(asked: _Asked) -> dict[str, Any]:
    """Sort statements by the answer's known quality, else by shared words.

    By their numbers where they have some, else word for word.
    """
    question, mine, true = (
        asked.text("question"),
        asked.texts("answer"),
        asked.texts("ground_truth"),
    )
    quality = asked.recall(question, " ".join(mine))
    numbered = any(isinstance(part, Mapping) for part in asked.given.get("answer", ()))
    lists: dict[str, list[dict[str, Any]]] = {"TP": [], "FP": [], "FN": []}
    for number, statement in zip(asked.numbers("answer"), mine, strict=True):
        right = _is_there(quality, statement, " ".join(true))
        seen = asked.sees(right, "right", question, statement)
        lists["TP" if seen else "FP"].append(_with_reason(statement, seen, number, numbered))
    for number, statement in zip(asked.numbers("ground_truth"), true, strict=True):
        told = _is_there(quality, statement, " ".join(mine))
        if not asked.sees(told, "told", question, statement, " ".join(mine)):
            lists["FN"].append(_with_reason(statement, False, number, numbered))
    return lists


_KINDS: dict[frozenset[str], Callable[[_Asked], dict[str, Any]]] = {
    frozenset({"statements", "texts"}): _statements,
    frozenset({"statements", "verdicts"}): _verdicts,
    frozenset({"verdicts"}): _by_number,
    frozenset({"question", "noncommittal"}): _question,
    frozenset({"reason", "verdict"}): _usefulness,
    frozenset({"classifications"}): _attributions,
    frozenset({"TP", "FP", "FN"}): _sorted,
}


def _is_there(quality: Quality | None, statement: str, text: str) -> bool:
    if quality is Quality.correct:
        return True
    if quality in (Quality.wrong, Quality.hallucinated, Quality.refused):
        return False
    return _supported(statement, text)


def _supported(statement: str, text: str) -> bool:
    return overlap(statement, text) >= ENOUGH and numbers(statement) <= numbers(text)


def _answered(key: AnswerKey, answer: str) -> KeyEntry | None:
    """Return the question of the key whose reference the answer is nearest to, both ways."""
    best, least = None, ENOUGH
    for entry in key.entries:
        near = max(overlap(entry.reference_answer, answer), overlap(answer, entry.reference_answer))
        if near >= least and (best is None or near > least):
            best, least = entry, near
    return best


def _without_last(reply: dict[str, Any]) -> dict[str, Any]:
    """Leave out the last entry of every list; what has none says nothing readable."""
    lists = {name: value[:-1] for name, value in reply.items() if isinstance(value, list)}
    return lists or {"verdict": 2}


def _with_reason(statement: str, yes: bool, number: int, numbered: bool) -> dict[str, Any]:
    what = {"number": number} if numbered else {"statement": statement}
    return what | {"reason": _reason(statement, yes)}


def _text_of(part: Any) -> str:
    if isinstance(part, Mapping):
        return str(part.get("statement", part.get("sentence", "")))
    return str(part)


def _reason(text: str, yes: bool) -> str:
    return _REASONS[is_russian(text)][yes]
