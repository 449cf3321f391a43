"""Made-up evaluations as the tiers store them: what leaderboard and reports are read from."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine

from rag_bench.evaluation.types import Metric
from rag_bench.store.datasets import DatasetInfo, Item, save_dataset
from rag_bench.store.evaluations import (
    Case,
    Kind,
    NewEvaluation,
    StoredEvaluation,
    save_evaluation,
)

GENERATORS = ("alpha/g1", "alpha/g2")
JUDGES = ("beta/j1", "beta/j2")
GATES = ("gamma/p1", "gamma/p2")


def metric(value: float | None, n: int = 20, of: int = 20, half: float = 0.1) -> dict[str, Any]:
    """A metric as the tiers store it."""
    if value is None:
        return Metric(None, 0, of).to_json()
    return Metric(value, n, of, value - half, value + half).to_json()


def dataset(engine: Engine, name: str = "gold", kind: str = "manual", n: int = 20) -> DatasetInfo:
    return save_dataset(engine, name, kind, [Item(f"{i}", f"Вопрос {i}?") for i in range(n)])


def store(
    engine: Engine,
    tier: str,
    kind: Kind,
    metrics: Mapping[str, Any],
    *,
    generation: str | None = None,
    judge: str | None = None,
    gate: str | None = None,
    settings: str = "settings-1",
    dataset_id: str | None = None,
    input_hash: str | None = None,
    cases: Sequence[Case] = (),
    n_scored: int | None = None,
    n_retryable: int = 0,
    inputs: Mapping[str, Any] | None = None,
) -> StoredEvaluation:
    """Append an evaluation; with no cases it has succeeded."""
    new = NewEvaluation(
        tier=tier,
        kind=kind,
        settings_hash=settings,
        settings={"name": settings},
        input_hash=input_hash or uuid.uuid4().hex,
        started_at=datetime.now(UTC),
        generation_model=generation,
        benchmark_judge_model=judge,
        production_judge_model=gate,
        dataset_id=dataset_id,
        metrics=metrics,
        n_retryable=n_retryable,
        inputs=inputs or {},
    )
    return save_evaluation(
        engine, new, cases, n_scored=len(cases) if n_scored is None else n_scored
    )


def store_failed(engine: Engine, tier: str, kind: Kind, **models: Any) -> StoredEvaluation:
    """Append an evaluation in which no case has a result."""
    case = Case("0", error_code="LLM_FAILED", error_detail="HTTP 500")
    return store(engine, tier, kind, {}, cases=[case], n_scored=0, **models)


def store_sweep(
    engine: Engine,
    *,
    settings: str = "settings-1",
    generators: Mapping[str, float] | None = None,
    judges: Sequence[str] = JUDGES,
    gates: Mapping[str, float] | None = None,
    name: str = "gold",
) -> DatasetInfo:
    """Append what a whole sweep leaves: tiers 0 to 3 and the production judges.

    ``generators`` maps a model to its end-to-end quality, ``gates`` a judge to its F1.
    """
    made = dataset(engine, name)
    common = {"settings": settings, "dataset_id": made.id}
    store(engine, "0", "metrics", {"avg_nn_distance": metric(0.2)}, **common)
    store(engine, "1", "metrics", {"chunk_mrr": metric(0.9)}, **common)
    for generator, quality in (generators or {GENERATORS[0]: 4.5, GENERATORS[1]: 3.5}).items():
        for tier in ("2", "3"):
            store(
                engine,
                tier,
                "answers",
                {"semantic_similarity": metric(quality / 5), "rougeL_f": metric(quality / 10)},
                generation=generator,
                **common,
            )
        for judge in judges:
            names = ("rubric_faithfulness", "rubric_answer_relevance", "rubric_answer_correctness")
            for tier, measures in (("2", names), ("3", ("rubric_e2e_quality",))):
                store(
                    engine,
                    tier,
                    "scores",
                    {measure: metric(quality) for measure in measures},
                    generation=generator,
                    judge=judge,
                    **common,
                )
    for gate, f1 in (gates or {GATES[0]: 0.8, GATES[1]: 0.9}).items():
        store(engine, "judge_pipeline", "scores", {"f1_score": metric(f1)}, gate=gate, **common)
    return made
