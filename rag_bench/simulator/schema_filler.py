"""A minimal valid value for any JSON schema: so that a client with a schema of its own runs.

It says nothing about the question; whoever needs a meaning must teach the simulator the schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_bench.simulator.sections import message_text

Schema = Mapping[str, Any]
_DEEPEST = 20


def fill(schema: Schema) -> Any:
    """Return a minimal value that the schema accepts: required properties, shortest arrays."""
    return _fill(schema, schema, 0)


def schema_in_messages(messages: Sequence[Mapping[str, Any]]) -> Schema | None:
    """Return the last JSON schema of an object written out in the messages, if there is one."""
    found: Schema | None = None
    for message in messages:
        for value in json_objects(message_text(message)):
            if isinstance(value.get("properties"), dict):
                found = value
    return found


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that stand in a text, in order; none inside another."""
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            end = start + 1
        else:
            yield value  # it begins with a brace, so it is an object
        start = text.find("{", end)


def _fill(schema: Any, root: Schema, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    if "$ref" in schema:
        return _fill(_resolve(schema["$ref"], root), root, depth + 1)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    if schema.get("enum"):
        return schema["enum"][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if schema.get(name):
            return _fill(schema[name][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "null")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        names = schema.get("required", list(properties))
        return {name: _fill(properties.get(name, {}), root, depth + 1) for name in names}
    if kind == "array":
        item = schema.get("items", {})
        return [_fill(item, root, depth + 1) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return "—".ljust(schema.get("minLength", 1), "—")
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
        return min(low, schema["maximum"]) if "maximum" in schema else low
    return False if kind == "boolean" else None


def _resolve(reference: str, root: Schema) -> Any:
    value: Any = root
    for step in reference.removeprefix("#/").split("/"):
        value = value.get(step, {}) if isinstance(value, Mapping) else {}
    return value
