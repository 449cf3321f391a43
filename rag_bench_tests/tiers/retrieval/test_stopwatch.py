"""The clock of single queries: parts, warming up, the sample."""

from __future__ import annotations

from rag_bench.tiers.retrieval.stopwatch import Stopwatch, sample, timed


def test_parts_are_added_up_and_the_first_queries_only_warm_up() -> None:
    now = [0.0]
    asked: list[str] = []

    def ask(question: str, watch: Stopwatch) -> None:
        asked.append(question)
        with watch("encoding"):
            now[0] += 0.5 if len(asked) == 1 else 0.001  # the encoder loads at first
        for _ in range(2):  # two searches are fused
            with watch("search"):
                now[0] += 0.002
        now[0] += 9.0  # no part of a query

    found = timed(ask, ["один", "два", "три"], warm_up=2, clock=lambda: now[0])
    assert asked == ["один", "два", "один", "два", "три"]
    assert [{name: round(ms, 6) for name, ms in parts.items()} for parts in found] == [
        {"query": 9005.0, "encoding": 1.0, "search": 4.0}
    ] * 3


def test_what_was_done_before_is_a_part_of_the_whole() -> None:
    now = [0.0]

    def ask(question: str, watch: Stopwatch) -> None:
        watch.count("encoding", 20.0)
        with watch("search"):
            now[0] += 0.002

    [parts] = timed(ask, ["один"], clock=lambda: now[0])
    assert {name: round(ms, 6) for name, ms in parts.items()} == {
        "query": 22.0,
        "encoding": 20.0,
        "search": 2.0,
    }


def test_a_part_that_fails_is_counted_all_the_same() -> None:
    now = [0.0]
    watch = Stopwatch(lambda: now[0])
    try:
        with watch("search"):
            now[0] += 0.003
            raise TimeoutError
    except TimeoutError:
        pass
    assert round(watch.parts["search"], 6) == 3.0


def test_the_sample_is_the_same_whatever_order_the_questions_come_in() -> None:
    questions = [f"вопрос {n}" for n in range(50)]
    drawn = sample(questions, 10)
    assert len(set(drawn)) == 10
    assert drawn == sample([*reversed(questions), "вопрос 1"], 10)
    assert drawn != sample(questions, 10, seed=1)
    assert sorted(sample(questions, 99)) == sorted(questions)
