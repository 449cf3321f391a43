"""How far long work is: told to whoever listens in this process (the CLI's bars, Dagster's log)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Listener = Callable[[str, int, int], None]

_listeners: list[Listener] = []


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call ``listener(label, done, total)`` for everything reported in the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def report(label: str, done: int, total: int) -> None:
    """Say that ``done`` of ``total`` steps of ``label`` are done."""
    for listener in list(_listeners):
        listener(label, done, total)


class Throttle:
    """A listener that passes on the first and last report and at most one every few seconds."""

    def __init__(self, say: Callable[[str], None], seconds: float = 5.0) -> None:
        self._say = say
        self._seconds = seconds
        self._last: dict[str, float] = {}

    def __call__(self, label: str, done: int, total: int) -> None:
        """Pass the report on as a line of text, unless one was passed on just now."""
        now = time.monotonic()
        if done < total and now - self._last.get(label, now - self._seconds) < self._seconds:
            return
        self._last[label] = now
        self._say(f"{label}: {done} of {total}")
