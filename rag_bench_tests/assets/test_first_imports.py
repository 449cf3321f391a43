"""Nothing is imported for the first time beside running cells: whoever looks into `sys.modules` at
that moment (openai does, for every reply) finds half-made modules, and the sweep ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import first_imports
import pytest
from local_provider import LocalProvider, serving
from small_world import World, failure
from users_questions import ask
from world_data import url_of

from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.simulator.answer_key import answer_key_from_database
from rag_bench.store import snapshots
from rag_bench.tiers.base.cells import Cell, run_cells
from rag_bench_tests.retrieval.rerankers.local_reranker import LocalReranker

pytestmark = pytest.mark.long

JUDGES = ["simulator/sim-judge-sharp"]
GATES = ["simulator/sim-gate-balanced"]


def swept(request: dict[str, Any], **environment: str) -> dict[str, Any]:
    """Run a sweep in a process that has imported nothing and loaded no encoder."""
    result = subprocess.run(
        [sys.executable, str(Path(first_imports.__file__)), json.dumps(request)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_a_sweep_over_a_store_that_has_its_vectors_imports_nothing_beside_its_cells(
    free_world: World,
) -> None:
    """All tiers, RAGAS and BERTScore, of a model in this process, one over HTTP and a dead one:
    only the answers are without vectors, so the encoder is needed first when a cell is finished.
    """
    with LocalProvider(lambda: answer_key_from_database(free_world.engine)).serving() as server:
        found = swept(
            {
                "models": [["simulator/sim-strong", "x/sim-weak", "gone/m"], JUDGES, GATES],
                "tiers": ["2", "3", "judge", "judge_pipeline"],
                "benchmark": {"limit": 3},
                "options": ["ragas", "custom_metrics"],
            },
            PROVIDER_X_BASE_URL=server.url.replace("127.0.0.1", "localhost"),
            PROVIDER_X_API_KEY="sk-local",
            PROVIDER_GONE_BASE_URL="http://127.0.0.1:1/v1",
            PROVIDER_GONE_API_KEY="sk-gone",
            RAG_BENCH_MAX_RETRIES="0",
            RAG_BENCH_BERTSCORE_MODEL="encoder",
        )
    assert found["imports"] == []
    assert all("gone/m" in message for message in found["failed"]), found["failed"]
    assert free_world.count("evaluation", "kind = 'answers' and status = 'succeeded'") == 4
    assert free_world.count("evaluation", "kind = 'ragas'") == 5
    assert free_world.count("evaluation", "kind = 'custom'") == 4


def test_live_assistants_import_nothing_beside_their_cells(free_world: World) -> None:
    """In JSON and in events, with what their contexts are found and measured by."""
    current = snapshots.require_current(free_world.engine)
    with serving(snapshots.chunks_of(free_world.engine, current.sha256)) as assistant:
        found = swept(
            {
                "models": [["target/desk", "target/flow"], JUDGES, GATES],
                "tiers": ["3"],
                "benchmark": {"limit": 3},
                "options": [],
            },
            TARGET_DESK_URL=assistant.url,
            TARGET_DESK_CONTEXTS="/sources/*/text",
            TARGET_FLOW_URL=f"{assistant.url}/stream",
            TARGET_FLOW_ANSWER="/delta",
            TARGET_FLOW_IDS="/sources/*/id",
        )
    assert found["imports"] == []
    assert found["failed"] == []
    assert free_world.count("evaluation", "kind = 'answers' and status = 'succeeded'") == 2


def test_a_rerank_service_imports_nothing_beside_its_calls(
    free_world: World, tmp_path: Path
) -> None:
    """Tier 1 has jobs where its retriever asks somebody, and is measured when they have ended."""
    path = tmp_path / "retrievers.toml"
    with LocalReranker().serving() as service:
        path.write_text(
            '[retrievers.asks]\nsearch = "hybrid"\nreranker = "service"\n'
            f'[rerankers.service]\nkind = "http"\nurl = "{service.url}"\nmodel = "m"\n'
        )
        found = swept(
            {
                "models": [["simulator/extractive"], JUDGES, GATES],
                "tiers": ["1"],
                "benchmark": {"retriever": "asks"},
                "options": [],
            },
            RAG_BENCH_RETRIEVERS=str(path),
        )
    assert found["failed"] == []
    assert found["imports"] == []
    assert service.count > 0


def test_masking_for_judges_imports_nothing_beside_their_cells(free_world: World) -> None:
    """What judges read of answers to users' questions is masked."""
    answer = "Глеб Ильич Зоркин, +44 20 7946 0958. Одна комната стоит 940 рублей в месяц."
    page = url_of("obshezhitie")
    rows = [
        {"question": f"сколько стоит комната {n}?", "answer": answer, "page_url": page}
        for n in range(3)
    ]
    ask(free_world, *rows)
    made = free_world.run(["traffic_dataset"])
    assert made.success, failure(made)
    found = swept(
        {
            "models": [["simulator/sim-weak", PRODUCTION_LOG.key], JUDGES, GATES],
            "tiers": ["3"],
            "benchmark": {"dataset": "traffic"},
            "options": ["ragas"],
        }
    )
    assert found["failed"] == []
    assert found["imports"] == []
    assert free_world.count("evaluation", "kind in ('scores', 'ragas')") == 5


def test_what_is_imported_by_a_finishing_cell_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watch itself: or the test above could not fail."""
    (tmp_path / "never_before.py").write_text("")
    (tmp_path / "rehearsed_before.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    for name in ("__aenter__", "__aexit__"):
        monkeypatch.setattr(asyncio.TaskGroup, name, getattr(asyncio.TaskGroup, name))
    watch = first_imports.FirstImports()
    first_imports.watch_cells(watch)

    def rehearse() -> None:
        import rehearsed_before  # type: ignore[import-not-found]  # noqa: F401

    def finish(results: Sequence[object]) -> None:
        import never_before  # type: ignore[import-not-found]
        import rehearsed_before  # noqa: F401

        assert never_before

    async def job() -> None:
        await asyncio.sleep(0)

    cells = [Cell("a", "x", [job], finish, rehearse)]
    asyncio.run(run_cells(cells, lambda _: 1, lambda *_: None, lambda *_: None))
    assert [(one["module"], one["main"]) for one in watch.found()] == [("never_before", False)]
