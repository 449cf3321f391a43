"""The table of planted faults, of rows whose words are known."""

from __future__ import annotations

from typing import Any

from measured import store
from sqlalchemy import Engine

from rag_bench.reporting.self_test.planted import (
    as_json,
    in_figures,
    name_of,
    newest_planted,
    planted_table,
)
from rag_bench.store.evaluations import Case

FIGURE = {
    "metric": "rubric_e2e_quality",
    "a": 4.5,
    "b": 4.25,
    "difference": -0.25,
    "ci_low": -0.4,
    "ci_high": -0.1,
    "n": 120,
}


def row(line: int, **given: Any) -> dict[str, Any]:
    plain = {
        "fault": "f",
        "words": "a fault",
        "size": "3 %",
        "control": False,
        "found": [],
        "told": [],
    }
    return {"line": line, **plain, **given}


def found(check: str, said: str = "said", figure: Any = None) -> dict[str, Any]:
    return {"check": check, "said": said, "figure": figure}


ROWS = [
    row(0, words="nothing planted", size="anew", control=True),
    row(1, words="nothing planted", size="new dump", control=True, found=[found("chunk: cut")]),
    row(2, found=[found("chunk: cut", "2 of 9"), found("comparison: tier 3 scores", "x", FIGURE)]),
    row(3, size="1 %", found=[found("errors by code", "LLM_FAILED: 3, before 0")]),
    row(4, size="0.1 %", told=["prompts", "the gate cannot tell"]),
]


def stored(engine: Engine) -> None:
    cases = [Case(f"{one['line']}", scores=one) for one in reversed(ROWS)]
    store(engine, "self_test_planted_faults", "metrics", {}, cases=cases)


def test_the_table_says_what_was_found_by_what(engine: Engine) -> None:
    assert newest_planted(engine) is None
    assert as_json(None) == {}
    stored(engine)
    tried = newest_planted(engine)
    assert tried is not None
    assert [cells[0] for cells in planted_table(tried)[1]] == ["f"] * len(ROWS)
    assert [cells[1:] for cells in planted_table(tried)[1]] == [
        ("nothing planted", "anew", "nothing, rightly", ""),
        ("nothing planted", "new dump", "false alarm: chunk: cut", "said"),
        (
            "a fault",
            "3 %",
            "chunk: cut; comparison: tier 3 scores",
            "rubric_e2e_quality 4.500 to 4.250: -0.250 [-0.400, -0.100], n 120",
        ),
        ("a fault", "1 %", "errors by code", "LLM_FAILED: 3, before 0"),
        ("a fault", "0.1 %", "not found", "no alarm; told: prompts, the gate cannot tell"),
    ]
    assert [name_of(one) for one in tried.not_found] == ["a fault, 0.1 %"]
    assert [name_of(one) for one in tried.false_alarms] == ["nothing planted, new dump"]
    assert tried.in_words == (
        "2 of 3 planted faults were found; 1 of 2 controls, where nothing was planted, raised a "
        "false alarm"
    )
    shown = as_json(tried)["planted_faults"]
    assert shown["found"] == tried.in_words
    assert shown["table"][0] == ["name", "planted", "size", "found by", "what showed it"]
    assert len(shown["table"]) == 1 + len(ROWS)


def test_a_figure_without_an_interval() -> None:
    assert in_figures({**FIGURE, "ci_low": None, "n": 1}) == (
        "rubric_e2e_quality 4.500 to 4.250: -0.250, n 1"
    )
