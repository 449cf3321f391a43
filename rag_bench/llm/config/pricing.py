"""The table of prices: a file of the user's, as nobody else can vouch for them.

``RAG_BENCH_PRICES`` names a TOML or JSON file: provider, model, then US dollars for a million
tokens of prompt and of completion, or for a call or a search unit, the date and the source. A
model that is not in it has an unknown price, which is not 0; one that is free is in it with 0.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.roles import Price

VARIABLE = "RAG_BENCH_PRICES"
_BY_TOKENS = ("prompt_usd_per_million", "completion_usd_per_million")
_BY_CALLS = ("usd_per_call", "usd_per_search_unit")
_FIELDS = {*_BY_TOKENS, *_BY_CALLS, "date", "source"}


def load_prices(path: Path) -> dict[str, Price]:
    """Return the prices of a file by model key (``<provider>/<model>``).

    Raises:
        ConfigurationError: no such file, or an entry that cannot be meant, named in the message.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{VARIABLE}: {path} cannot be read ({error}).") from None
    try:
        if path.suffix.lower() == ".json":
            table = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        else:
            table = tomllib.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise ConfigurationError(f"{VARIABLE}: {path} is no TOML or JSON: {error}.") from None
    prices: dict[str, Price] = {}
    for provider, models in _entries(table, path.name):
        for model, entry in _entries(models, f"{path.name}, {provider}"):
            place = f"{path.name}, {provider}/{model}"
            prices[f"{provider.lower()}/{model}"] = _price(entry, place)
    return prices


def _entries(value: Any, place: str) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{VARIABLE}: {place} should be a table.")
    return [(str(name), entry) for name, entry in value.items()]


def _price(entry: Any, place: str) -> Price:
    fields = dict(_entries(entry, place))
    unknown = sorted(set(fields) - _FIELDS)
    if unknown:
        raise ConfigurationError(
            f"{VARIABLE}: {place} has no field {unknown[0]!r} (in TOML, a model with a dot in its "
            "name is written in quotes)."
        )
    source = fields.get("source")
    if not isinstance(source, str) or not source.strip():
        raise ConfigurationError(f"{VARIABLE}: {place} needs a source: who says so?")
    if any(name in fields for name in _BY_CALLS):
        # A reranker or a live assistant is paid by the call; what is not said of it is free.
        fields = {**dict.fromkeys((*_BY_TOKENS, *_BY_CALLS), Decimal(0)), **fields}
        call, unit = (_amount(fields, name, place, "each") for name in _BY_CALLS)
    else:
        call = unit = Decimal(0)
    prompt, completion = (
        _amount(fields, name, place, "for a million tokens") for name in _BY_TOKENS
    )
    return Price(
        prompt,
        completion,
        _date(fields.get("date"), place),
        source.strip(),
        call,
        unit,
    )


def _amount(fields: Mapping[str, Any], name: str, place: str, of_what: str) -> Decimal:
    value = fields.get(name)
    amount = Decimal(value) if type(value) in (int, Decimal) else None  # type: ignore[arg-type]
    if amount is None or not amount.is_finite() or not 0 <= amount < Decimal(1_000_000):
        raise ConfigurationError(
            f"{VARIABLE}: {place} needs {name}, US dollars {of_what}, 0 or more."
        )
    return amount


def _date(value: Any, place: str) -> date:
    if type(value) is date:
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{VARIABLE}: {place} needs a date, 2030-01-31.") from None
