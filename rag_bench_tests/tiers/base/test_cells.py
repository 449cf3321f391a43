"""Many cells on one event loop: order, limits, dead providers, faults."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import pytest

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode, RagBenchError
from rag_bench.llm.transport.budget import CapReachedError
from rag_bench.llm.transport.context import current_watch
from rag_bench.tiers.base.cells import Cell, from_both_ends, run_cells
from rag_bench.tiers.base.health import GIVE_UP_AFTER

Job = Callable[[], Awaitable[Any]]


def cell(key: str, provider: str, jobs: Sequence[Job]) -> Cell[list[Any]]:
    return Cell(key, provider, jobs, list)


def run(
    cells: Sequence[Cell[Any]],
    slots: int = 2,
    progress: Callable[[int, int], None] | None = None,
    ended: list[tuple[str, Any]] | None = None,
) -> list[tuple[str, Any]]:
    """Run cells; return keys with what they finished as, in the order in which they ended."""
    ended = [] if ended is None else ended

    async def main() -> None:
        async with asyncio.timeout(20):
            await run_cells(
                cells,
                lambda provider: slots,
                lambda done, result: ended.append((done.key, result)),
                progress or (lambda done, total: None),
            )

    asyncio.run(main())
    return ended


async def give(value: Any, turns: int = 1) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    return value


async def fail(error: Exception) -> None:
    await asyncio.sleep(0)
    raise error


def send() -> None:
    """Do as the ledger does before it sends something."""
    watch = current_watch()
    refusal = watch.refusal() if watch else None
    if refusal is not None:
        raise refusal


def down() -> CaseError:
    return CaseError(ErrorCode.LLM_FAILED, "не отвечает", retryable=True)


def test_results_stand_in_the_order_of_the_jobs() -> None:
    # Later jobs end first.
    jobs = [partial(give, n, turns=40 - n) for n in range(40)]
    assert run([cell("a", "x", jobs)], slots=8) == [("a", list(range(40)))]


def test_what_the_ledger_may_have_is_read_in_turn_with_what_it_has_not() -> None:
    begun: list[int] = []

    async def job(number: int) -> int:
        begun.append(number)
        return await give(number)

    cells = [cell("a", "x", [partial(job, n) for n in range(3)])]
    cells += [cell("b", "x", [partial(job, n) for n in range(10, 13)])]
    with from_both_ends():
        assert sorted(run(cells, slots=1)) == [("a", [0, 1, 2]), ("b", [10, 11, 12])]
    assert begun == [0, 10, 1, 11, 2, 12]
    begun.clear()
    run(cells, slots=1)
    assert begun == [0, 1, 2, 10, 11, 12]


def test_a_failed_case_is_a_result_among_the_others() -> None:
    jobs: list[Job] = [partial(give, 0), partial(fail, CaseError(ErrorCode.METRIC_ERROR, "нет"))]
    [(_, results)] = run([cell("a", "x", [*jobs, partial(give, 2)])])
    assert (results[0], results[2]) == (0, 2)
    assert isinstance(results[1], CaseError)
    assert results[1].code is ErrorCode.METRIC_ERROR


def test_no_cells_and_cells_without_jobs() -> None:
    assert run([]) == []
    assert sorted(run([cell("a", "x", []), cell("b", "y", [partial(give, 1)])])) == [
        ("a", []),
        ("b", [1]),
    ]


def test_each_provider_has_its_own_slots() -> None:
    """Twice the slots, as half of them may be waiting for a commit; never more."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def job(provider: str) -> None:
        running[provider] += 1
        most[provider] = max(most[provider], running[provider])
        for _ in range(5):
            await asyncio.sleep(0)
        running[provider] -= 1

    cells = [cell(f"{p}{n}", p, [partial(job, p)] * 30) for p in "xy" for n in range(2)]
    run(cells, slots=3)
    assert most == {"x": 6, "y": 6}


def test_a_cell_ends_as_soon_as_its_last_job_does() -> None:
    """The second cell's jobs wait for word that the first cell has been handed over."""
    first_is_over = asyncio.Event()

    async def wait() -> str:
        await first_is_over.wait()
        return "после"

    async def main() -> list[str]:
        ended = []

        def on_done(done: Cell[Any], result: Any) -> None:
            ended.append(done.key)
            if done.key == "first":
                first_is_over.set()

        cells = [cell("first", "x", [partial(give, 1)] * 5), cell("second", "x", [wait] * 5)]
        async with asyncio.timeout(20):
            await run_cells(cells, lambda provider: 2, on_done, lambda done, total: None)
        return ended

    assert asyncio.run(main()) == ["first", "second"]


