"""A usable reply of a chat model, as those who asked get it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.reading import replies
from rag_bench.llm.transport.context import current_context


@dataclass(frozen=True)
class ChatReply:
    """A usable reply. Latency is that of the original call to the provider, in milliseconds,
    also where the reply came from the ledger; tokens are None where the provider named none.

    ``text`` is the answer alone: thinking and what servers put round it are cut off, and stay in
    the ledger. ``completion_tokens`` are all that were paid for, ``thinking_tokens`` those of them
    that the provider says were none of the answer. ``flags`` are remarks for the case.
    """

    text: str
    finish_reason: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    latency_ms: float | None
    from_ledger: bool
    key: str
    thinking_tokens: int | None = None
    flags: tuple[str, ...] = ()


def read_chat_reply(
    model_key: str,
    content: bytes | str,
    *,
    latency_ms: float | None,
    from_ledger: bool,
    key: str,
    if_cut: Callable[[], str] | None = None,
) -> ChatReply:
    """Return the usable reply in a chat completion that the ledger has found to be one.

    ``if_cut`` says what mends a reply that was cut at its limit.

    Raises:
        CaseError: LLM_FAILED, it is truncated, refused, filtered or empty.
    """
    # The ledger has checked the shape; the SDK's models would only cost time.
    completion = json.loads(content)
    answer = replies.read_answer(completion)
    context = current_context()
    if context is not None:
        context.add_flags(answer.flags)
    if answer.problem:
        cut = answer.problem.endswith("raise the token limit")
        hint = f": {if_cut()}" if if_cut and cut else ""
        raise CaseError(ErrorCode.LLM_FAILED, f"{model_key}: {answer.problem}{hint}")
    prompt_tokens, completion_tokens = replies.read_usage(completion)
    reason = completion["choices"][0].get("finish_reason")
    return ChatReply(
        text=answer.text,
        finish_reason=reason if isinstance(reason, str) else None,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        latency_ms=latency_ms,
        from_ledger=from_ledger,
        key=key,
        thinking_tokens=replies.read_thinking_tokens(completion),
        flags=answer.flags,
    )
