"""Structured replies, read strictly: the exact JSON that was asked for, or an error.

No number is ever looked for in prose. The forerunner did: "Оценка по 5-балльной шкале: 2" became
5, "По шкале от 1 до 5 это 4" became 1, an empty reply 3, and 4.5 was cut to 4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from rag_bench.errors import CaseError, ErrorCode

T = TypeVar("T", bound=BaseModel)

_FENCE = re.compile(r"```[\w-]*\s*(.*?)\s*```", re.DOTALL)
_SHOWN = 160


class UnreadableReplyError(CaseError):
    """A reply came, and it is not what was asked for: ``cause`` says why. Code METRIC_ERROR."""

    def __init__(self, cause: str, text: str) -> None:
        shown = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
        self.cause = cause
        super().__init__(
            ErrorCode.METRIC_ERROR, f"unreadable reply: {cause}; it begins with {shown!r}"
        )


def response_format_for(
    name: str, json_schema: Mapping[str, Any] | type[BaseModel]
) -> dict[str, Any]:
    """Return OpenAI's ``response_format`` for a strict JSON schema.

    Strict mode wants every field required and no others, so both are set on every object. The
    schema of a model is one object for all: it is not to be changed.
    """
    schema = _schema_of(json_schema) if isinstance(json_schema, type) else _strict(json_schema)
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


@cache  # pydantic takes half a millisecond, and each call of a judge has one
def _schema_of(model: type[BaseModel]) -> dict[str, Any]:
    strict: dict[str, Any] = _strict(model.model_json_schema())
    return strict


def parse_structured(text: str | None, model: type[T]) -> T:
    """Read a reply as one JSON object of exactly the model's fields, types and ranges.

    White space around it and a single ```json fence are let pass. A whole number may be written
    as 4.0, as models do that never saw an integer; nothing else is converted: 4.5 or "4" or true
    is no whole number, and a missing field is missing even if it has a default.

    Raises:
        UnreadableReplyError: anything else, with the cause.
    """
    original = text or ""
    content = original.strip()
    if not content:
        raise UnreadableReplyError("the reply is empty", original)
    fence = _FENCE.fullmatch(content)
    if fence:
        content = fence[1]
    try:
        value = json.loads(content, object_pairs_hook=_no_repeats, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        cause = str(error) if isinstance(error, _NotStrictError) else "it is not one JSON object"
        raise UnreadableReplyError(cause, original) from None
    if not isinstance(value, dict):
        raise UnreadableReplyError("it is JSON, but no object", original)
    problem = _field_problem(value, model, "")
    if problem:
        raise UnreadableReplyError(problem, original)
    whole = _with_whole_numbers(value, model)
    if whole is not value:
        content = json.dumps(whole)
    try:
        return model.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise UnreadableReplyError(f"{place or 'it'}: {first['msg']}", original) from None


class _NotStrictError(ValueError):
    """JSON that Python's parser takes and that leaves open what was meant."""


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _NotStrictError("a field stands twice in one object")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise _NotStrictError(f"{name} is no JSON number")


def _with_whole_numbers(value: Any, annotation: Any) -> Any:
    """Return a value with 4.0 as 4 where the type is a whole number; itself if nothing changed."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(value, float):
        inner = get_args(annotation) or (annotation,)
        return int(value) if int in inner and float not in inner and value.is_integer() else value
    if isinstance(value, dict):
        types: dict[str, Any] = {}
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = annotation.model_fields.items()
            types = {field.alias or name: field.annotation for name, field in fields}
        changed = {k: _with_whole_numbers(v, types.get(k)) for k, v in value.items()}
        return value if all(changed[k] is v for k, v in value.items()) else changed
    if isinstance(value, list):
        item = next(iter(get_args(annotation)), None)
        items = [_with_whole_numbers(v, item) for v in value]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def _field_problem(value: Any, annotation: Any, place: str) -> str | None:
    """Return what is missing or too much in the models inside a type, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not isinstance(value, dict):
            return None  # a wrong type: pydantic's message is better
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        for name in fields:
            if name not in value:
                return f"the field {place}{name} is missing"
        for name in value:
            if name not in fields:
                return f"the field {place}{name[:40]} was not asked for"
        for name, field in fields.items():
            problem = _field_problem(value[name], field.annotation, f"{place}{name}.")
            if problem:
                return problem
        return None
    inner = [a for a in get_args(annotation) if a is not type(None)]
    values = value if isinstance(value, list) else [value]
    if len(inner) == 1:  # list[Model], Optional[Model]
        for item in values:
            problem = _field_problem(item, inner[0], place)
            if problem:
                return problem
    return None


def _strict(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        strict = {name: _strict(part) for name, part in schema.items() if name != "default"}
        if isinstance(schema.get("properties"), Mapping):
            # A property may itself be called "default": its schema is kept.
            strict["properties"] = {k: _strict(v) for k, v in schema["properties"].items()}
            strict["additionalProperties"] = False
            strict["required"] = list(schema["properties"])
        return strict
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    return schema