def test_finishing_keeps_the_loop_free() -> None:
    """One cell's storing, which blocks, waits for a job of another: no deadlock, so no blocking."""
    other_ran = threading.Event()

    def slow(results: list[Any]) -> str:
        assert other_ran.wait(10)
        return "сохранено"

    async def other() -> None:
        other_ran.set()

    cells: list[Cell[Any]] = [
        Cell("slow", "x", [partial(give, 1)], slow),
        cell("other", "y", [partial(give, 1, 50), other]),
    ]
    assert ("slow", "сохранено") in run(cells, slots=1)


def test_a_dead_provider_is_given_up_and_delays_nobody() -> None:
    asked = Counter[str]()
    alive_is_over = asyncio.Event()

    async def dead() -> None:
        send()
        asked["dead"] += 1
        # Its failures take until the living provider has done everything.
        await alive_is_over.wait()
        raise down()

    async def alive() -> str:
        asked["alive"] += 1
        return "ответ"

    ended = []

    async def main() -> None:
        def on_done(done: Cell[Any], result: Any) -> None:
            ended.append((done.key, result))
            if done.key == "alive":
                alive_is_over.set()

        cells = [
            cell("dead 1", "gone", [dead] * 300),
            cell("alive", "here", [alive] * 300),
            cell("dead 2", "gone", [dead] * 300),
        ]
        async with asyncio.timeout(20):
            await run_cells(cells, lambda provider: 4, on_done, lambda done, total: None)

    asyncio.run(main())
    assert ended[0][0] == "alive"
    assert len(ended) == 3
    assert asked["alive"] == 300
    assert asked["dead"] == GIVE_UP_AFTER
    results = dict(ended)["dead 2"]
    assert all(isinstance(r, CaseError) and r.retryable for r in results)
    assert "run again" in results[-1].detail


def test_a_success_in_between_keeps_a_provider_alive() -> None:
    jobs: list[Job] = []
    for _ in range(3):
        jobs += [partial(fail, down())] * (GIVE_UP_AFTER - 1)
        jobs.append(partial(give, "жив"))
    [(_, results)] = run([cell("a", "x", jobs)], slots=1)
    assert results.count("жив") == 3


def test_cases_that_are_not_asked_do_not_count_as_dead() -> None:
    capped = partial(fail, CapReachedError("call", "5 calls"))
    [(_, results)] = run([cell("a", "x", [capped] * 100)])
    assert {r.detail for r in results} == {CapReachedError("call", "5 calls").detail}


def test_replies_that_cannot_be_read_do_not_count_as_dead() -> None:
    unreadable = partial(fail, CaseError(ErrorCode.METRIC_ERROR, "не JSON"))
    [(_, results)] = run([cell("a", "x", [unreadable] * 100)])
    assert {r.code for r in results} == {ErrorCode.METRIC_ERROR}


@pytest.mark.parametrize("error", [ZeroDivisionError("в программе"), RagBenchError("ledger")])
def test_a_fault_of_the_program_ends_everything_as_itself(error: Exception) -> None:
    asked = 0

    async def count() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    jobs: list[Job] = [count, partial(fail, error), *[count] * 500]
    with pytest.raises(type(error), match=str(error)):
        run([cell("a", "x", jobs), cell("b", "y", [count] * 500)])
    assert asked < 200


def test_a_fault_while_finishing_ends_as_itself() -> None:
    def broken(results: list[Any]) -> None:
        raise ValueError("не сохранилось")

    with pytest.raises(ValueError, match="не сохранилось"):
        run([Cell("a", "x", [partial(give, 1)], broken)])


def test_progress_counts_every_job_once() -> None:
    said: list[tuple[int, int]] = []
    cells = [cell(p, p, [partial(give, 1)] * 10) for p in "xyz"]
    run(cells, progress=lambda done, total: said.append((done, total)))
    assert said == [(n, 30) for n in range(31)]


def test_results_are_heard_one_by_one_before_the_cell_is_finished() -> None:
    heard: list[Any] = []
    one = Cell("a", "x", [partial(give, 1), partial(give, 2)], lambda _: list(heard))
    one.heard = heard.append
    error = CaseError(ErrorCode.LLM_FAILED, "no answer")
    other = Cell("b", "x", [partial(fail, error)], list, heard=heard.append)
    assert sorted(run([one])) == [("a", [1, 2])]
    run([other])
    assert heard == [1, 2, error]


