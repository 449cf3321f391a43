"""The body of a chat request: as it is sent, as it enters the ledger's key, and as earlier
versions made it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rag_bench.llm.config.known_quirks import asked, in_address
from rag_bench.llm.config.roles import Provider
from rag_bench.llm.config.room import (
    NEEDED,
    limits_of_roles,
    longest_reply,
)
from rag_bench.settings import Settings

_SCHEMA = "Reply with one JSON object that matches this JSON schema, and nothing else:\n"
_LIMITS = ("max_completion_tokens", "max_tokens")


def chat_body(
    provider: Provider,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    response_format: Mapping[str, Any] | None,
    temperature: float,
    max_tokens: int,
) -> dict[str, Any]:
    """Return the body of a chat request, as it enters the ledger's key.

    There is one system message at most, at the beginning, or none where the provider takes none.
    ``stream`` is put in by the ledger, below its key.
    """
    options = provider.options_for(model)
    quirks = asked(provider, model)
    takes = (
        options.response_format
        or provider.response_format
        or quirks.response_format
        or "json_schema"
    )
    body: dict[str, Any] = {"model": model, "messages": [dict(m) for m in messages]}
    body["temperature"] = temperature
    limit_name = options.max_tokens_field or quirks.max_tokens_field or "max_tokens"
    if limit_name != "none":
        body[limit_name] = max_tokens
    said: list[str] = []
    if response_format is not None:
        if takes == "json_schema":
            body["response_format"] = dict(response_format)
        else:
            schema = response_format.get("json_schema", {}).get("schema", {})
            said.append(_SCHEMA + json.dumps(schema, ensure_ascii=False))
            if takes == "json_object":
                body["response_format"] = {"type": "json_object"}
    role = options.system_message or quirks.system_message
    body["messages"] = _one_system_message(said, body["messages"], role)
    for name, value in {**quirks.body, **options.body}.items():
        if value is None:
            body.pop(name, None)
        elif name != "stream":
            body[name] = value
    return body


def earlier_body(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the body by which earlier versions asked for the same, None if it was no other.

    They sent the schema as a system message of its own, before the prompt's; replies that they
    stored answer today's request.
    """
    messages = body.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    if not isinstance(first, dict) or first.get("role") != "system":
        return None
    content = first.get("content")
    if not isinstance(content, str) or not content.startswith(_SCHEMA):
        return None
    schema, gap, rest = content.partition("\n\n")
    if not gap or not isinstance(messages, list):
        return None
    apart = [{"role": "system", "content": text} for text in (schema, rest)]
    return {**body, "messages": [*apart, *messages[1:]]}


def limit_in(body: Mapping[str, Any]) -> int | None:
    """Return the longest reply that a body allows, in tokens; None if it sets no limit."""
    named = (body.get(name) for name in _LIMITS)
    return next((n for n in named if type(n) is int and n > 0), None)


def asked_otherwise(
    provider: Provider, model: str, role: str, settings: Settings
) -> tuple[dict[str, Any], ...]:
    """Return how a model is asked otherwise than by default, for the address of its results.

    Empty where nothing is set: results of earlier versions keep their address.
    """
    options = provider.options_for(model)
    limit = longest_reply(provider, model, role, None, limits_of_roles(settings))
    found = {
        "body": dict(options.body),
        "query": options.public_query,
        "max_tokens": limit if limit != NEEDED.get(role) else None,
        "max_tokens_field": options.max_tokens_field,
        "response_format": options.response_format,
        "system_message": options.system_message,
        "quirks": in_address(provider, model),
    }
    said = {name: value for name, value in found.items() if value}
    return (said,) if said else ()


def _one_system_message(
    said: list[str], messages: list[dict[str, Any]], role: str | None
) -> list[dict[str, Any]]:
    begin = 0
    while begin < len(messages) and messages[begin].get("role") == "system":
        said.append(str(messages[begin]["content"]))
        begin += 1
    rest = messages[begin:]
    if not said:
        return rest
    text = "\n\n".join(said)
    if role != "none":
        return [{"role": role or "system", "content": text}, *rest]
    if rest and rest[0].get("role") == "user" and isinstance(rest[0].get("content"), str):
        return [{**rest[0], "content": f"{text}\n\n{rest[0]['content']}"}, *rest[1:]]
    return [{"role": "user", "content": text}, *rest]
