"""Reading a provider's reply: what it is worth, its text, its usage, and a safe error message.

PostgreSQL's jsonb and text hold neither NUL nor lone surrogates, so both become U+FFFD here, in
what is stored and in what is answered alike.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from rag_bench.evaluation.instrument.served import UNSAID, Served
from rag_bench.llm.reading.finish import UNKNOWN_REASON, finish_problem, is_known
from rag_bench.llm.reading.thinking import THINKING_CUT, cut_thinking

UNREADABLE = "unreadable"  # the only field of a stored reply that is no chat completion
_KEPT_OF_UNREADABLE = 64_000  # characters
_SHORT = 300
_LONGEST_NAME = 200  # characters of a served model's name
# Where servers that take the thinking out of the text put it.
_THINKING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")


@dataclass(frozen=True)
class ReadReply:
    """A 200 reply, read.

    ``body`` is the JSON that was asked for, or None if it is none; ``json`` is what the ledger
    stores.
    ``problem`` says why it has no usable answer; None: it has. ``provider_error`` is the HTTP
    status of an error that came inside a 200, as routers send it for an upstream that failed.
    ``search_units``: what a reranker says that it took; None: it should say so and does not.
    ``served``: the model and the build that it says it is of.
    """

    body: Any
    json: str
    problem: str | None = None
    provider_error: int | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    search_units: int | None = 0
    served: Served = UNSAID


def read_reply(content: bytes, oversize: bool = False) -> ReadReply:
    """Read the bytes of a 200 reply of chat completions; never raises."""
    read = read_json(content, oversize, instead_of="choices")
    if read.body is None or read.provider_error is not None:
        return read
    body, text = read.body, read.json
    if not isinstance(body, dict):
        return unreadable(content, "JSON, but no object")
    shape = _shape_problem(body)
    if shape:
        return unreadable(content, shape)
    prompt_tokens, completion_tokens = read_usage(body)
    finish = body["choices"][0].get("finish_reason")
    return ReadReply(
        body,
        text,
        problem=useless(body),
        finish_reason=finish if isinstance(finish, str) else None,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        served=served_by(body),
    )


def read_json(content: bytes, oversize: bool = False, *, instead_of: str) -> ReadReply:
    """Read the JSON of a 200 reply, whatever its shape; never raises.

    ``instead_of``: the field that a good reply has, so that an object with ``error`` and without
    it is a provider's error inside a 200.
    """
    if oversize:
        return unreadable(content, f"longer than {len(content)} bytes")
    if not content.strip():
        return unreadable(content, "empty")
    try:
        body = json.loads(content, parse_constant=_refuse_constant)
        text = canonical(body)
    except (ValueError, RecursionError):
        return unreadable(content, "not JSON")
    try:
        text.encode()
        clean = "\\u0000" not in text
    except UnicodeEncodeError:
        clean = False
    if not clean:
        body = clean_value(body)
        text = canonical(body)
    error = body.get("error") if isinstance(body, dict) else None
    if error and not body.get(instead_of):
        code = error.get("code") if isinstance(error, dict) else None
        status = code if type(code) is int and 400 <= code < 600 else 502
        return ReadReply(body, text, short_error(content), provider_error=status)
    if body is None:
        return unreadable(content, "JSON, but no object")
    return ReadReply(body, text)


def served_by(body: Any) -> Served:
    """Return the model and the build of its backend that a reply names."""
    if not isinstance(body, dict):
        return UNSAID
    found = [body.get(name) for name in ("model", "system_fingerprint")]
    texts = [one.strip()[:_LONGEST_NAME] if isinstance(one, str) else "" for one in found]
    return Served(texts[0] or None, texts[1] or None)


def read_usage(body: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the tokens of prompt and completion, None where they are not named."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))


def tokens_used(content: bytes) -> float | None:
    """Return the tokens that a reply says it took; None if it does not say."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    used = read_usage(body) if isinstance(body, dict) else (None, None)
    return None if None in used else float(sum(n for n in used if n is not None))


@dataclass(frozen=True)
class ReadAnswer:
    """What a chat completion says, and why it is of no use, if it is not.

    Attributes:
        text: the answer, without thinking and without what servers put round it.
        problem: why there is no usable answer, in words; None: there is one.
        flags: remarks for the case: `THINKING_CUT`, `UNKNOWN_REASON`.
    """

    text: str
    problem: str | None = None
    flags: tuple[str, ...] = ()


