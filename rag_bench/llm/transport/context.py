"""What a call is made for: set around the code that calls, read by the ledger below it.

The ledger sits under libraries (RAGAS, instructor) that pass nothing through but the request, so
the case, the repeat and the wish to ask failed calls again travel in a context variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from rag_bench.errors import CaseError, ConfigurationError
from rag_bench.evaluation.instrument.served import ServedTally

CALLS_PER_REPEAT = 1000  # replicate numbers of one repeat; the next repeat starts after them
_first_repeat: ContextVar[int] = ContextVar("rag_bench_first_repeat", default=0)


@contextmanager
def fresh_replicates(first_repeat: int) -> Iterator[None]:
    """Count the repeats of all calls in the block from here: the same requests are drawn anew.

    Whoever asks with the same number again gets the same replies, from the ledger.
    """
    token = _first_repeat.set(first_repeat)
    try:
        yield
    finally:
        _first_repeat.reset(token)


def first_repeat() -> int:
    """Return the number of the first repeat here: 0, but in a block of `fresh_replicates`."""
    return _first_repeat.get()


@dataclass(frozen=True)
class CallContext:
    """One case, metric and repeat. Calls inside it are numbered, so that they are replicates.

    A context object belongs to one pass over one case: making it anew (a resumed run) starts the
    count again, so the same requests get the same numbers and are found in the ledger.
    """

    role: str
    case_id: str
    metric: str = ""
    repeat: int = 0
    retry_failed: bool = False
    run_id: str | None = None
    asks_again: bool = False  # where a reply cannot be read
    first_repeat: int = field(default_factory=lambda: _first_repeat.get())
    _seen: dict[str, int] = field(default_factory=dict, repr=False, compare=False)
    _keys: list[str] = field(default_factory=list, repr=False, compare=False)
    _flags: dict[str, None] = field(default_factory=dict, repr=False, compare=False)
    _unusable: list[str] = field(default_factory=list, repr=False, compare=False)

    @property
    def unusable(self) -> tuple[str, ...]:
        """The ledger's keys of replies that could not be used, and of the last one."""
        last = [self.last_reply_key] if self.last_reply_key else []
        return tuple(dict.fromkeys([*self._unusable, *last]))

    def note_unusable(self, key: str) -> None:
        """Remember a reply before the last one that could not be used."""
        self._unusable.append(key)

    @property
    def flags(self) -> tuple[str, ...]:
        """Remarks on the replies to the calls so far, each once, in their order."""
        return tuple(self._flags)

    def add_flags(self, flags: Iterable[str]) -> None:
        """Remember remarks on a reply, for the case that it was made for."""
        self._flags.update(dict.fromkeys(flags))

    @property
    def last_reply_key(self) -> str | None:
        """The ledger's key of the last call's reply; None after a failed call or before any.

        When a reply turns out to be unusable, this is the one to be marked so.
        """
        return self._keys[-1] if self._keys else None

    def note_reply(self, key: str | None) -> None:
        """Remember the key of the newest reply, or forget it, as a new call starts or fails."""
        self._keys[:] = [key] if key else []

    def __post_init__(self) -> None:
        if self.repeat < 0:
            raise ConfigurationError(f"A repeat number cannot be negative: {self.repeat}.")

    def next_replicate(self, request_hash: str) -> int:
        """Return the replicate number of one more request with this hash, and count it.

        Identical requests inside one context are wanted as separate draws (RAGAS asks for three
        questions by sending the same prompt three times), so each gets a number of its own:
        ``repeat * 1000 + n``, n from 0. Which of several concurrent ones gets which does not
        matter, as they are identical.
        """
        count = self._seen.get(request_hash, 0)
        if count >= CALLS_PER_REPEAT:
            raise ConfigurationError(
                f"More than {CALLS_PER_REPEAT} identical requests in case {self.case_id!r}, "
                f"metric {self.metric!r}: a loop asks again instead of reporting its failure."
            )
        self._seen[request_hash] = count + 1
        return (self.first_repeat + self.repeat) * CALLS_PER_REPEAT + count


_current: ContextVar[CallContext | None] = ContextVar("rag_bench_call_context", default=None)
_role: ContextVar[str | None] = ContextVar("rag_bench_call_role", default=None)


def current_context() -> CallContext | None:
    """Return the innermost context, or None outside of any."""
    return _current.get()


def current_role() -> str:
    """Return the role that a call is recorded under."""
    context = _current.get()
    return _role.get() or (context.role if context else "unknown")


@contextmanager
def call_context(
    role: str,
    case_id: str,
    metric: str = "",
    repeat: int = 0,
    retry_failed: bool = False,
    run_id: str | None = None,
    asks_again: bool = False,
) -> Iterator[CallContext]:
    """Set the context of the calls made in the block, tasks started there included.

    Args:
        role: one of the ``Role`` values, or a free word for calls outside of the roles.
        case_id: the case that the call is for.
        metric: the measure that it is for.
        repeat: enters the replicate number.
        retry_failed: ask again where the ledger holds a reply that could not be used.
        run_id: the Dagster run, written into the ledger's rows.
        asks_again: where a reply cannot be read, the model is asked once more.
    """
    context = CallContext(str(role), case_id, metric, repeat, retry_failed, run_id, asks_again)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


@contextmanager
def role_of_call(role: str) -> Iterator[None]:
    """Record the calls of the block under another role than the context's."""
    token = _role.set(str(role))
    try:
        yield
    finally:
        _role.reset(token)


@dataclass
class Watch:
    """Set by whoever runs many jobs, around one of them.

    Attributes:
        may_retry: whether a failed attempt may be repeated still; asked at each failure.
        refusal: why nothing may be sent any more, if so; what the ledger holds is read still.
        answered: a provider has answered a call of the job.
        recalled: the ledger has.
        served: by whom its calls were served.
    """

    may_retry: Callable[[], bool] = lambda: True
    refusal: Callable[[], CaseError | None] = lambda: None
    answered: bool = False
    recalled: bool = False
    served: ServedTally = field(default_factory=ServedTally)


_watch: ContextVar[Watch | None] = ContextVar("rag_bench_watch", default=None)


def current_watch() -> Watch | None:
    """Return the innermost watch, or None outside of any."""
    return _watch.get()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Watch the calls made in the block, those of tasks started there included."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)
