from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from rag_bench.errors import RagBenchError
from rag_bench.retrieval.ahead import BLOCK, EncodingAhead
from rag_bench.tiers.base.cells import Cell, run_cells


class Recorder:
    """Encodes nothing; notes what it is given, when it is let."""

    def __init__(self) -> None:
        self.blocks: list[list[str]] = []
        self.free = threading.Event()
        self.begun = threading.Event()
        self.error: Exception | None = None

    def __call__(self, texts: Sequence[str]) -> None:
        self.begun.set()
        assert self.free.wait(60)
        if self.error:
            raise self.error
        self.blocks.append(list(texts))


def nobody(done: int, given: int) -> None:
    pass


def test_each_text_is_encoded_once_and_in_blocks() -> None:
    encode, told = Recorder(), list[tuple[int, int]]()
    ahead = EncodingAhead(encode, lambda done, given: told.append((done, given)))
    texts = [f"text {n}" for n in range(2 * BLOCK)]
    ahead.add(texts[:1])
    assert encode.begun.wait(60)  # the others come while the first is encoded
    ahead.add(texts)
    ahead.add(texts[:3])
    encode.free.set()
    ahead.wait(texts)
    assert [text for block in encode.blocks for text in block] == texts
    assert max(map(len, encode.blocks)) == BLOCK
    ahead.add(["later"])  # by another thread: the first has ended
    ahead.wait(["later"])
    assert encode.blocks[-1] == ["later"]
    assert all(done <= given for done, given in told)


def test_waiting_for_some_does_not_wait_for_others() -> None:
    encode = Recorder()
    ahead = EncodingAhead(encode, nobody)
    ahead.add(["slow"])
    ahead.wait(["never given"])
    assert encode.blocks == []
    encode.free.set()
    ahead.wait(["slow"])


def test_an_error_is_told_to_whoever_waits_and_whoever_gives() -> None:
    encode = Recorder()
    encode.error = RagBenchError("the process ended")
    ahead = EncodingAhead(encode, nobody)
    ahead.add(["a"])
    encode.free.set()
    with pytest.raises(RagBenchError, match="the process ended"):
        ahead.wait(["a"])
    with pytest.raises(RagBenchError, match="the process ended"):
        ahead.add(["b"])


def test_stopped_it_encodes_no_more_and_nobody_waits_for_ever() -> None:
    encode = Recorder()
    ahead = EncodingAhead(encode, nobody)
    ahead.add(["in hand"])
    assert encode.begun.wait(60)
    ahead.add(["waiting"])
    ahead.stop()
    with pytest.raises(RagBenchError, match="was stopped"):
        ahead.wait(["waiting"])
    encode.free.set()
    for thread in threading.enumerate():
        if thread.name == "encoding ahead":
            thread.join(60)
    assert encode.blocks == [["in hand"]]


def test_a_step_that_is_cancelled_while_it_encodes_ends() -> None:
    """Its cell waits on a thread, which ends as well: or the loop would wait for it for ever."""
    encode = Recorder()
    ahead = EncodingAhead(encode, nobody)

    async def answer() -> str:
        return "an answer"

    def finish(results: list[str]) -> None:
        ahead.wait(results)

    async def step() -> None:
        cell = Cell(
            *("model", "provider", [answer], finish),
            heard=lambda result: ahead.add([result]),
            release=ahead.stop,
        )
        await run_cells([cell], lambda _: 1, lambda *_: None, lambda *_: None)

    async def main() -> None:
        task = asyncio.create_task(step())
        await asyncio.to_thread(encode.begun.wait, 60)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    encode.free.set()
    assert encode.blocks in ([], [["an answer"]])


def test_nobody_waits_for_ever_where_the_progress_cannot_be_told() -> None:
    encode = Recorder()
    encode.free.set()

    def fail(done: int, given: int) -> None:
        raise RagBenchError("the run's log is away")

    ahead = EncodingAhead(encode, fail)
    ahead.add([f"text {n}" for n in range(BLOCK + 1)])
    with pytest.raises(RagBenchError, match="log is away"):
        ahead.wait([f"text {BLOCK}"])
