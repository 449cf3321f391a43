"""Results of promptfoo: ``promptfoo eval --output results.json`` (or ``.jsonl``).

``results.results[]`` has a row per test and provider: ``vars``, ``response.output``, ``provider``
(an object with ``id`` and ``label``, or a text), ``success``, ``score``, ``gradingResult`` with
``pass``, ``score``, ``reason`` and ``componentResults[]``, one per assertion. Rows with an error
have no answer and are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.foreign.results import Format, Verdict, grade, question_of
from rag_bench.source.question_files.dataset_fields import QUESTION

_GRADERS = ("llm-rubric", "model-graded-closedqa", "factuality", "answer-relevance", "g-eval")
_REFERENCES = ("reference", "reference_answer", "expected", "answer", "ground_truth")


def _rows(parsed: Any) -> list[Any] | None:
    if isinstance(parsed, list):
        return parsed
    found = parsed.get("results") if isinstance(parsed, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get("results")
    return found if isinstance(found, list) else None


def _is_of(parsed: Any) -> bool:
    rows = _rows(parsed) or []
    return any(
        isinstance(row, Mapping) and ("gradingResult" in row or "success" in row) for row in rows
    )


def _read(path: str, parsed: Any) -> list[Verdict]:
    lines = isinstance(parsed, list)
    found: list[Verdict] = []
    for number, row in enumerate(_rows(parsed) or (), start=1):
        where = f"{path}, row {number}" if lines else f"{path}, results.results[{number - 1}]"
        if not isinstance(row, Mapping):
            raise RagBenchError(f"{where}: expected an object.")
        found += _of_row(where, row)
    return found


def _of_row(where: str, row: Mapping[str, Any]) -> Iterator[Verdict]:
    test = row.get("testCase") or row.get("test") or {}
    variables = row.get("vars") or (test.get("vars") if isinstance(test, Mapping) else None) or {}
    response = row.get("response")
    output = response.get("output") if isinstance(response, Mapping) else row.get("output")
    if output is None or output == "":
        return  # the provider failed: there is no answer to have a verdict on
    if not isinstance(variables, Mapping):
        raise RagBenchError(f"{where}: vars must be an object.")
    question = question_of(variables, QUESTION)
    if question is None:
        raise RagBenchError(
            f"{where}: vars has no question: {', '.join(QUESTION[:4])}, or one text alone; it has "
            f"{', '.join(sorted(map(str, variables))) or 'nothing'}."
        )
    shared: dict[str, Any] = {
        "where": where,
        "case": str(row.get("id") or ""),
        "question": question,
        "answer": output if isinstance(output, str) else json.dumps(output, ensure_ascii=False),
        "model": _provider(where, row.get("provider")),
        "reference": next(
            (str(variables[n]) for n in _REFERENCES if isinstance(variables.get(n), str)), None
        ),
    }
    graded = row.get("gradingResult")
    graded = graded if isinstance(graded, Mapping) else {}
    components = graded.get("componentResults") or []
    judged = [one for one in components if isinstance(one, Mapping) and _kind(one) in _GRADERS]
    if not judged:
        passed = graded.get("pass", row.get("success"))
        if not isinstance(passed, bool):
            raise RagBenchError(f"{where}: success or gradingResult.pass must be true or false.")
        score = graded.get("score", row.get("score"))
        note = _note(score, graded.get("reason"))
        yield Verdict(**shared, grader="promptfoo", metric="pass", value=grade(passed), note=note)
    for one in judged:
        assertion: Mapping[str, Any] = one["assertion"]
        value = grade(one.get("score"))
        value = grade(one.get("pass")) if value is None else value
        yield Verdict(
            **shared,
            grader=_grader(assertion),
            metric=str(assertion.get("metric") or assertion["type"]),
            value=value,
            note=_note(one.get("score"), one.get("reason")),
        )


def _kind(component: Mapping[str, Any]) -> str:
    assertion = component.get("assertion")
    return str(assertion.get("type") or "") if isinstance(assertion, Mapping) else ""


def _grader(assertion: Mapping[str, Any]) -> str:
    given = assertion.get("provider")
    if isinstance(given, Mapping):
        given = given.get("id")
    return f"promptfoo {given}" if isinstance(given, str) and given else "promptfoo"


def _provider(where: str, given: Any) -> str:
    if isinstance(given, Mapping):
        given = given.get("label") or given.get("id")
    if not isinstance(given, str) or not given.strip():
        raise RagBenchError(f"{where}: provider must name who answered.")
    return given.strip()


def _note(score: Any, reason: Any) -> str:
    said = [f"score {score}"] if isinstance(score, int | float) else []
    return "; ".join([*said, str(reason)] if reason else said)


FORMAT = Format("promptfoo", _is_of, _read)