def read_answer(body: dict[str, Any]) -> ReadAnswer:
    """Read the answer of a chat completion: the one place where a reply's text is taken."""
    choice = body["choices"][0]
    message = choice["message"]
    reason = choice.get("finish_reason")
    cut = cut_thinking(message_text(message))
    flags = []
    if cut.thinking:
        flags.append(THINKING_CUT)
    if not is_known(reason):
        flags.append(UNKNOWN_REASON)
    problem = finish_problem(reason)
    if problem is None and message.get("refusal"):
        problem = f"refused by the model: {shorten(str(message['refusal']))}"
    if problem is None and not cut.closed:
        problem = "the thinking was cut before an answer began: raise the token limit"
    if problem is None and not cut.answer.strip() and not message.get("tool_calls"):
        problem = "the reply is empty"
        if cut.thinking or _has_thinking(message):
            problem += ": the model only thought; raise the token limit"
    return ReadAnswer(cut.answer, problem, tuple(flags))


def useless(body: dict[str, Any]) -> str | None:
    """Return why a chat completion holds no usable answer, or None if it does."""
    return read_answer(body).problem


def read_thinking_tokens(body: dict[str, Any]) -> int | None:
    """Return how many of the completion's tokens were thinking; None where it is not said."""
    usage = body.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    return _count(details.get("reasoning_tokens")) if isinstance(details, dict) else None


def _has_thinking(message: dict[str, Any]) -> bool:
    """Tell whether a server gave the thinking beside the answer."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return any(message.get(name) for name in _THINKING_FIELDS) or any(
        isinstance(part, dict) and part.get("type") in ("thinking", "reasoning") for part in parts
    )


def message_text(message: dict[str, Any]) -> str:
    """Return a message's text; of a list of parts (reasoning models) the text parts only."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(
            part["text"]
            for part in content
            if isinstance(part, dict)
            and part.get("type") == "text"
            and isinstance(part.get("text"), str)
        )
    return ""


def is_unreadable(stored: str) -> bool:
    """Tell whether what the ledger keeps is no chat completion, only its text."""
    return UNREADABLE in json.loads(stored)


def short_error(content: bytes) -> str:
    """Return the message of an error body, on one line, at most 300 characters."""
    text = content.decode("utf-8", errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return shorten(text)
    for field in ("error", "message", "detail"):
        if isinstance(body, dict) and body.get(field):
            body = body[field]
    return shorten(body if isinstance(body, str) else canonical(clean_value(body)))


def shorten(text: str) -> str:
    """Return a text on one line, storable, cut at 300 characters."""
    line = " ".join(clean_text(text[: _SHORT * 4]).split())
    return line if len(line) <= _SHORT else line[: _SHORT - 1] + "…"


def canonical(value: Any) -> str:
    """Serialise as `rag_bench.hashing.canonical_json`, but refuse NaN and infinity (ValueError)."""
    return json.dumps(
        value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
    )


def clean_text(text: str) -> str:
    """Replace what PostgreSQL cannot store: NUL and lone surrogates."""
    text = text.replace("\x00", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join("\ufffd" if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return text


def clean_value(value: Any) -> Any:
    """Clean every text of a JSON value, the names of fields included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [clean_value(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(name): clean_value(item) for name, item in value.items()}
    return value


def unreadable(content: bytes, problem: str) -> ReadReply:
    """Return what is kept of a reply that is not what was asked for."""
    text = clean_text(content.decode("utf-8", errors="replace")[:_KEPT_OF_UNREADABLE])
    return ReadReply(None, canonical({UNREADABLE: text}), f"unreadable reply: {problem}")


def _shape_problem(body: dict[str, Any]) -> str | None:
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        return "JSON, but no chat completion (no choices)"
    if not isinstance(choices[0], dict) or not isinstance(choices[0].get("message"), dict):
        return "JSON, but no chat completion (no message)"
    if not isinstance(choices[0]["message"].get("content"), str | list | None):
        return "JSON, but no chat completion (content is no text)"
    return None


def _count(value: Any) -> int | None:
    # A bool is an int, a count of tokens is not negative, and the column holds 31 bits.
    return value if type(value) is int and 0 <= value < 2**31 else None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
