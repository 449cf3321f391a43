"""What to put into the environment file when a provider refuses a request for what is in it.

Providers name the field that they do not take, each in words of its own; what is known of it is
said here as the very line to add.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from rag_bench.llm.config.known_quirks import QUIRKS
from rag_bench.llm.config.roles import Provider

_REFUSED = frozenset((400, 404, 405, 415, 422))
_READ = 8_000  # characters of a message
_SHOWN = 120  # of them, before the line to add
_MUST_BE = re.compile(
    r"\b([a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*)\W{1,4}(?:must|should|has to|needs to) be "
    r"(?:set to |equal to )?[`'\"]?(true|false)\b"
)
_TOO_LARGE = re.compile(
    r"too (?:large|long|big|high)|maximum context|context (?:length|window)|exceed|less than|"
    r"at most|range of|greater than|maximum (?:value|allowed)"
)
_SYSTEM = re.compile(
    r"(?:system|developer)\W{0,3} ?(?:role|message|prompt|instruction)|"
    r"role\W{0,4}(?:system|developer)|roles must alternate|only user and assistant roles"
)
_FORMAT = re.compile(
    r"response_?format|json_?schema|json_object|structured[ _]output|guided|grammar|"
    r"\bschemas?\b|\benum\b|text\.format"
)
# Fields that a request always has, and words that messages are full of.
_ALWAYS = frozenset(("model", "messages", "response_format"))


def advise(provider: Provider, body: Mapping[str, Any], status: int, content: bytes) -> str | None:
    """Return what to do about a refusal, with the line for the environment file; None: unknown.

    Args:
        provider: that refused.
        body: what was sent.
        status: of the reply.
        content: the reply, without secrets.
    """
    if status not in _REFUSED:
        return None
    words = content.decode("utf-8", errors="replace")[:_READ].lower().replace("\\", "")
    prefix = f"PROVIDER_{provider.name.upper()}_"
    model = str(body.get("model"))
    named = _named_fields(content)
    for known in (advice for quirk in QUIRKS for advice in quirk.advice):
        if re.search(known.said, words):
            return known.add.replace("{prefix}", prefix)
    if status == 404:
        return None
    must = _MUST_BE.search(words)
    if must:
        field = must[1].rpartition(".")[2]
        return "add " + _body_line(provider, model, {field: must[2] == "true"})
    limit = next((n for n in ("max_completion_tokens", "max_tokens") if n in body), None)
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
    if (limit and (limit in named or re.search(rf"\b{limit}\b", words))) or (
        "context length" in words or "context window" in words
    ):
        if _TOO_LARGE.search(words) and "not supported" not in words:
            return f"lower the longest reply, now {body.get(limit or '')}: {prefix}MAX_TOKENS=…"
        if limit:
            return f"add {prefix}MAX_TOKENS_FIELD={other[limit]} (or none)"
    if "response_format" in body and (_FORMAT.search(words) or "response_format" in named):
        strict = body["response_format"].get("type") == "json_schema"
        weaker = "json_object" if strict else "none"
        what = "JSON schema" if strict else "JSON mode"
        return (
            f"the endpoint does not take this {what}: add {prefix}RESPONSE_FORMAT={weaker}, "
            "and the schema goes into the prompt"
        )
    for field in body:
        if field in _ALWAYS:
            continue
        if field in named or re.search(rf"(?<![a-z_]){re.escape(field)}(?![a-z_])", words):
            return f"the model refuses {field}: add " + _body_line(provider, model, {field: None})
    if "stream" in named or re.search(r"[`'\"]stream[`'\"]", words):
        return "add " + _body_line(provider, model, {"stream": None})
    if _SYSTEM.search(words):
        return f"add {prefix}SYSTEM_MESSAGE=none, and what it says begins the user's message"
    return None


def in_words(status: int, message: str, hint: str | None) -> str:
    """Return a refusal in words, so short that the line to add is seen wherever it is shown."""
    if hint is None:
        return f"http {status}: {message}"
    shown = message if len(message) <= _SHOWN else message[: _SHOWN - 1] + "…"
    return f"http {status}: {shown} ({hint})"


def _body_line(provider: Provider, model: str, fields: Mapping[str, Any]) -> str:
    variable = f"PROVIDER_{provider.name.upper()}_MODEL_OPTIONS"
    if provider.model_options:
        # The line that is there may hold secrets, so it is not repeated.
        said = json.dumps(dict(fields))[1:-1]
        return f'{said} to "body" of {json.dumps(model, ensure_ascii=False)} in {variable}'
    return f"{variable}='{json.dumps({model: {'body': dict(fields)}}, ensure_ascii=False)}'"


def _named_fields(content: bytes) -> set[str]:
    """Return the fields that an error names apart: OpenAI's ``param``, pydantic's ``loc``."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return set()
    found: set[str] = set()
    left = [body]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += value
        elif isinstance(value, dict):
            if isinstance(value.get("param"), str):
                found.add(value["param"].partition(".")[0])
            if isinstance(value.get("loc"), list):
                found |= {str(part) for part in value["loc"]}
            left += value.values()
    return found
