"""A request's fields against their types: what fits, and a located problem for what does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from rag_bench.strict_json.places import Place

Given = TypeVar("Given", bound=BaseModel)
#: Says where a path into a request, or into one case of it, stands.
Where = Callable[[Sequence[int | str], str], Place]

_WORDS = {
    "missing": "This field is needed.",
    "string_type": "This must be a text.",
    "int_type": "This must be a whole number.",
    "float_type": "This must be a number.",
    "bool_type": "This must be true or false.",
    "list_type": "This must be a list.",
    "dict_type": "This must be an object.",
    "model_type": "This must be an object.",
    "model_attributes_type": "This must be an object.",
}


def read(model: type[Given], given: Any, where: Where, errors: list[Place]) -> Given | None:
    """Return what was given as a model; fields that do not fit are told and left out.

    None: not even what fits makes one.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True)
    errors += _places(model, given, found, where)
    if not isinstance(given, Mapping):
        return None
    bad = {one["loc"][0] for one in found if one["loc"]}
    try:
        return model.model_validate({n: value for n, value in given.items() if n not in bad})
    except ValidationError:  # a field that is needed
        return None


def _places(model: type[BaseModel], given: Any, found: Sequence[Any], where: Where) -> list[Place]:
    """Return a problem per place: what fits none of several types is one problem."""
    said: dict[tuple[int | str, ...], list[str]] = {}
    for one in found:
        path = _real(given, one["loc"])
        if one["type"] == "missing":
            path = (*path, one["loc"][-1])
        said.setdefault(path, []).append(_in_words(model, given, path, one))
    return [where(path, " Or: ".join(dict.fromkeys(words))) for path, words in said.items()]


def _real(given: Any, loc: Sequence[int | str]) -> tuple[int | str, ...]:
    """Return the part of a location that stands in the input: pydantic adds names of types."""
    path: list[int | str] = []
    for part in loc:
        of_list = isinstance(given, list) and isinstance(part, int) and part < len(given)
        if of_list or (isinstance(given, Mapping) and part in given):
            given = given[part]
            path.append(part)
    return tuple(path)


def _in_words(model: type[BaseModel], given: Any, path: Sequence[int | str], one: Any) -> str:
    if one["type"] == "extra_forbidden":
        if len(path) > 1:
            return f"There is no field {path[-1]!r} here."
        return f"There is no field {path[-1]!r}. There are: {', '.join(model.model_fields)}."
    words = _WORDS.get(one["type"])
    return words or f"{one['msg'].rstrip('.')}."
