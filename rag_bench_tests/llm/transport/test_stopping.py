"""A stopped run ends as the signal's own handler ends it, and says what its work ended with."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from rag_bench.errors import RagBenchError
from rag_bench.llm.transport.stopping import current_stop, run_stoppable


def test_a_fault_after_the_signal_is_the_interruptions_cause() -> None:
    async def work() -> None:
        stop = current_stop()
        assert stop is not None
        os.kill(os.getpid(), signal.SIGINT)
        while not stop.requested:
            await asyncio.sleep(0)
        raise RagBenchError("The database is gone.")

    with pytest.raises(KeyboardInterrupt) as interrupted:
        run_stoppable(work)
    assert isinstance(interrupted.value.__cause__, RagBenchError)


def test_work_that_ended_well_is_interrupted_all_the_same() -> None:
    async def work() -> int:
        stop = current_stop()
        assert stop is not None
        os.kill(os.getpid(), signal.SIGINT)
        while not stop.requested:
            await asyncio.sleep(0)
        return 1

    with pytest.raises(KeyboardInterrupt) as interrupted:
        run_stoppable(work)
    assert interrupted.value.__cause__ is None


def test_without_a_signal_a_fault_is_itself() -> None:
    async def work() -> None:
        raise RagBenchError("no")

    with pytest.raises(RagBenchError, match="no"):
        run_stoppable(work)
