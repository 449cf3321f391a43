"""The encoder in a process of its own: for texts that are encoded beside running calls.

Loading it takes seconds and hundreds of modules, and encoding takes a processor. Beside an event
loop the first is not allowed on a thread (see `rag_bench.tiers.base.rehearsal`), and the second
would take turns with it. So a child does both. It speaks pickles over its stdin and stdout, and is
started as a plain command rather than by `multiprocessing`, which would import the caller's main
module again, whatever that is. Its stdin ends with this process, however this process ends, and so
does it: no orphan is left.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any, cast

from rag_bench.errors import RagBenchError
from rag_bench.retrieval.encoder import EncodedBatch, Encoder, Progress, load_encoder
from rag_bench.settings import Settings

#: The calls beside it go first: they wait for others, and it never does.
_NICENESS = 5
_COMMAND = (
    "import sys; sys.path[:] = {path!r}; "
    "from rag_bench.retrieval.encoder_process import main; main()"
)


@dataclass(frozen=True)
class _Loaded:
    """The child's first words."""

    key: str
    name: str


@dataclass(frozen=True)
class _Wanted:
    """A request: texts, and whether calls run beside it."""

    texts: Sequence[str]
    beside_calls: bool = False


@dataclass(frozen=True)
class _Encoded:
    """How far the child is with a request, and its vectors at the end."""

    done: int
    batch: EncodedBatch | None = None


class EncoderProcess:
    """An encoder like `Encoder`, in a child that loads it meanwhile. For any thread.

    A child that ended stays so: `encoder_process` starts another.
    """

    def __init__(self, settings: Settings) -> None:
        """Start the child; it loads the encoder while this process goes on."""
        self._busy = threading.Lock()
        self._loaded: _Loaded | None = None
        self._child = subprocess.Popen(
            [sys.executable, "-c", _COMMAND.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._child.pid
        self._send(settings)

    @property
    def key(self) -> str:
        """The address of its vectors.

        Raises:
            ConfigurationError: as of `load_encoder`.
            RagBenchError: the child has ended.
        """
        with self._busy:
            return self._wait_until_loaded().key

    @property
    def name(self) -> str:
        """The readable name; raises what ``key`` does."""
        with self._busy:
            return self._wait_until_loaded().name

    @property
    def alive(self) -> bool:
        """Whether the child is there still."""
        return self._child.poll() is None

    @property
    def beside_calls(self) -> BesideCalls:
        """The same, for texts that come while this process calls models."""
        return BesideCalls(self)

    def encode(
        self,
        texts: Sequence[str],
        progress: Progress | None = None,
        *,
        beside_calls: bool = False,
    ) -> EncodedBatch:
        """Encode as `Encoder.encode` does; raises what it raises.

        ``beside_calls``: leave one processor to the calls.

        Raises:
            RagBenchError: the child has ended.
        """
        with self._busy:
            try:
                self._wait_until_loaded()
                self._send(_Wanted(list(texts), beside_calls))
                while True:
                    said = cast(_Encoded, self._receive())
                    if said.batch is not None:
                        return said.batch
                    if progress:
                        progress(said.done, len(texts))
            except BaseException:
                # Interrupted in the middle: what it still says would answer the next request.
                self.close()
                raise

    def close(self) -> None:
        """End the child, also in the middle of its work."""
        for stream in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):  # what was not flushed
                cast(IO[bytes], stream).close()
        self._child.wait()

    def _wait_until_loaded(self) -> _Loaded:
        if self._loaded is None:
            self._loaded = cast(_Loaded, self._receive())
        return self._loaded

    def _send(self, message: Any) -> None:
        stream = cast(IO[bytes], self._child.stdin)
        try:
            pickle.dump(message, stream)
            stream.flush()
        except (OSError, ValueError):  # it has ended; or was closed here
            raise self._ended() from None

    def _receive(self) -> Any:
        try:
            message = pickle.load(cast(IO[bytes], self._child.stdout))
        except (EOFError, OSError, ValueError, pickle.UnpicklingError):
            raise self._ended() from None
        if isinstance(message, BaseException):
            raise message
        return message

    def _ended(self) -> RagBenchError:
        self.close()
        code = self._child.returncode
        how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        if -code == getattr(signal, "SIGKILL", None):
            how += ", as systems do that run out of memory"
        return RagBenchError(
            f"The process that encodes texts ended {how}. Everything that was answered and encoded "
            "is kept: run again."
        )


@dataclass(frozen=True)
class BesideCalls:
    """An encoder process that leaves one processor to the calls beside it.

    Threads that share a sum wait for each other, so with as many as there are processors the calls
    and the encoding would hold each other up.
    """

    process: EncoderProcess

    @property
    def key(self) -> str:
        """As of `EncoderProcess`."""
        return self.process.key

    @property
    def name(self) -> str:
        """As of `EncoderProcess`."""
        return self.process.name

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> EncodedBatch:
        """As of `EncoderProcess`."""
        return self.process.encode(texts, progress, beside_calls=True)


_lock = threading.Lock()
_current: tuple[_What, EncoderProcess] | None = None
_What = tuple[Any, ...]


def _what(settings: Settings) -> _What:
    """Return those settings that decide what is loaded."""
    chosen = (settings.encoder, settings.encoder_max_tokens, settings.encoder_batch_size)
    return (settings.home, *chosen)


def encoder_process(settings: Settings) -> EncoderProcess:
    """Return the process that encodes with these settings, started if there is none.

    This process has one at a time, which ends with it.
    """
    global _current
    with _lock:
        if _current is not None:
            what, running = _current
            if what == _what(settings) and running.alive:
                return running
            running.close()
        _current = _what(settings), EncoderProcess(settings)
        return _current[1]


def running_process(settings: Settings) -> EncoderProcess | None:
    """Return the process that encodes with these settings, if there is one."""
    with _lock:
        if _current is None or _current[0] != _what(settings) or not _current[1].alive:
            return None
        return _current[1]


@atexit.register
def close_process() -> None:
    """End this process's encoder process, if there is one."""
    global _current
    with _lock:
        if _current is not None:
            _current[1].close()
        _current = None


def main() -> None:
    """Be the child: load what the first message names, then encode what the others hold."""
    # Whoever stops the whole group by Ctrl-C hears of it from the parent, which ends this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(AttributeError, OSError):  # not on every system
        os.nice(_NICENESS)
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no reply

    given: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(Exception):
            while True:
                given.put(pickle.load(requests))
        os._exit(0)  # the parent is gone, or wants no more: now, not after the work in hand

    def reply(message: Any) -> None:
        pickle.dump(message, replies)
        replies.flush()

    threading.Thread(target=read, daemon=True).start()
    try:
        encoder = load_encoder(given.get())
        import torch

        reply(_Loaded(encoder.key, encoder.name))
        n_threads = torch.get_num_threads()
        while True:
            wanted = given.get()
            torch.set_num_threads(max(1, n_threads - wanted.beside_calls))
            reply(_encoded(encoder, wanted.texts, reply))
    except RagBenchError as error:
        reply(error)
    except Exception as error:
        reply(RagBenchError(f"Encoding failed: {type(error).__name__}: {error}"))


def _encoded(encoder: Encoder, texts: Sequence[str], reply: Any) -> _Encoded:
    batch = encoder.encode(texts, lambda done, _: reply(_Encoded(done)))
    return _Encoded(len(texts), batch)
