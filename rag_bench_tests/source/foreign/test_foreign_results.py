"""Results of promptfoo and Inspect, in the shapes in which these tools write them."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rag_bench.errors import RagBenchError
from rag_bench.source.foreign.results import Verdict, grade, read_results

ROW = {
    "id": "r1",
    "promptIdx": 0,
    "testIdx": 0,
    "provider": {"id": "openai:gpt-4o", "label": "gpt"},
    "vars": {"question": "Когда стипендия?", "context": "…"},
    "response": {"output": "До 25-го.", "tokenUsage": {}},
    "success": True,
    "score": 0.85,
    "namedScores": {},
    "gradingResult": {
        "pass": True,
        "score": 0.85,
        "reason": "верно",
        "componentResults": [
            {
                "pass": True,
                "score": 0.7,
                "reason": "почти",
                "assertion": {
                    "type": "llm-rubric",
                    "value": "is right",
                    "provider": "openai:gpt-4o-mini",
                },
            },
            {"pass": True, "score": 1, "assertion": {"type": "contains", "value": "25"}},
        ],
    },
}
PROMPTFOO = {
    "evalId": "eval-1",
    "results": {"version": 3, "timestamp": "2026-01-01T00:00:00Z", "results": [ROW], "stats": {}},
}
SAMPLE = {
    "id": 7,
    "epoch": 1,
    "input": [{"role": "system", "content": "s"}, {"role": "user", "content": "Где ключ?"}],
    "target": ["Под ковриком."],
    "output": {
        "model": "m",
        "choices": [{"message": {"role": "assistant", "content": "На столе."}}],
    },
    "scores": {"model_graded_qa": {"value": "I", "answer": "На столе.", "explanation": "нет"}},
}
INSPECT = {
    "version": 2,
    "status": "success",
    "eval": {
        "model": "openai/gpt-4o",
        "task": "t",
        "scorers": [{"name": "model_graded_qa", "options": {"model": "openai/gpt-4o-mini"}}],
    },
    "samples": [SAMPLE],
}


def read(tmp_path: Path, content: Any, name: str = "results.json") -> tuple[str, list[Verdict]]:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")
    found, verdicts = read_results(path)
    return found.name, verdicts


def archive(**files: Any) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name.replace("__", "/") + ".json", json.dumps(content))
    return made.getvalue()


def test_a_graded_assertion_of_promptfoo_is_a_models_verdict(tmp_path: Path) -> None:
    name, [found] = read(tmp_path, PROMPTFOO)
    assert name == "promptfoo"
    assert (found.question, found.answer, found.model) == ("Когда стипендия?", "До 25-го.", "gpt")
    assert (found.grader, found.metric) == ("promptfoo openai:gpt-4o-mini", "llm-rubric")
    assert found.value == 0.7
    assert found.note == "score 0.7; почти"


def test_without_a_graded_assertion_the_rows_own_pass_counts(tmp_path: Path) -> None:
    plain = {**ROW, "gradingResult": {"pass": False, "score": 0.4, "reason": "нет"}}
    for content in ({"results": {"results": [plain]}}, {"results": [plain]}, [plain]):
        _, [found] = read(tmp_path, content)
        assert (found.grader, found.metric, found.value) == ("promptfoo", "pass", 0.0)
    lines = "\n".join(json.dumps(row) for row in (plain, plain))
    assert len(read(tmp_path, lines, "results.jsonl")[1]) == 2
    failed = {**plain, "response": {"error": "timeout"}}
    with pytest.raises(RagBenchError, match="holds no graded answer"):
        read(tmp_path, [failed])


def test_a_log_of_inspect_is_read_as_json_and_as_an_archive(tmp_path: Path) -> None:
    header = {name: value for name, value in INSPECT.items() if name != "samples"}
    packed = archive(header=header, samples__7_epoch_1=SAMPLE, summaries=[])
    for content, file in ((INSPECT, "log.json"), (packed, "log.eval")):
        name, [found] = read(tmp_path, content, file)
        assert name == "Inspect"
        assert (found.case, found.question, found.answer) == ("7", "Где ключ?", "На столе.")
        assert (found.model, found.grader) == ("openai/gpt-4o", "openai/gpt-4o-mini")
        assert (found.metric, found.value) == ("model_graded_qa", 0.0)
        assert found.reference == "Под ковриком."
        assert found.note == "value I; нет"


@pytest.mark.parametrize(
    ("score", "value"),
    [(True, 1.0), (False, 0.0), (0, 0.0), (1.0, 1.0), (0.5, 0.5), (7, None), ("x", None)],
)
def test_scores_of_nought_to_one_are_grades(score: Any, value: float | None) -> None:
    assert grade(score) == value


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": 1}, "of no format of results that is read: promptfoo, Inspect"),
        ("{\n  nonsense", r"results\.json:2: not JSON: .*\(column 3\)"),
        ([{**ROW, "vars": {}}], r"row 1: vars has no question"),
        ([{**ROW, "provider": None}], r"row 1: provider must name who answered"),
        ({**INSPECT, "eval": {}}, r"eval\.model must be a text"),
        ({**INSPECT, "samples": None}, "the log has no samples"),
        ({**INSPECT, "samples": [{**SAMPLE, "input": []}]}, r"samples\[0\]: input must be a text"),
        (
            {**INSPECT, "samples": [{**SAMPLE, "scores": {"s": 1}}]},
            r"samples\[0\]: scores\.s must be an object",
        ),
    ],
)
def test_what_is_wrong_is_told_by_place_and_field(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(RagBenchError, match=said):
        read(tmp_path, content)


def test_the_question_is_the_prompt_as_it_was_sent_where_no_variable_is_it(tmp_path: Path) -> None:
    filled = {"document": "Приказ 5.", "tone": "вежливо"}
    chat = json.dumps(
        [{"role": "system", "content": "s"}, {"role": "user", "content": "Что в нём?"}]
    )
    for raw, question in (("Перескажи: Приказ 5.\n", "Перескажи: Приказ 5."), (chat, "Что в нём?")):
        _, [found] = read(tmp_path, [{**ROW, "vars": filled, "prompt": {"raw": raw, "label": "p"}}])
        assert found.question == question
    _, [found] = read(tmp_path, [{**ROW, "vars": {"Question": "С большой?", "tone": "сухо"}}])
    assert found.question == "С большой?"


def test_rows_that_leave_the_provider_to_the_prompts_find_it_there(tmp_path: Path) -> None:
    row = {name: value for name, value in ROW.items() if name != "provider"}
    prompts = [{"raw": "{{question}}", "provider": "openai:first"}, {"provider": "other"}]
    results = {"version": 3, "prompts": prompts, "results": [row]}
    _, [found] = read(tmp_path, {"results": results})
    assert found.model == "openai:first"


def test_every_kind_of_model_graded_assertion_is_a_verdict(tmp_path: Path) -> None:
    kinds = ["context-faithfulness", "context-recall", "not-llm-rubric", "equals"]
    parts = [{"pass": False, "score": 0.25, "assertion": {"type": kind}} for kind in kinds]
    graded = {"pass": False, "score": 0.25, "componentResults": [*parts, None]}
    _, found = read(tmp_path, [{**ROW, "gradingResult": graded}])
    assert [one.metric for one in found] == kinds[:3]
    without = {**ROW, "gradingResult": None, "success": False}
    _, [plain] = read(tmp_path, [without])
    assert (plain.metric, plain.value) == ("pass", 0.0)


def test_lines_are_parted_at_line_ends_alone(tmp_path: Path) -> None:
    row = {**ROW, "response": {"output": "одна\u2028строка\x85и ещё"}}
    lines = "\r\n".join(json.dumps(one, ensure_ascii=False) for one in (row, row))
    _, found = read(tmp_path, lines, "results.jsonl")
    assert [one.answer for one in found] == ["одна\u2028строка\x85и ещё"] * 2


def test_a_score_of_several_values_is_a_verdict_each(tmp_path: Path) -> None:
    scores = {
        "rubric": {"value": {"tone": 0.5, "facts": "C", "depth": "deep"}},
        "n": {"value": "0.25"},
    }
    _, found = read(tmp_path, {**INSPECT, "samples": [{**SAMPLE, "scores": scores}]})
    assert [(one.metric, one.value) for one in found] == [
        ("rubric.tone", 0.5),
        ("rubric.facts", 1.0),
        ("rubric.depth", None),
        ("n", 0.25),
    ]


def test_a_log_of_the_first_version_and_attached_texts_are_read(tmp_path: Path) -> None:
    old = {name: value for name, value in SAMPLE.items() if name != "scores"}
    old["score"] = {"value": "C", "explanation": "да"}
    old["input"] = "attachment://a1"
    old["attachments"] = {"a1": "Длинный вопрос?"}
    header = {"model": "openai/gpt-4", "task": "t"}
    content = {"version": 1, "status": "success", "eval": header, "samples": [old]}
    # The tool writes NaN where nothing was scored.
    content["results"] = {"metrics": {"accuracy": {"value": float("nan")}}}
    _, [found] = read(tmp_path, content)
    assert (found.question, found.metric, found.value) == ("Длинный вопрос?", "score", 1.0)


def test_the_model_that_plays_the_grader_is_named(tmp_path: Path) -> None:
    header = {**INSPECT["eval"], "scorers": [{"name": "model_graded_qa", "options": {}}]}
    header["model_roles"] = {"grader": {"model": "anthropic/judge", "args": {}}}
    _, [found] = read(tmp_path, {**INSPECT, "eval": header})
    assert found.grader == "anthropic/judge"
