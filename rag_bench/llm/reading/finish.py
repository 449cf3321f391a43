"""Why a reply ended, in every provider's word for it: whole, cut, withheld, or broken off.

The protocol knows ``stop``, ``length``, ``content_filter``, ``tool_calls``; servers send many
others. Only a word that is known to mean that something is missing makes a reply unusable: a reply
that reads well under a word that nobody knows is whole, and its case is flagged.
"""

from __future__ import annotations

from typing import Any

from rag_bench.llm.config.known_quirks import QUIRKS
from rag_bench.llm.config.quirk import Ending

#: Flag of a case: one of its replies ended for a reason that is not known here.
UNKNOWN_REASON = "unknown_finish_reason"

_CUT = "truncated: finish_reason={}, raise the token limit"
_WITHHELD = "withheld by the provider's content filter: finish_reason={}"
_BROKEN = "the provider broke off: finish_reason={}"

# Compared in lower case, with spaces and hyphens as underscores and without the prefix
# FINISH_REASON_; words that only one provider says are among its quirks. Of OpenAI, Anthropic,
# Gemini and Vertex, Mistral, DeepSeek, Qwen, GLM, GigaChat, Cohere, Bedrock, Azure, OpenRouter,
# vLLM, SGLang, TGI, llama.cpp, Ollama.


def _words(text: str) -> list[str]:
    return text.split()


def _said(meaning: Ending) -> frozenset[str]:
    """Return the words of quirks with one meaning."""
    return frozenset(
        word for quirk in QUIRKS for word, ending in quirk.endings.items() if ending is meaning
    )


_WHOLE = _said(Ending.whole) | frozenset(
    _words("""
        stop stopped stop_sequence stop_token stop_word end end_turn end_of_turn eos eos_token
        eos_found eot complete completed done finish finished final success succeeded normal ok
        natural tool_calls tool_call tool_use function_call load unload
        none null
    """)
)
_MEANINGS: dict[str, str] = {
    **dict.fromkeys(
        _words("""
            length max_tokens max_output_tokens max_completion_tokens max_new_tokens max_length
            model_length token_limit limit truncated
            context_length context_length_exceeded
            model_context_window_exceeded context_window_full too_long incomplete
            max_tokens_reached length_capped size_limit
        """),
        _CUT,
    ),
    **dict.fromkeys(_said(Ending.cut), _CUT),
    **dict.fromkeys(
        _words("""
            content_filter content_filtered filtered safety image_safety recitation blocklist
            blacklist prohibited_content spii language refusal sensitive guardrail
            guardrail_intervened moderation moderated flagged blocked censored error_toxic
            violation
        """),
        _WITHHELD,
    ),
    **dict.fromkeys(_said(Ending.withheld), _WITHHELD),
    **dict.fromkeys(
        _words("""
            error failed failure abort aborted cancel canceled cancelled timeout time_limit
            network_error connection_error overloaded
            malformed_function_call malformed_response unexpected_tool_call error_limit
            user_cancel disconnect interrupted partial repetition
            pause_turn
        """),
        _BROKEN,
    ),
    **dict.fromkeys(_said(Ending.broken), _BROKEN),
}


def finish_problem(reason: Any) -> str | None:
    """Return what a reply that ended so lacks, in words; None where it is whole."""
    word = _word(reason)
    meaning = _MEANINGS.get(word)
    return meaning.format(str(reason)[:60]) if meaning else None


def is_known(reason: Any) -> bool:
    """Tell whether a reason's meaning is known; a missing reason is, as many servers send none."""
    word = _word(reason)
    return word == "" or word in _WHOLE or word in _MEANINGS


def _word(reason: Any) -> str:
    if reason is None:
        return ""
    if isinstance(reason, dict):  # {"type": "stop"}, as some gateways send it
        reason = reason.get("type") or reason.get("reason")
    word = "_".join(str(reason).strip().lower().replace("-", " ").replace("_", " ").split())
    return word.removeprefix("finish_reason_").removeprefix("stop_reason_")