class Later:
    """What a later step asks, of as many judges as it is given jobs; notes what is begun."""

    def __init__(
        self, n: int, result: Any = "score", until: Callable[[], bool] = lambda: True
    ) -> None:
        self.begun: list[int] = []
        self.result = result
        self.until = until  # a reply comes only then
        self.got: list[Any] = []
        self.first = threading.Event()
        self.n = n

    def cells(self, results: Sequence[Any]) -> list[Cell[Any]]:
        self.got.append(list(results))

        def finish(_: Any) -> None:
            raise AssertionError("the later step finishes its cells itself")

        jobs = [partial(self.job, n) for n in range(self.n)]
        return [Cell(("a", "judge"), "y", jobs, finish, model="judge")]

    async def job(self, n: int) -> Any:
        self.begun.append(n)
        self.first.set()
        await asyncio.sleep(0)
        while not self.until():
            await asyncio.sleep(0)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def test_what_a_later_step_asks_is_asked_while_a_cell_is_finished() -> None:
    later, all_asked = Later(7), threading.Event()

    def finish(results: list[Any]) -> list[Any]:
        assert all_asked.wait(20), "nothing was asked beside the finishing"
        return results

    async def last() -> None:
        await later.job(99)
        all_asked.set()

    def ahead(results: list[Any]) -> list[Cell[Any]]:
        found = later.cells(results)
        found[0].jobs = [*found[0].jobs, last]
        return found

    answers = [partial(give, 1), partial(give, 2, 5)]
    assert run([Cell("a", "x", answers, finish, ahead=ahead)]) == [("a", [1, 2])]
    assert later.got == [[1, 2]]
    assert sorted(later.begun) == [*range(7), 99]


def test_nothing_is_asked_ahead_before_all_results_are_there_or_when_all_is_done() -> None:
    done: list[str] = []
    ended: list[tuple[str, Any]] = []
    later = Later(1000, until=lambda: len(ended) == 2)

    async def slow() -> str:
        for _ in range(50):
            await asyncio.sleep(0)
        assert later.begun == []
        return "answer"

    def finish(results: list[Any]) -> list[Any]:
        assert done or not later.begun  # the first one is finished before the slow answer comes
        done.append("finished")
        if len(done) == 2:
            assert later.first.wait(20)
        return results

    quick = Cell("a", "x", [partial(give, 1)], finish, ahead=later.cells)
    run([quick, Cell("b", "x", [slow], finish, ahead=later.cells)], slots=4, ended=ended)
    assert len(done) == 2
    # What was in flight at the end is awaited; nothing more is begun for its own sake.
    assert 0 < len(later.begun) <= 8


def test_a_failure_ahead_ends_the_asking_and_nothing_else() -> None:
    later = Later(50, CaseError(ErrorCode.LLM_FAILED, "no such judge", retryable=True))

    def finish(results: list[Any]) -> list[Any]:
        assert later.first.wait(20)
        return results

    assert run([Cell("a", "x", [partial(give, 1)], finish, ahead=later.cells)], slots=8) == [
        ("a", [1])
    ]
    assert 1 <= len(later.begun) <= 5  # before a first answer, no more are in flight


def test_a_fault_ahead_is_a_fault() -> None:
    later = Later(3, RuntimeError("a fault of the program"))

    def finish(results: list[Any]) -> list[Any]:
        assert later.first.wait(20)
        return results

    with pytest.raises(RuntimeError, match="a fault of the program"):
        run([Cell("a", "x", [partial(give, 1)], finish, ahead=later.cells)])


def test_settings_of_a_later_step_that_are_wrong_do_not_end_this_one() -> None:
    later = Later(50, ConfigurationError("the judge has no price"))

    def finish(results: list[Any]) -> list[Any]:
        assert later.first.wait(20)
        return results

    one = Cell("a", "x", [partial(give, 1)], finish, ahead=later.cells)
    assert run([one], slots=8) == [("a", [1])]
    assert 1 <= len(later.begun) <= 5

    def ahead(results: list[Any]) -> list[Cell[Any]]:
        raise RagBenchError("the later step cannot begin")

    assert run([Cell("a", "x", [partial(give, 1)], list, ahead=ahead)]) == [("a", [1])]
