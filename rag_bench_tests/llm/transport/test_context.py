"""The context of a call: numbering of replicates, and reach over tasks."""

from __future__ import annotations

import asyncio

import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.llm.transport.context import (
    call_context,
    current_context,
    current_role,
    role_of_call,
)


def test_identical_requests_are_numbered_within_a_context_object() -> None:
    with call_context("judge", "q", repeat=2) as context:
        assert [context.next_replicate("a") for _ in range(3)] == [2000, 2001, 2002]
        assert context.next_replicate("b") == 2000
    with call_context("judge", "q", repeat=2) as again:
        assert again.next_replicate("a") == 2000


def test_a_repeat_does_not_run_into_the_next() -> None:
    with call_context("judge", "q") as context:
        for _ in range(1000):
            context.next_replicate("a")
        with pytest.raises(ConfigurationError, match="identical requests"):
            context.next_replicate("a")
    with pytest.raises(ConfigurationError, match="negative"), call_context("j", "q", repeat=-1):
        pass


def test_contexts_nest_and_reach_the_tasks_started_in_them() -> None:
    async def seen() -> tuple[str, str]:
        context = current_context()
        assert context is not None
        return context.case_id, current_role()

    async def one(case: str) -> list[tuple[str, str]]:
        with call_context("judge", case):
            inside = await asyncio.gather(seen(), asyncio.create_task(seen()))
            with role_of_call("generation"):
                inside.append(await seen())
            return inside

    async def run() -> list[list[tuple[str, str]]]:
        return await asyncio.gather(one("q1"), one("q2"))

    assert asyncio.run(run()) == [
        [(case, "judge"), (case, "judge"), (case, "generation")] for case in ("q1", "q2")
    ]
    assert current_context() is None
    assert current_role() == "unknown"
