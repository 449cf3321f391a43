"""No personal data of users' questions leaves the dump, and what judges read is masked alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from local_provider import LocalProvider
from small_world import LAB, OFFLINE, World
from starlette.responses import Response
from users_questions import (
    LOG,
    ask,
    bench_of,
    make,
    materialize,
)
from world_data import CHUNKS, url_of

from rag_bench.partitions import ModelLists
from rag_bench.store import datasets

PERSONAL = (
    "anna.sidorova@example.com",
    "+7 912 345-67-89",
    "@anna_sidorova77",
    "4509123456",
    "https://t.me/anna_sidorova77",
)
PLANTED = (
    {
        "question": f"меня зовут так: {PERSONAL[0]}, телефон {PERSONAL[1]}, сколько стоит комната?",
        "answer": f"Комната стоит 940 рублей. Пишите {PERSONAL[2]}, номер дела {PERSONAL[3]}.",
        "page_url": url_of("obshezhitie"),
        "score": 5,
    },
    {
        "question": f"потерял билет {PERSONAL[3]}, как взять книгу? отвечайте {PERSONAL[4]}",
        "answer": f"Six books for 30 days; call {PERSONAL[1]} or write to {PERSONAL[0]}.",
        "page_url": f"https://help.example.org/{PERSONAL[3]}?mail={PERSONAL[0]}",
        "score": 1,
    },
)


def test_no_personal_data_leaves_the_dump(
    asked: World, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted in questions, answers and an address: none of it arrives at any provider, and none
    stands in the dataset, the ledger, results, reports or Dagster's records.
    """
    ask(asked, *PLANTED)
    made = make(asked, name="planted")
    sent: list[str] = []

    async def spy(body: dict[str, Any], number: int) -> Response | None:
        sent.append(json.dumps(body, ensure_ascii=False))
        return None

    provider.misbehave = spy
    models = ModelLists(
        ["x/sim-strong", LOG],
        ["x/sim-judge-sharp", "x/sim-judge-noisy"],
        OFFLINE.production_judges[:1],
    )
    settings = {"dataset": "planted"}
    materialize(asked, "tier1_retrieval", "tier3_answers", models=models, **settings)
    n_generated = len(sent)
    materialize(asked, "tier3_scores", "tier3_ragas_scores", models=models, **settings)
    materialize(asked, *LAB, models=models, **settings)
    assert n_generated
    assert sum("940 рублей" in body for body in sent) > 2
    assert sum("[number]" in body for body in sent) > 2

    items = datasets.items_of(asked.engine, bench_of(asked, **settings).dataset.id)
    assert sum("[e-mail]" in item.question for item in items) == 1
    places = {"sent": "\n".join(sent), "metadata": str(made)}
    for table in ("dataset", "dataset_item", "llm_call", "evaluation", "evaluation_case"):
        rows = asked.rows(f"select to_jsonb(t)::text as said from rag_bench.{table} as t")
        assert rows, table
        places[table] = "\n".join(row["said"] for row in rows)
    places["reports"] = "\n".join(
        path.read_text(encoding="utf-8") for path in asked.reports.rglob("*") if path.is_file()
    )
    assert LOG in places["reports"]
    places["events"] = "\n".join(
        str(entry)
        for run in asked.instance.get_runs()
        for entry in asked.instance.all_logs(run.run_id)
    )
    assert "traffic_dataset" in places["events"]
    for place, text in places.items():
        for personal in (*PERSONAL, "anna", "345-67"):
            assert personal not in text, (place, personal)


def test_both_sides_are_masked_alike_before_a_judge(asked: World) -> None:
    """What a chunk quotes is masked as well, or the log's masked answer would contradict it."""
    phone = "8 (3452) 59-77-77"
    with asked.engine.begin() as connection:
        connection.exec_driver_sql(
            "update rag_bench.chunk set text = text || ' Телефон: " + phone + ".' "
            "where text like 'Оплата общежития%%'"
        )
    assert "940" in CHUNKS[3][1]
    chunks = ("chunk_embeddings", "tier1_retrieval")
    materialize(asked, *chunks, "tier3_answers", "tier3_scores")
    rows = asked.rows("select role, request::text as said from rag_bench.llm_call")
    judged = [row["said"] for row in rows if row["role"] == "benchmark_judge"]
    given = [row["said"] for row in rows if row["role"] == "generation"]
    assert any("940 рублей" in said and "[number]" in said for said in judged)
    assert not any(phone in said for said in judged)
    assert any(phone in said for said in given)  # the model writes from the chunk as it is
