"""Which cases were asked anew after a new dump, and why; the others were carried by the ledger."""

from __future__ import annotations

from typing import Any

import pytest
from measured import metric, store
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations import Case
from rag_bench.tiers.datasets.carried import (
    ANSWER,
    FAILED,
    FIRST,
    NEW,
    OTHERWISE,
    RETRIEVED,
    REWORDED,
    SOURCE,
    carried_in,
)

SENT, KEPT = [{"id": 1, "how": "sent", "for": ""}], [{"id": 1, "how": "ledger", "for": ""}]


def answers(engine: Engine, items: list[Item], cases: list[Case], name: str) -> int:
    made = save_dataset(engine, name, "manual", items)
    return store(
        engine,
        "3",
        "answers",
        {"rougeL_f": metric(0.5)},
        generation="local/m",
        dataset_id=made.id,
        settings=name,
        cases=cases,
    ).id


def case(name: str, chunks: list[str], calls: Any, **more: Any) -> Case:
    rows = [{"chunk_hash": one} for one in chunks]
    return Case(name, answer="a", retrieved=rows, calls=calls, **more)


def test_each_case_is_carried_or_says_why_it_was_asked(engine: Engine) -> None:
    old = [Item(n, f"q{n}", "a", (f"c{n}",)) for n in "12345"]
    new = [
        old[0],
        old[1],
        Item("3", "q3", "a", ("c3-new",)),
        Item("4", "q4, in other words", "a", ("c4",)),
        old[4],
        Item("6", "q6", "a", ("c6",)),
        Item("7", "q7", "a", ("c7",)),
    ]
    first = answers(
        engine,
        old,
        [
            *(case(n, [f"c{n}"], SENT) for n in "1234"),
            Case("5", error_code="LLM_FAILED", retrieved=[{"chunk_hash": "c5"}], calls=SENT),
        ],
        "old",
    )
    second = answers(
        engine,
        new,
        [
            case("1", ["c1"], KEPT),
            case("2", ["c2", "other"], SENT),
            case("3", ["c3"], SENT),
            case("4", ["c4"], SENT),
            case("5", ["c5"], SENT),
            case("6", ["c6"], SENT),
            case("7", ["c7"], None),
        ],
        "new",
    )
    found = carried_in(engine, second)
    assert (found.before, list(found.carried), found.n_asked) == (first, ["1"], 5)
    assert dict(found.asked) == {
        RETRIEVED: ["2"],
        SOURCE: ["3"],
        REWORDED: ["4"],
        FAILED: ["5"],
        NEW: ["6"],
    }
    assert found.unrecorded == 1
    assert found.as_json()["n_carried"] == 1
    begin = carried_in(engine, first)
    assert (begin.before, dict(begin.asked)) == (None, {FIRST: list("12345")})


def test_scores_are_asked_anew_for_another_answer_or_another_prompt(engine: Engine) -> None:
    items = [Item("1", "q1"), Item("2", "q2")]
    made = save_dataset(engine, "gold", "manual", items)
    ids = []
    for number, text in enumerate(("one", "two")):
        answered = answers(
            engine,
            items,
            [Case("1", answer=text, calls=SENT), Case("2", answer="same", calls=SENT)],
            f"s{number}",
        )
        ids.append(
            store(
                engine,
                "3",
                "scores",
                {"rubric_e2e_quality": metric(4.0)},
                generation="local/m",
                judge="local/j",
                dataset_id=made.id,
                inputs={"answers_evaluation": answered},
                cases=[Case(n, scores={"rubric_e2e_quality": 4}, calls=SENT) for n in "12"],
            ).id
        )
    assert dict(carried_in(engine, ids[1]).asked) == {ANSWER: ["1"], OTHERWISE: ["2"]}
    with pytest.raises(RagBenchError, match="no evaluation 999"):
        carried_in(engine, 999)
