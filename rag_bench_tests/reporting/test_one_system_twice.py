"""What is one system measured twice passes by construction; what may have changed must be shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from measured import metric
from sqlalchemy import Engine, update

from rag_bench.reporting.compared.gate import gate
from rag_bench.reporting.compared.policy import DEFAULT_RULES
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations import Case, NewEvaluation, save_evaluation
from rag_bench.store.tables import evaluation

QUALITY = "rubric_e2e_quality"
PAGES = 60


def measured(engine: Engine, n: int, *, commit: str | None = "c0ffee", **changed: Any) -> str:
    items = [Item(f"i{k}", f"Вопрос {k}?", "да", page_urls=(f"p{k // 2}",)) for k in range(120)]
    data = save_dataset(engine, "gold", "manual", items).id
    last = changed.pop("last", 3.0)
    scores = [float(3 + k % 3) for k in range(119)] + [last]
    given: dict[str, Any] = {
        "tier": "3",
        "kind": "scores",
        "settings_hash": f"{n:016x}",
        "settings": {"top_k": 5},
        "input_hash": f"hash-{n}",
        "started_at": datetime.now(UTC),
        "generation_model": "alpha/g1",
        "benchmark_judge_model": "beta/j1",
        "dataset_id": data,
        "prompt_hash": "prompts-1",
        "code_version": "7",
        "metrics": {QUALITY: metric(4.0)},
        "inputs": {"answers_hash": "same"},
    }
    cases = [Case(f"i{k}", scores={QUALITY: score}) for k, score in enumerate(scores)]
    stored = save_evaluation(engine, NewEvaluation(**{**given, **changed}), cases, n_scored=120)
    with engine.begin() as connection:
        where = evaluation.c.id == stored.id
        connection.execute(update(evaluation).where(where).values(git_commit=commit))
    return str(stored.id)


def test_one_system_is_no_worse_by_construction(engine: Engine) -> None:
    found = gate(engine, measured(engine, 1), measured(engine, 2), DEFAULT_RULES)
    assert found.outcome == "passed"
    [one] = found.as_json()["metrics"]
    assert one["verdict"] == "no worse than the margin"
    assert one["reason"].startswith("by construction")


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt_hash": "prompts-2"},
        {"commit": "decaf0"},
        {"commit": None},
        {"settings": {"top_k": 6}},
        {"code_version": "8"},
        {"generation_model": "target/helpdesk"},
    ],
)
def test_what_may_have_changed_takes_more_pages(engine: Engine, changed: dict[str, Any]) -> None:
    both = {k: v for k, v in changed.items() if k == "generation_model" or v is None}
    found = gate(engine, measured(engine, 1, **both), measured(engine, 2, **changed), DEFAULT_RULES)
    assert found.outcome == "held"
    [one] = found.as_json()["metrics"]
    # 1 - .025^(1/60) = .0596, of a scale of four points .238: more than the margin of .2.
    assert one["ci_low"] == pytest.approx(-0.2384, abs=1e-3)
    assert one["reason"] == (
        "cannot tell; 144 questions of 72 pages would decide; no pair differs, but of pages not "
        "asked 6.0% may"
    )


def test_one_pair_that_differs_is_no_construction(engine: Engine) -> None:
    found = gate(engine, measured(engine, 1), measured(engine, 2, last=5.0), DEFAULT_RULES)
    [one] = found.as_json()["metrics"]
    assert not (one["reason"] or "").startswith("by construction")
    assert one["difference"] > 0
