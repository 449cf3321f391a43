"""Runs as the tables hold them, for tests of what is read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, insert, update

from rag_bench.store.eval_runs.tables import eval_event, eval_run, eval_run_case

CONFIG = {
    "eval_types": ["ragas"],
    "metrics": [],
    "generation_model": "simulator/sim-strong",
    "judge_model": "simulator/sim-judge",
    "retriever": "default",
    "top_k": 10,
    "contexts_per_answer": 3,
    "dataset_id": None,
    "dump_sha256": None,
}


def result(case_id: Any, faithfulness: float | None = 0.8, **more: Any) -> dict[str, Any]:
    return {
        "case_id": case_id,
        "faithfulness": faithfulness,
        "answer_relevancy": None,
        "context_precision": None,
        "context_recall": None,
        "llm_answer": "Да [1].",
        "citations_used": ["chunk_001"],
        "flags": [],
        "errors": None,
        "metrics": {"rougeL_f": 0.5},
        **more,
    }


def a_run(
    engine: Engine, run_id: str, results: list[dict[str, Any] | None] | None = None, **columns: Any
) -> str:
    """Store a run with a case for each result; None: nothing came of it yet."""
    results = [result(1)] if results is None else results
    with engine.begin() as connection:
        connection.execute(
            insert(eval_run).values(
                **{
                    "id": run_id,
                    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
                    "user_id": "anna",
                    "subject": "key:x",
                    "status": "succeeded",
                    "mode": "async",
                    "place": "service",
                    "n_cases": len(results),
                    "config": CONFIG,
                    **columns,
                }
            )
        )
        rows = [
            {
                "run_id": run_id,
                "position": position,
                "case_id": str(position + 1),
                "given": {"question": "Можно?"},
                "result": one,
                "errored": bool(one and one["errors"]),
                "flagged": bool(one and one["flags"]),
            }
            for position, one in enumerate(results)
        ]
        if rows:
            connection.execute(insert(eval_run_case), rows)
    return run_id


def an_event(connection: Connection, run_id: str, kind: str, **data: Any) -> int:
    """Append an event and return its id."""
    query = insert(eval_event).values(run_id=run_id, kind=kind, data=data)
    return int(connection.execute(query.returning(eval_event.c.id)).scalar_one())


def change(connection: Connection, run_id: str, **columns: Any) -> None:
    """Write columns of a run, as whoever executes it does."""
    columns["version"] = eval_run.c.version + 1
    connection.execute(update(eval_run).where(eval_run.c.id == run_id).values(columns))


def request_of(n: int = 1, **more: Any) -> dict[str, Any]:
    """A request for a run of cases that bring all they need: nobody is asked, nothing retrieved."""
    cases = [
        {
            "question": f"Можно ли оплатить заказ {number} картой?",
            "ground_truth_answer": "Да, картой можно.",
            "answer": f"Да, заказ {number} можно оплатить картой [1].",
            "contexts": ["Заказ можно оплатить картой или наличными."],
        }
        for number in range(n)
    ]
    return {"cases": cases, "eval_type": "retrieval", "metrics": ["ROUGE"], **more}
