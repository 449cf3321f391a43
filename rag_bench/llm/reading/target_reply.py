"""Reading a live assistant's reply: JSON, or events of a stream, and what stands where in it.

The ledger keeps the reply whole (`stored_reply`), so that other pointers read the same replies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.evaluation.instrument.served import Served
from rag_bench.llm.config.targets import Target, parts_of
from rag_bench.llm.reading import replies
from rag_bench.llm.reading.replies import ReadReply
from rag_bench.llm.transport.context import current_context

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS_TYPE = "text/event-stream"
#: Flag of a case: a pointer to contexts led nowhere in its reply.
CONTEXTS_NOT_FOUND = "contexts_not_found"
_REPLY, _EVENTS = "reply", "events"  # the one field of what is stored
_DONE = "[DONE]"  # what streams of OpenAI's kind end with
_SHOWN_FIELDS = 12

Place = tuple[int, ...]
"""Which element of each list on the way, where a pointer has ``*``."""


@dataclass(frozen=True)
class Named:
    """A context as an assistant names it: by a reference, its text, or both."""

    reference: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class Understood:
    """What was read of a reply.

    Attributes:
        answer: the text; None: there is none.
        contexts: in the order in which they are named.
        problems: by variable (ANSWER, CONTEXTS, IDS), what was not found and what is there.
    """

    answer: str | None
    contexts: tuple[Named, ...]
    problems: Mapping[str, str]


def read_target_reply(
    target: Target, content: bytes, media_type: str, oversize: bool = False
) -> ReadReply:
    """Read the bytes of a 200, as the ledger wants it; never raises.

    A stream's events are those of HTML's standard; data that is no JSON is kept as a text.
    """
    if oversize:
        return replies.unreadable(content, f"longer than {len(content)} bytes")
    if not content.strip():
        return replies.unreadable(content, "empty")
    if is_stream(media_type):
        events = list(_events(content))
        if not events:
            return replies.unreadable(content, "a stream without events")
        stored: dict[str, Any] = {_EVENTS: events}
    else:
        try:
            stored = {_REPLY: json.loads(content, parse_constant=_refuse_constant)}
        except (ValueError, RecursionError):
            return replies.unreadable(content, "not JSON")
    try:
        stored = replies.clean_value(stored)
        text = replies.canonical(stored)
    except (ValueError, RecursionError):
        return replies.unreadable(content, "not JSON")
    error = _error_of(target, stored)
    if error is not None:
        words, status = error
        return ReadReply(stored, text, words, provider_error=status)
    return ReadReply(stored, text, served=_served_by(stored))


def _served_by(stored: Mapping[str, Any]) -> Served:
    """Return who made a reply, where it says so as chat completions do; of a stream, the first
    event that does.
    """
    for document in [stored.get(_REPLY), *(stored.get(_EVENTS) or ())]:
        if found := replies.served_by(document):
            return found
    return Served()


def is_stream(media_type: str) -> bool:
    """Tell whether a reply came as events."""
    return media_type.partition(";")[0].strip().lower() == EVENTS_TYPE


def understand(target: Target, stored: Mapping[str, Any]) -> Understood:
    """Return what a target's pointers find in a reply as it is stored."""
    documents = _documents(target, stored)
    problems: dict[str, str] = {}
    pieces = [
        value
        for document in documents
        for _, value in find(document, target.answer)
        if isinstance(value, str)
    ]
    answer = "".join(pieces) if pieces else None
    if answer is None:
        problems["ANSWER"] = f"no text at {target.answer}; the reply has {_shape(documents)}"
    elif not answer.strip():
        problems["ANSWER"] = f"the text at {target.answer} is empty"
    found: dict[str, dict[Place, str]] = {}
    for what, pointer in (("CONTEXTS", target.contexts), ("IDS", target.ids)):
        if pointer is None:
            continue
        # Of a stream the last event that has them: some repeat them as they grow.
        there = [list(_texts(document, pointer)) for document in documents]
        values = next((values for values in reversed(there) if values), [])
        found[what] = dict(values)
        if not values and not any(_leads_to_nothing(one, pointer) for one in documents):
            problems[what] = f"nothing at {pointer}; the reply has {_shape(documents)}"
    texts, ids = found.get("CONTEXTS", {}), found.get("IDS", {})
    contexts = tuple(
        Named(ids.get(place), texts.get(place))
        for place in dict.fromkeys([*texts, *ids] if len(texts) >= len(ids) else [*ids, *texts])
    )
    return Understood(answer, contexts, problems)


@dataclass(frozen=True)
class TargetReply:
    """A usable reply of an assistant; latency is that of its own call, in milliseconds, also where
    the reply came from the ledger.
    """

    answer: str
    contexts: tuple[Named, ...]
    latency_ms: float | None
    from_ledger: bool
    key: str
    flags: tuple[str, ...] = ()


