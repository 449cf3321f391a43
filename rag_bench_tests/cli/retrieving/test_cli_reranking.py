"""A sweep whose retriever has a rerank service, from the command line: plan, caps, and the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_world import World
from world_data import GOLD

from rag_bench_tests.retrieval.rerankers.local_reranker import LocalReranker

TABLES = """
[retrievers.words]
search = "bm25"
reranker = "service"

[rerankers.service]
kind = "http"
url = "{url}"
model = "ranker-2"
provider = "shop"
"""
PRICES = """
[shop.ranker-2]
usd_per_call = 0.01
date = 2030-01-31
source = "invented"
"""


def test_a_plan_then_a_capped_sweep_then_the_rest(
    rag_bench: Any, free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", free_world.url)
    monkeypatch.setenv("RAG_BENCH_DATA_DIR", str(free_world.data))
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(tmp_path / "retrievers.toml"))
    monkeypatch.setenv("RAG_BENCH_PRICES", str(tmp_path / "prices.toml"))
    (tmp_path / "prices.toml").write_text(PRICES, encoding="utf-8")
    chosen = ("--tier", "1", "--retriever", "words")
    with LocalReranker().serving() as service:
        (tmp_path / "retrievers.toml").write_text(TABLES.format(url=service.url), encoding="utf-8")
        planned = rag_bench("sweep", "--plan", *chosen)
        assert planned.code == 0, planned.err
        n = len({question for question, _, _ in GOLD}) - 1  # one shares no word with any chunk
        assert f"{n} calls to send" in planned.out
        assert "shop/ranker-2" in planned.out
        assert f"cost: {n / 100:.4f} USD" in planned.out
        assert service.count == 0

        capped = rag_bench("sweep", "--max-calls", 5, *chosen)
        assert capped.code == 1
        assert "stopped at its cap after 5 calls" in capped.err
        assert service.count == 5

        rest = rag_bench("sweep", "--max-cost", "0.5", *chosen)
        assert rest.code == 0, rest.err
        assert service.count == n
        assert "0 calls to send" in rag_bench("sweep", "--plan", *chosen).out
