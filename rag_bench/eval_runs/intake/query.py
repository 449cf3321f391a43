"""The fields of a request that stand in the query string, where its body holds cases only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rag_bench.eval_runs.intake.request import SOURCES, EvalRequest
from rag_bench.strict_json.places import InvalidInput, Place

#: Lists: given several times, or by commas.
_LISTS = ("eval_type", "metrics")
_NUMBERS = ("top_k", "contexts_per_answer", "max_calls", "max_cost_usd")
_LABEL = "labels."


def request_of_query(query: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return a request without cases from parameters: those of a request by their names, labels as
    ``labels.NAME=value``.

    Raises:
        InvalidInput: a parameter that there is not, or one that stands twice.
    """
    fields: dict[str, Any] = {}
    errors: list[Place] = []
    known = [name for name in EvalRequest.model_fields if name not in SOURCES]
    for name, value in query:
        if "\0" in name + value:
            shown = name.replace("\0", "\N{SYMBOL FOR NULL}")
            errors.append(Place("This parameter holds a NUL.", parameter=shown))
        elif name.startswith(_LABEL):
            fields.setdefault("labels", {})[name.removeprefix(_LABEL)] = value
        elif name in _LISTS:
            fields.setdefault(name, []).extend(filter(None, map(str.strip, value.split(","))))
        elif name not in known or name == "labels":
            detail = f"There is no parameter {name!r}. There are: {', '.join(known)}, {_LABEL}NAME."
            errors.append(Place(detail, parameter=name))
        elif name in fields:
            errors.append(Place("This parameter stands twice.", parameter=name))
        else:
            fields[name] = _number(value) if name in _NUMBERS else value
    if errors:
        raise InvalidInput("The request has impossible parameters.", errors)
    return fields


def as_parameter(path: Sequence[int | str], detail: str) -> Place:
    """Return the place of a field that stood in the query."""
    if path and path[0] == "labels":
        return Place(detail, parameter=_LABEL + str(path[1]) if len(path) > 1 else _LABEL)
    return Place(detail, parameter=str(path[0]) if path else None)


def _number(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, int | float) else text
