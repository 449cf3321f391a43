"""`GET /eval/compare` as a client asks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_access import reader
from compared_runs import a_scored_run, pages
from fastapi.testclient import TestClient
from pydantic import TypeAdapter
from sqlalchemy import Engine

from rag_bench.api.eval_runs.compare import Comparison
from rag_bench.settings import PROJECT_ROOT
from rag_bench.store.access.audit import actions

A, B = "0199aaaa", "0199bbbb"
FIELDS = {
    *("a", "b", "verdict", "alpha", "margin", "paired_by", "n_pairs", "n_pages"),
    *("n_pairs_with_page", "n_tests", "metrics", "metrics_only_in_a", "metrics_only_in_b"),
    *("inputs", "n_worse", "n_better", "n_unpaired", "worse", "better", "unpaired"),
    *("cases_only_in_a", "cases_only_in_b", "next_offset", "never_checked_against_people"),
}
OF_A_METRIC = {
    *("metric", "verdict", "better", "reason", "higher_is_better", "a", "b", "difference"),
    *("ci_low", "ci_high", "margin", "p_value", "p_exact", "p_adjusted", "method"),
    *("minimum_detectable", "n_pairs", "n_expected", "n_pages", "needed", "unpaired", "note"),
    "across_bridge",
    "never_checked_against_people",
}


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    cases = pages(60, 2, {"ragas_faithfulness": [0.9, 0.8], "own": [1.0]})
    a_scored_run(engine, A, cases)
    worse = [
        replace(case, scores={"ragas_faithfulness": 0.2, "own": 1.0}) if n % 6 == 0 else case
        for n, case in enumerate(cases)
    ]
    a_scored_run(engine, B, worse)
    with reader(engine) as made:
        yield made


def asked(client: TestClient, **parameters: Any) -> dict[str, Any]:
    reply = client.get("/eval/compare", params=parameters)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


def test_two_runs_are_compared_and_the_lists_come_in_pages(
    client: TestClient, engine: Engine
) -> None:
    found = asked(client, a=A, b=B, limit=8)
    assert found.keys() == FIELDS
    assert {frozenset(one) for one in found["metrics"]} == {frozenset(OF_A_METRIC)}
    TypeAdapter(Comparison).validate_python(found)
    assert (found["verdict"], found["n_tests"]) == ("got worse", 1)
    assert (found["n_worse"], len(found["worse"]), found["next_offset"]) == (20, 8, 8)
    rest = [asked(client, a=A, b=B, limit=8, offset=offset) for offset in (8, 16)]
    assert [len(one["worse"]) for one in rest] == [8, 4]
    assert rest[1]["next_offset"] is None
    ids = [case["case_id"] for one in (found, *rest) for case in one["worse"]]
    assert sorted(ids) == sorted(f"q{n}" for n in range(0, 120, 6))
    assert asked(client, a=A, b=B, metric="own", higher="own")["verdict"] == "cannot tell"
    assert asked(client, a=B, b=A, metric="ragas_faithfulness")["verdict"] == (
        "no worse than the margin"
    )
    assert {one.run_id for one in actions(engine)} == {A, B}


def test_every_field_is_in_the_docs() -> None:
    text = (PROJECT_ROOT / "docs/compare.md").read_text(encoding="utf-8")
    assert {name for name in FIELDS | OF_A_METRIC if f"`{name}`" not in text} == set()


@pytest.mark.parametrize(
    ("parameters", "status", "where"),
    [
        ({"a": A, "b": "nothing"}, 404, "b"),
        ({"a": "999", "b": B}, 404, "a"),
        ({"a": "0199", "b": B}, 400, "a"),
        ({"a": A}, 400, "b"),
        ({"a": A, "b": B, "metric": "no_such"}, 400, "metric"),
        ({"a": A, "b": B, "higher": "no_such"}, 400, "higher"),
        ({"a": A, "b": B, "lower": "no_such"}, 400, "lower"),
        (
            {"a": A, "b": B, "higher": "ragas_faithfulness", "lower": "ragas_faithfulness"},
            400,
            "higher",
        ),
        ({"a": A, "b": B, "margin": "0"}, 400, "margin"),
        ({"a": A, "b": B, "margin": "nan"}, 400, "margin"),
        ({"a": A, "b": B, "limit": "1001"}, 400, "limit"),
        ({"a": A, "b": B, "colour": "red"}, 400, "colour"),
        ({"a": A, "b": "\x00"}, 400, "b"),
    ],
)
def test_what_is_wrong_is_located(
    client: TestClient, parameters: dict[str, str], status: int, where: str
) -> None:
    reply = client.get("/eval/compare", params=parameters)
    assert reply.status_code == status, reply.text
    assert [one["parameter"] for one in reply.json()["errors"]] == [where]


def test_the_gate_answers_where_it_is_asked(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By default one metric of tier 3 decides, which these runs do not have.
    found = asked(client, a=A, b=B, gate=True)
    assert found.keys() == {*FIELDS, "gate"}
    assert (found["gate"]["outcome"], found["gate"]["missing"]) == (
        "held",
        {"rubric_e2e_quality": "critical"},
    )
    rules = tmp_path / "gate.toml"
    rules.write_text('[critical]\nragas_faithfulness = "default"\n', encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_GATE", str(rules))
    gate = asked(client, a=A, b=B, gate=True)["gate"]
    assert (gate["outcome"], gate["may_i_release"]) == ("failed", "Do not release.")
    assert gate["metrics"][0]["class"] == "critical"
    rules.write_text("[critical]\nragas_faithfulness = -1\n", encoding="utf-8")
    reply = client.get("/eval/compare", params={"a": A, "b": B, "gate": "true"})
    assert (reply.status_code, reply.json()["code"]) == (500, "INTERNAL_ERROR")
    assert "RAG_BENCH_GATE: [critical] ragas_faithfulness is a positive" in reply.json()["detail"]
    assert str(tmp_path) not in reply.text
    rules.write_text('[critical]\nragas_faithfulness = "default"\n', encoding="utf-8")
    # Sixty pages that all agree do not rule a margin of five points out: that is not a pass.
    same = asked(client, a=A, b=A, gate=True)["gate"]
    assert (same["outcome"], same["may_i_release"]) == ("held", "Do not release yet.")
    assert "would decide" in same["metrics"][0]["reason"]
