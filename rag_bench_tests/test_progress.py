"""Progress: said to every listener, and not too often."""

from __future__ import annotations

import pytest

from rag_bench import progress


def test_listeners_hear_what_is_reported_in_their_block() -> None:
    outer: list[tuple[str, int, int]] = []
    inner: list[tuple[str, int, int]] = []
    progress.report("до", 1, 2)
    with progress.listening(lambda *said: outer.append(said)):
        progress.report("чанки", 0, 2)
        with progress.listening(lambda *said: inner.append(said)):
            progress.report("чанки", 1, 2)
        progress.report("чанки", 2, 2)
    progress.report("после", 1, 2)
    assert outer == [("чанки", 0, 2), ("чанки", 1, 2), ("чанки", 2, 2)]
    assert inner == [("чанки", 1, 2)]


def test_a_block_that_fails_stops_listening() -> None:
    heard: list[str] = []
    with (
        pytest.raises(ValueError, match="нет"),
        progress.listening(lambda label, done, total: heard.append(label)),
    ):
        raise ValueError("нет")
    progress.report("после", 1, 1)
    assert heard == []


def test_the_throttle_passes_on_the_first_and_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines: list[str] = []
    say = progress.Throttle(lines.append, seconds=5.0)
    for done in range(11):
        say("ответы", done, 10)
    assert lines == ["ответы: 0 of 10", "ответы: 10 of 10"]


def test_the_throttle_passes_on_one_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    lines: list[str] = []
    say = progress.Throttle(lines.append, seconds=5.0)
    for done in range(12):
        say("ответы", done, 100)
        say("оценки", done, 100)  # each label has its own time
        now += 1.0
    assert [line for line in lines if "ответы" in line] == [
        "ответы: 0 of 100",
        "ответы: 5 of 100",
        "ответы: 10 of 100",
    ]
    assert len(lines) == 6
