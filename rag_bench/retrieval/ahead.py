"""Texts encoded while others are still awaited, so that little is left when the last one comes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence

from rag_bench.errors import RagBenchError

#: So many texts at a time: a few seconds of work, which is what is waited for at the end.
BLOCK = 64


class EncodingAhead:
    """A queue of texts, and a thread that takes blocks of it as long as there are any.

    Args:
        encode: makes and stores the vectors of a block; called on that thread.
        told: called there with the texts done and the texts given so far.
    """

    def __init__(
        self, encode: Callable[[Sequence[str]], object], told: Callable[[int, int], None]
    ) -> None:
        self._encode = encode
        self._told = told
        self._changed = threading.Condition()
        self._waiting: dict[str, None] = {}
        self._under_way: Collection[str] = ()
        self._seen: set[str] = set()
        self._running = False
        self._stopped: Exception | None = None

    def add(self, texts: Sequence[str]) -> None:
        """Have texts encoded soon; one that was given before is left out. Returns at once.

        Raises:
            Exception: that which ended the encoding of earlier texts.
        """
        with self._changed:
            if self._stopped:
                raise self._stopped
            new = dict.fromkeys(text for text in texts if text not in self._seen)
            self._seen |= new.keys()
            self._waiting |= new
            if self._waiting and not self._running:
                self._running = True
                threading.Thread(target=self._work, name="encoding ahead", daemon=True).start()

    def wait(self, texts: Collection[str]) -> None:
        """Return when none of these texts waits or is being encoded.

        Raises:
            Exception: that which ended the encoding.
        """
        left = set(texts)
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or left.isdisjoint((*self._waiting, *self._under_way))
            )
            if self._stopped:
                raise self._stopped

    def stop(self) -> None:
        """Encode nothing more; whoever waits is told so."""
        with self._changed:
            self._waiting.clear()
            self._stopped = self._stopped or RagBenchError("The encoding of answers was stopped.")
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._under_way = list(self._waiting)[:BLOCK]
                if not self._under_way or self._stopped:
                    self._running, self._under_way = False, ()
                    return
                for text in self._under_way:
                    del self._waiting[text]
                block = self._under_way
            try:
                self._encode(block)
                with self._changed:
                    done, given = len(self._seen) - len(self._waiting), len(self._seen)
                self._told(done, given)
            except Exception as error:  # told to whoever gives or awaits texts
                with self._changed:
                    self._stopped = self._stopped or error
            with self._changed:
                self._under_way = ()
                self._changed.notify_all()
