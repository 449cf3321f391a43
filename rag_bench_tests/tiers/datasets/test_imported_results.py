"""Results of other tools in the store: answers, labels of kind model, and verdicts out again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from measured import metric, store
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.store import datasets, evaluations
from rag_bench.store.evaluations import Case
from rag_bench.store.labels.labels import NewLabel, add_labels, current_labels
from rag_bench.tiers.datasets.exported import verdict_lines
from rag_bench.tiers.datasets.imported import import_results, item_id_of

BY = "rubric_answer_correctness"


def row(question: str, answer: str, passed: bool, provider: str = "gpt") -> dict[str, Any]:
    return {
        "vars": {"question": question},
        "provider": {"id": provider},
        "response": {"output": answer},
        "success": passed,
        "gradingResult": {"pass": passed, "score": float(passed), "reason": "почему"},
    }


def file(tmp_path: Path, *rows: dict[str, Any]) -> Path:
    path = tmp_path / "results.json"
    path.write_text(json.dumps({"results": {"results": list(rows)}}), encoding="utf-8")
    return path


def test_verdicts_become_labels_of_a_model_on_stored_answers(
    engine: Engine, tmp_path: Path
) -> None:
    path = file(
        tmp_path,
        row("Где ключ?", "На столе.", True),
        row("Где ключ?", "Под ковриком.", False),
        row("Где ключ?", "На столе.", False, "llama"),
        row("Когда обед?", "В два.", True),
    )
    found = import_results(engine, path, metric=BY)
    assert (found.format, found.n_labels, found.n_ungraded) == ("promptfoo", 4, 0)
    assert list(found.evaluations) == ["promptfoo/gpt", "promptfoo/llama"]
    items = datasets.items_of(engine, found.dataset.id)
    assert [item.question for item in items] == ["Где ключ?", "Когда обед?"]
    key = item_id_of("Где ключ?")
    cases = evaluations.cases_of(engine, found.evaluations["promptfoo/gpt"])
    assert {case.case_id: case.answer for case in cases} == {
        key: "На столе.",
        f"{key}#2": "Под ковриком.",
        item_id_of("когда обед?"): "В два.",
    }
    labels = current_labels(engine, metric=BY)
    assert {one.annotator_kind for one in labels} == {"model"}
    assert {(one.case_id, one.value) for one in labels} == {
        (key, 5.0),
        (f"{key}#2", 1.0),
        (key, 1.0),
        (item_id_of("Когда обед?"), 5.0),
    }
    assert labels[0].note == "score 1.0; почему"
    assert evaluations.newest_settings_hash(engine) is None, "it enters no leaderboard"


def test_a_file_that_comes_twice_adds_nothing(engine: Engine, tmp_path: Path) -> None:
    path = file(tmp_path, row("q", "a", True))
    first = import_results(engine, path, metric=BY)
    again = import_results(engine, path, metric=BY)
    assert (first.before, again.before, again.n_labels) == (False, True, 0)
    assert again.evaluations == first.evaluations
    assert len(current_labels(engine)) == 1


def test_an_unknown_rubric_and_a_bad_file_store_nothing(engine: Engine, tmp_path: Path) -> None:
    path = file(tmp_path, row("q", "a", True))
    with pytest.raises(RagBenchError, match="cannot be labelled"):
        import_results(engine, path, metric="beauty")
    bad = file(tmp_path, row("q", "a", True), {**row("q", "a", True), "vars": {}})
    with pytest.raises(RagBenchError, match=r"results\.results\[1\]: vars has no question"):
        import_results(engine, bad, metric=BY)
    assert datasets.list_datasets(engine) == []


def test_verdicts_and_labels_go_out_with_what_they_are_of(engine: Engine) -> None:
    items = [datasets.Item("1", "Где ключ?"), datasets.Item("2", "Когда обед?")]
    made = datasets.save_dataset(engine, "gold", "manual", items)
    common = {"generation": "local/m", "dataset_id": made.id}
    answers = store(
        engine,
        "2",
        "answers",
        {"rougeL_f": metric(0.5)},
        cases=[Case("1", answer="На столе."), Case("2", answer="В два.")],
        **common,
    )
    store(
        engine,
        "2",
        "scores",
        {BY: metric(4.0)},
        judge="local/j",
        cases=[
            Case("1", scores={BY: 4, "reasoning_answer_correctness": "почти"}),
            Case("2", error_code="LLM_FAILED"),
        ],
        **common,
    )
    with engine.begin() as connection:
        add_labels(connection, [NewLabel(answers.id, "2", BY, 5.0, "Анна")])
    lines = list(verdict_lines(engine, "settings-1"))
    judged, failed, labelled = lines
    assert (judged["by"], judged["by_kind"], judged["value"]) == ("local/j", "model", 4)
    assert (judged["question"], judged["answer"]) == ("Где ключ?", "На столе.")
    assert judged["reasoning"] == "почти"
    assert (failed["case_id"], failed["value"], failed["error"]) == ("2", None, "LLM_FAILED")
    assert (labelled["by"], labelled["by_kind"], labelled["value"]) == ("Анна", "person", 5.0)
    assert labelled["answer"] == "В два."
    assert json.loads(json.dumps(lines, ensure_ascii=False)) == lines
