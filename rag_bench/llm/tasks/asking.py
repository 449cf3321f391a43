"""Asking once more where a reply came and cannot be read: a small model often mends its form.

The second question is a call of its own in the ledger: the same messages, the reply, and what was
wrong with it. A rerun finds both. There is no third, and no reply is ever read less strictly. The
case has the flag `ASKED_AGAIN`, so that the share of replies that needed it is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from rag_bench.llm.config.roles import Role
from rag_bench.llm.reading.structured import UnreadableReplyError
from rag_bench.llm.tasks.pipeline import Chat, complete_text
from rag_bench.llm.transport.context import current_context

T = TypeVar("T")
Reask = Literal["judges", "all", "none"]

#: Flag of a case: a reply could not be read, and the model was asked once more.
ASKED_AGAIN = "asked_again"
_KEPT = 2_000  # characters of the unreadable reply that the model is shown
#: Characters by which a second question is longer than the first: that reply, and what was wrong.
LONGER_BY = _KEPT + 500
_RUSSIAN = re.compile("[а-яё]", re.IGNORECASE)
_AGAIN = {
    True: "Этот ответ нельзя прочесть: {}. Ответь ещё раз, ровно в том виде, о котором просили, "
    "и ничего кроме него.",
    False: "This reply cannot be read: {}. Reply once more, in exactly the form that was asked "
    "for, and with nothing else.",
}


def asks_again(setting: str, role: Role | str) -> bool:
    """Tell whether models in a role are asked once more: benchmark judges by default.

    A production judge never is: it is what is measured, and in production it is asked once.
    """
    roles = {"judges": (Role.benchmark_judge,), "all": (Role.benchmark_judge, Role.dataset)}
    return role in roles.get(setting, ())


async def ask_and_read(
    chat: Chat,
    model: str,
    role: Role,
    messages: Sequence[dict[str, str]],
    read: Callable[[str], T],
    *,
    response_format: Mapping[str, Any] | None = None,
    temperature: float = 0.0,
    max_tokens: int | None = None,
) -> tuple[T, float | None]:
    """Ask a model and read its reply; where the case allows it, once more if it is unreadable.

    Returns what ``read`` makes of the reply, and the latency of all calls together.

    Raises:
        UnreadableReplyError: the reply, or the second one, cannot be read.
        CaseError: as of the call.
    """
    context = current_context()

    async def ask(about: Sequence[dict[str, str]]) -> tuple[str, float | None]:
        reply = await chat.chat(
            model,
            role,
            list(about),
            response_format=response_format,
            temperature=temperature,
            max_tokens=max_tokens,
        )
        return complete_text(reply), reply.latency_ms

    text, latency = await ask(messages)
    try:
        return read(text), latency
    except UnreadableReplyError as error:
        if context is None or not context.asks_again:
            raise
        context.add_flags((ASKED_AGAIN,))
        first, cause = context.last_reply_key, error.cause
    russian = bool(_RUSSIAN.search(messages[-1]["content"]))
    text, more = await ask(
        [
            *messages,
            {"role": "assistant", "content": text[:_KEPT]},
            {"role": "user", "content": _AGAIN[russian].format(cause)},
        ]
    )
    both = None if latency is None or more is None else latency + more
    try:
        return read(text), both
    except UnreadableReplyError:
        if first:
            context.note_unusable(first)  # with the second, which the case marks
        raise
