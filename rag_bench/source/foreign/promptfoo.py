"""Results of promptfoo: ``promptfoo eval --output results.json`` (or ``.jsonl``).

``results.results[]`` has a row per test and provider: ``vars``, ``response.output``, ``provider``
(an object with ``id`` and ``label``, or a text; lines may leave it to ``results.prompts[]``),
``success``, ``score``, ``gradingResult`` with ``pass``, ``score``, ``reason`` and
``componentResults[]``, one per assertion. Where no variable is the question, it is the prompt as it
was sent, ``prompt.raw``. Rows with an error have no answer and are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rag_bench.errors import RagBenchError
from rag_bench.source.foreign.results import Format, Verdict, grade, question_of
from rag_bench.source.question_files.dataset_fields import QUESTION

_GRADERS = (
    *("llm-rubric", "model-graded-closedqa", "model-graded-factuality", "factuality", "g-eval"),
    *("answer-relevance", "context-faithfulness", "context-recall", "context-relevance"),
    *("search-rubric", "conversation-relevance", "agent-rubric"),
)
#: Before a type whose verdict is turned round.
_NOT = "not-"
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
    prompts = _prompts(parsed)
    found: list[Verdict] = []
    for number, row in enumerate(_rows(parsed) or (), start=1):
        where = f"{path}, row {number}" if lines else f"{path}, results.results[{number - 1}]"
        if not isinstance(row, Mapping):
            raise RagBenchError(f"{where}: expected an object.")
        found += _of_row(where, row, prompts)
    return found


def _prompts(parsed: Any) -> list[Any]:
    """Return the prompts of a run, which say by whom each was answered."""
    results = parsed.get("results") if isinstance(parsed, Mapping) else None
    found = results.get("prompts") if isinstance(results, Mapping) else None
    return found if isinstance(found, list) else []


def _of_row(where: str, row: Mapping[str, Any], prompts: list[Any]) -> Iterator[Verdict]:
    test = row.get("testCase") or row.get("test") or {}
    variables = row.get("vars") or (test.get("vars") if isinstance(test, Mapping) else None) or {}
    response = row.get("response")
    output = response.get("output") if isinstance(response, Mapping) else row.get("output")
    if output is None or output == "":
        return  # the provider failed: there is no answer to have a verdict on
    if not isinstance(variables, Mapping):
        raise RagBenchError(f"{where}: vars must be an object.")
    question = question_of(variables, QUESTION) or _sent(row.get("prompt"))
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
        "model": _provider(where, row.get("provider") or _provider_of(row, prompts)),
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
    kind = str(assertion.get("type") or "") if isinstance(assertion, Mapping) else ""
    return kind.removeprefix(_NOT)


def _sent(prompt: Any) -> str | None:
    """Return what was asked as it was sent: a text, or of messages what the user said last."""
    raw = prompt.get("raw") if isinstance(prompt, Mapping) else prompt
    if not isinstance(raw, str) or not raw.strip():
        return None
    try:
        messages = json.loads(raw)
    except (ValueError, RecursionError):
        return raw.strip()
    for message in reversed(messages if isinstance(messages, list) else []):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) and content.strip() else None
    return raw.strip()


def _provider_of(row: Mapping[str, Any], prompts: list[Any]) -> Any:
    place = row.get("promptIdx")
    if isinstance(place, int) and 0 <= place < len(prompts):
        prompt = prompts[place]
        return prompt.get("provider") if isinstance(prompt, Mapping) else None
    return None


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
