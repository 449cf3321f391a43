"""Every way in which an assistant fails, each on a question of its own, as JSON and as events.

As of a provider: a case ends with the code of its fault, is expected and not scored, harms no
other, and is asked again when the assistant works; nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from local_provider import LocalAssistant, serving
from small_world import OFFLINE, World, failure
from world_data import GOLD

from rag_bench.llm.transport import client
from rag_bench.llm.transport.limits import Limits
from rag_bench.partitions import ModelLists
from rag_bench.store import snapshots

N = len(GOLD)
TOKEN = "tok-planted-0123456789"
# name: the code that it ends with, whether the next run asks again by itself
FAULTS = {
    "limited": ("LLM_FAILED", True),
    "500": ("LLM_FAILED", True),
    "503": ("LLM_FAILED", True),
    "404": ("LLM_FAILED", True),
    "cut": ("LLM_FAILED", True),
    "hang": ("TIMEOUT", True),
    "drip": ("TIMEOUT", True),
    "error_in_200": ("LLM_FAILED", True),
    "redirect": ("LLM_FAILED", True),
    "echo": ("LLM_FAILED", True),
    "empty": ("LLM_FAILED", False),
    "garbage": ("LLM_FAILED", False),
    "other_shape": ("LLM_FAILED", False),
    "empty_answer": ("LLM_FAILED", False),
    "huge": ("LLM_FAILED", False),
    "stream_error": ("LLM_FAILED", True),
}
#: Each question of one target meets one; what is left over, the other target meets.
OF_JSON = dict(list(FAULTS.items())[: N - 1])
OF_STREAM = dict(list(FAULTS.items())[-(N - 1) :])


@pytest.fixture
def assistant(free_world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAssistant]:
    """The example as two targets: `desk` replies in JSON, `flow` in events; waits are short."""
    monkeypatch.setattr(client, "Limits", partial(Limits, backoff_base=0.01, backoff_max=0.05))
    current = snapshots.require_current(free_world.engine)
    chunks = snapshots.chunks_of(free_world.engine, current.sha256)
    with serving(chunks, {"ASSISTANT_TOKEN": TOKEN}) as assistant:
        monkeypatch.setenv("DESK_TOKEN", TOKEN)
        monkeypatch.setenv("RAG_BENCH_MAX_RETRIES", "0")
        for name in ("DESK", "FLOW"):
            monkeypatch.setenv(f"TARGET_{name}_HEADERS", "Authorization=Bearer $DESK_TOKEN")
            monkeypatch.setenv(f"TARGET_{name}_TIMEOUT", "4")
            monkeypatch.setenv(f"TARGET_{name}_IDS", "/sources/*/id")
        monkeypatch.setenv("TARGET_DESK_URL", assistant.url)
        monkeypatch.setenv("TARGET_FLOW_URL", f"{assistant.url}/stream")
        monkeypatch.setenv("TARGET_FLOW_ANSWER", "/delta")
        yield assistant


def measured(world: World, target: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    [row] = world.rows(
        "select id, metrics, errors, status from rag_bench.evaluation where kind = 'answers' "
        "and tier = '3' and generation_model = :model order by id desc limit 1",
        model=target,
    )
    cases = world.rows(
        "select case_id, error_code, error_detail, scores, answer from rag_bench.evaluation_case "
        "where evaluation_id = :id",
        id=row["id"],
    )
    return dict(row), {case["case_id"]: case for case in cases}


@pytest.mark.parametrize(("target", "faults"), [("desk", OF_JSON), ("flow", OF_STREAM)])
def test_every_fault_ends_as_its_code_and_is_mended_alone(
    target: str, faults: dict[str, tuple[str, bool]], free_world: World, assistant: LocalAssistant
) -> None:
    assert set(OF_JSON) | set(OF_STREAM) == set(FAULTS)
    key = f"target/{target}"
    only = ModelLists([key], OFFLINE.benchmark_judges[:1], OFFLINE.production_judges)
    questions = [question for question, _, _ in GOLD]
    planned = dict(zip(questions, faults, strict=False))
    assistant.faults |= planned
    first = free_world.run(["tier3_answers"], only)
    assert "1 of the cells are not complete" in failure(first)
    row, cases = measured(free_world, key)
    assert row["status"] == "partial", [c["error_detail"] for c in cases.values()]
    codes = {}
    for number, question in enumerate(questions):
        case = cases[f"вопрос-{number:02}"]
        if question in planned:
            codes[planned[question]] = case["error_code"]
            assert case["answer"] is None
            assert not any(v is not None for v in case["scores"].values()), planned[question]
            assert f"{key}: " in case["error_detail"]
            assert TOKEN not in case["error_detail"]
        else:
            assert case["error_code"] is None
    assert codes == {name: faults[name][0] for name in faults}
    for name in ("target_chunk_mrr", "semantic_similarity", "target_contexts"):
        metric = row["metrics"][name]
        assert (metric["n_scored"], metric["n_expected"]) == (N - len(faults), N), name

    # No secret is kept anywhere.
    for table in ("llm_call", "evaluation", "evaluation_case"):
        text = f"select count(*) as n from rag_bench.{table} as t where t::text like :secret"
        assert free_world.rows(text, secret=f"%{TOKEN}%")[0]["n"] == 0, table

    # The next run asks only what may pass; what came and could not be read only on demand.
    assistant.faults.clear()
    before = assistant.count
    again = sum(by_itself for _, by_itself in faults.values())
    result = free_world.run(["tier3_answers"], only)
    assert result.success, failure(result)
    assert assistant.count - before == again
    before = assistant.count
    mended = free_world.run(["tier3_answers"], only, benchmark={"retry_failed": True})
    assert mended.success, failure(mended)
    assert assistant.count - before == len(faults) - again
    row, _ = measured(free_world, key)
    assert (row["status"], row["errors"]) == ("succeeded", {})


def test_a_target_that_is_not_there_is_said_so(
    free_world: World, assistant: LocalAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARGET_DESK_URL", "http://127.0.0.1:9/ask")
    only = ModelLists(["target/desk"], OFFLINE.benchmark_judges[:1], OFFLINE.production_judges)
    said = failure(free_world.run(["tier3_answers"], only))
    assert "is the assistant up, and is TARGET_DESK_URL its address?" in said.replace("Is", "is")