def target_reply(
    target: Target,
    content: bytes | str,
    latency_ms: float | None,
    *,
    from_ledger: bool,
    key: str,
) -> TargetReply:
    """Return the usable reply in what the ledger keeps.

    Raises:
        CaseError: LLM_FAILED, there is no answer where it should be.
    """
    understood = understand(target, json.loads(content))
    missing = understood.problems.keys() & {"CONTEXTS", "IDS"}
    flags = (CONTEXTS_NOT_FOUND,) if missing else ()
    context = current_context()
    if context is not None:
        context.add_flags(flags)
    return TargetReply(
        require_answer(target, understood),
        understood.contexts,
        None if latency_ms is None else round(latency_ms, 3),
        from_ledger,
        key,
        flags,
    )


def require_answer(target: Target, understood: Understood) -> str:
    """Return the answer.

    Raises:
        CaseError: LLM_FAILED, there is none, or it is empty; the detail names the variable.
    """
    if understood.answer is None or not understood.answer.strip():
        raise CaseError(
            ErrorCode.LLM_FAILED,
            f"{target.key}: {target.variable('ANSWER')}: {understood.problems['ANSWER']}",
        )
    return understood.answer.strip()


def find(document: Any, pointer: str) -> Iterator[tuple[Place, Any]]:
    """Yield what a JSON Pointer leads to, with its place; ``*`` is each element of a list.

    A field that is named ``*`` is that field: only in a list does the sign mean all.
    """
    yield from _walk(document, parts_of(pointer), ())


def _walk(value: Any, parts: Sequence[str], place: Place) -> Iterator[tuple[Place, Any]]:
    if not parts:
        yield place, value
        return
    part, rest = parts[0], parts[1:]
    if isinstance(value, dict):
        if part in value:
            yield from _walk(value[part], rest, place)
    elif isinstance(value, list):
        if part == "*":
            for number, inner in enumerate(value):
                yield from _walk(inner, rest, (*place, number))
        elif part.isdecimal() and part.isascii() and int(part) < len(value):
            yield from _walk(value[int(part)], rest, place)


def _texts(document: Any, pointer: str) -> Iterator[tuple[Place, str]]:
    """Yield the texts and numbers that a pointer leads to; those of a list one by one."""
    for place, value in find(document, pointer):
        values = enumerate(value) if isinstance(value, list) else [(None, value)]
        for number, one in values:
            at = place if number is None else (*place, number)
            if isinstance(one, str) and one.strip():
                yield at, one
            elif type(one) is int:
                yield at, str(one)


def _leads_to_nothing(document: Any, pointer: str) -> bool:
    """Whether a list (or null) is there and holds nothing: no context was named, which is fine."""
    parts = parts_of(pointer)
    for length in range(len(parts), 0, -1):
        for _, value in _walk(document, parts[:length], ()):
            if value is None or value == []:
                return True
    return False


def _documents(target: Target, stored: Mapping[str, Any]) -> list[Any]:
    """Return what pointers are looked up in; texts that stand in several are joined."""
    if _EVENTS not in stored:
        return [stored.get(_REPLY)]
    events = [event for event in stored[_EVENTS] if event != _DONE]
    return events[-1:] if target.stream == "last" else events


def _events(content: bytes) -> Iterator[Any]:
    import httpx
    import httpx_sse

    headers = {"content-type": EVENTS_TYPE}
    # A last event without its empty line is dropped by the standard; ours is whole by now.
    response = httpx.Response(200, headers=headers, content=content.rstrip(b"\r\n") + b"\n\n")
    for event in httpx_sse.EventSource(response).iter_sse():
        if not event.data:
            continue
        try:
            data = json.loads(event.data, parse_constant=_refuse_constant)
        except (ValueError, RecursionError):
            data = event.data
        yield {"error": data} if event.event == "error" and not _names_error(data) else data


def _names_error(data: Any) -> bool:
    return isinstance(data, dict) and bool(data.get("error"))


def _error_of(target: Target, stored: Mapping[str, Any]) -> tuple[str, int] | None:
    """Return the words and status of an error that came in a 200: a field ``error`` in place of an
    answer, or in an event at any time, as what a stream had said till then is no whole answer.
    """
    documents = stored.get(_EVENTS) or [stored.get(_REPLY)]
    for document in documents:
        if not _names_error(document):
            continue
        if _EVENTS not in stored and any(
            isinstance(value, str) for _, value in find(document, target.answer)
        ):
            continue
        error = document["error"]
        code = error.get("code") if isinstance(error, dict) else document.get("status")
        status = code if type(code) is int and 400 <= code < 600 else 502
        return replies.short_error(replies.canonical(document).encode()), status
    return None


def _shape(documents: Sequence[Any]) -> str:
    """Return in words which fields a reply has, so that a pointer can be corrected."""
    if len(documents) > 1:
        last = _fields(documents[-1])
        return f"{len(documents)} events, the first with {_fields(documents[0])}, the last {last}"
    return _fields(documents[0]) if documents else "no events"


def _fields(document: Any) -> str:
    paths = list(_paths(document, ""))
    shown = ", ".join(paths[:_SHOWN_FIELDS])
    return (shown + (", …" if len(paths) > _SHOWN_FIELDS else "")) or "no fields"


def _paths(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _paths(inner, f"{at}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list) and value:
        yield from _paths(value[0], f"{at}/*")
    else:
        kind = {dict: "object", list: "empty list", str: "text", type(None): "null"}
        yield f"{at or 'the whole reply'} ({kind.get(type(value), type(value).__name__)})"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
