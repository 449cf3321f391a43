"""The simulated judges' replies to RAGAS: about what was asked, with errors as stated."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from rag_bench.simulator.answer_key import AnswerKey
from rag_bench.simulator.app import Simulator
from rag_bench.simulator.models import Judge
from rag_bench.simulator.roster import JUDGES, Catalogue
from rag_bench.simulator.truth import Quality

PERFECT = Judge("perfect", 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
VERDICTS = {"statements": {"type": "array", "items": {"$ref": "#/$defs/V"}}}
TEXTS = {"statements": {"type": "array", "items": {"type": "string"}}}
QUESTION = {"question": {"type": "string"}, "noncommittal": {"type": "integer"}}
USEFUL = {"reason": {"type": "string"}, "verdict": {"type": "integer"}}
ATTRIBUTED = {"classifications": {"type": "array", "items": {}}}
BY_NUMBER = {"verdicts": {"type": "array", "items": {}}}
SORTED = {name: {"type": "array", "items": {}} for name in ("TP", "FP", "FN")}
EXAMPLE = '{"question": "Чужой пример?", "answer": "Из примера."}'


def body(given: dict[str, Any], fields: dict[str, Any], in_messages: bool = False):
    """A request as our client sends it, or with the schema in its messages."""
    schema = {"type": "object", "properties": fields}
    asked = f"Разбери ответ.\n\nПример\nДано: {EXAMPLE}\n\nДано: {json.dumps(given)}\nОтвет:"
    messages = [{"role": "user", "content": asked}]
    wanted: dict[str, Any] = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    if in_messages:
        messages.insert(0, {"role": "system", "content": f"Schema: {json.dumps(schema)}"})
        wanted = {"type": "json_object"}
    return {"messages": messages, "response_format": wanted}


def ask(simulator: Simulator, given, fields, judge="perfect", replicate=0, in_messages=False):
    request = body(given, fields, in_messages)
    return asyncio.run(simulator.reply(judge, request, replicate))


@pytest.fixture
def simulator(key: AnswerKey) -> Simulator:
    return Simulator(key, catalogue=Catalogue((PERFECT, *JUDGES)))


@pytest.mark.parametrize("number", [0, 1])  # Russian, English
@pytest.mark.parametrize("in_messages", [False, True])
def test_what_is_so_is_seen_by_a_perfect_judge(simulator, entries, number, in_messages):
    entry, other = entries[number], entries[number + 2]
    chunk, question, reference = entry.chunk_texts[0], entry.question, entry.reference_answer

    def reply(given, fields):
        return json.loads(ask(simulator, given, fields, in_messages=in_messages))

    answer = f"{reference} [1] {other.reference_answer} [2]"
    parts = reply({"question": question, "answer": answer}, TEXTS)["statements"]
    assert parts == [reference, other.reference_answer]
    judged = reply({"context": chunk, "statements": parts}, VERDICTS)["statements"]
    assert [(row["statement"], row["verdict"]) for row in judged] == [(parts[0], 1), (parts[1], 0)]
    numbered = [{"number": n, "statement": s} for n, s in enumerate(parts, 1)]
    rows = reply({"context": chunk, "statements": numbered}, BY_NUMBER)["verdicts"]
    assert [(row["number"], row["verdict"]) for row in rows] == [(1, 1), (2, 0)]
    for text, verdict in ((chunk, 1), (other.chunk_texts[0], 0)):
        given = {"question": question, "context": text, "answer": reference}
        assert reply(given, USEFUL)["verdict"] == verdict
        numbered = [{"number": 7, "sentence": reference}]
        asked = {"question": question, "context": text, "sentences": numbered}
        (row,) = reply(asked, BY_NUMBER)["verdicts"]
        assert (row["number"], row["attributed"]) == (7, verdict)
        rows = reply(given, ATTRIBUTED)["classifications"]
        assert [(row["statement"], row["attributed"]) for row in rows] == [(reference, verdict)]
    made = reply({"response": reference}, QUESTION)
    assert made == {"question": question, "noncommittal": 0}
    lists = reply(
        {"question": question, "answer": parts, "ground_truth": [reference, "Вход в зале 77."]},
        SORTED,
    )
    assert {name: [row["statement"] for row in rows] for name, rows in lists.items()} == {
        "TP": [reference],
        "FP": [other.reference_answer],
        "FN": ["Вход в зале 77."],
    }
    true = [{"number": 3, "statement": reference}, {"number": 4, "statement": "Вход в зале 77."}]
    asked = [{"number": n, "statement": s} for n, s in enumerate(parts, 1)]
    lists = reply({"question": question, "answer": asked, "ground_truth": true}, SORTED)
    found = {name: [row["number"] for row in rows] for name, rows in lists.items()}
    assert found == {"TP": [1], "FP": [2], "FN": [4]}
    assert all(set(row) == {"number", "reason"} for rows in lists.values() for row in rows)


def test_a_refusal_states_nothing_and_is_evasive(simulator):
    refusal = "Ответ не найден."
    assert ask(simulator, {"question": "Где?", "answer": refusal}, TEXTS) == '{"statements": []}'
    assert json.loads(ask(simulator, {"response": refusal}, QUESTION))["noncommittal"] == 1


def test_known_quality_decides_over_words(simulator, entries):
    entry = entries[0]
    said = ["Совсем другие слова.", "И ещё одни."]
    given = {"question": entry.question, "answer": said, "ground_truth": [entry.reference_answer]}
    assert len(json.loads(ask(simulator, given, SORTED))["FP"]) == 2
    simulator.truth.remember(entry.question, " ".join(said), Quality.correct)
    lists = json.loads(ask(simulator, given, SORTED))
    assert [len(lists[name]) for name in ("TP", "FP", "FN")] == [2, 0, 0]


def test_three_draws_of_one_prompt_differ_and_repeat(simulator, entries):
    given = {"response": entries[0].reference_answer}
    draws = [ask(simulator, given, QUESTION, replicate=n) for n in (0, 1, 2)]
    assert len(set(draws)) == 3
    assert draws == [ask(simulator, given, QUESTION, replicate=n) for n in (0, 1, 2)]


@pytest.mark.parametrize("name", ["sim-judge-sharp", "sim-judge-lenient", "sim-judge-strict"])
def test_errors_are_as_often_as_stated(key, entries, name):
    stated = replace(next(j for j in JUDGES if j.name == name), unreadable=0.0)
    simulator = Simulator(key, catalogue=Catalogue((stated,)))
    right = {True: 0, False: 0}
    n = 400
    for entry, other in zip(entries[:n], entries[n : 2 * n], strict=True):
        for text, useful in ((entry.chunk_texts[0], True), (other.chunk_texts[0], False)):
            given = {
                "question": entry.question,
                "context": text,
                "answer": entry.reference_answer,
            }
            reply = json.loads(ask(simulator, given, USEFUL, name))
            right[useful] += reply["verdict"] == useful
    # Four standard errors of a share of 400.
    assert right[True] / n == pytest.approx(stated.sensitivity, abs=0.09)
    assert right[False] / n == pytest.approx(stated.specificity, abs=0.09)


def test_unreadable_replies_come_as_often_as_stated(simulator, entries):
    name = "sim-judge-fragile"
    stated = next(j for j in JUDGES if j.name == name).unreadable
    n, bad = 600, 0
    for entry in entries[:n]:
        numbered = [{"number": 1, "statement": entry.reference_answer}]
        given = {"context": entry.chunk_texts[0], "statements": numbered}
        reply = ask(simulator, given, BY_NUMBER, name)
        try:
            bad += len(json.loads(reply)["verdicts"]) != 1
        except (ValueError, KeyError):
            bad += 1
    assert bad / n == pytest.approx(stated, abs=0.055)


def test_other_schemas_are_left_to_the_filler(simulator):
    fields = {"score": {"type": "integer", "minimum": 1}}
    assert json.loads(ask(simulator, {"question": "?"}, fields)) == {"score": 1}
