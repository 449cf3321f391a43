"""The table of prices: read strictly, and unknown stays unknown."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from fake_provider import FAST, FakeProvider, question
from sqlalchemy import Engine, text

from rag_bench.errors import ConfigurationError
from rag_bench.llm.config.pricing import load_prices
from rag_bench.llm.config.providers import Price, Providers
from rag_bench.llm.transport.client import ChatModels
from rag_bench.settings import PROJECT_ROOT

TABLE = """
[mistral."small-1.5"]
prompt_usd_per_million = 0.1
completion_usd_per_million = 3
date = 2030-01-31
source = "выдумано"
"""


def write(folder: Path, words: str, name: str = "prices.toml") -> Path:
    path = folder / name
    path.write_text(words, encoding="utf-8")
    return path


def test_toml_and_json_say_the_same(tmp_path: Path) -> None:
    expected = Price(Decimal("0.1"), Decimal(3), date(2030, 1, 31), "выдумано")
    assert load_prices(write(tmp_path, TABLE)) == {"mistral/small-1.5": expected}
    entry = {
        "prompt_usd_per_million": 0.1,
        "completion_usd_per_million": 3,
        "date": "2030-01-31",
        "source": "выдумано",
    }
    table = json.dumps({"Mistral": {"small-1.5": entry}})
    assert load_prices(write(tmp_path, table, "prices.json")) == {"mistral/small-1.5": expected}


def test_the_example_can_be_read_and_says_that_it_is_invented() -> None:
    prices = load_prices(PROJECT_ROOT / "docs" / "prices.example.toml")
    assert len(prices) == 5
    assert all("invented" in (price.source or "") for price in prices.values())


def test_what_is_paid_by_the_call_needs_no_price_of_tokens(tmp_path: Path) -> None:
    words = TABLE.replace("prompt_usd_per_million = 0.1", "usd_per_search_unit = 0.002")
    words = words.replace("completion_usd_per_million = 3", "usd_per_call = 0.01")
    prices = load_prices(write(tmp_path, words))
    zero = Decimal(0)
    expected = Price(zero, zero, date(2030, 1, 31), "выдумано", Decimal("0.01"), Decimal("0.002"))
    assert prices == {"mistral/small-1.5": expected}
    providers = Providers({}, prices)
    # No price of tokens: they need not be known. Search units must be.
    assert providers.cost_usd("mistral/small-1.5", None, None, 3) == Decimal("0.016")
    assert providers.cost_usd("mistral/small-1.5", None, None, 3, n_calls=5) == Decimal("0.056")
    assert providers.cost_usd("mistral/small-1.5", 10, 10, None) is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("completion_usd_per_million = 3", "usd_per_call = -1", "usd_per_call, US dollars each"),
        ("0.1", "-0.1", "prompt_usd_per_million"),
        ("0.1", "true", "prompt_usd_per_million"),
        ("0.1", '"0.1"', "prompt_usd_per_million"),
        ("0.1", "nan", "prompt_usd_per_million"),
        ("0.1", "inf", "prompt_usd_per_million"),
        ("completion_usd", "output_usd", "no field 'output_usd_per_million'"),
        ('source = "выдумано"', "", "a source"),
        ("date = 2030-01-31", "", "a date"),
        ('"small-1.5"', "small-1.5", "no field '5'"),
        ('[mistral."small-1.5"]', "[[mistral]]", "mistral should be a table"),
        ("0.1", "0,1", "no TOML or JSON"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_with_its_place(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_prices(write(tmp_path, TABLE.replace(old, new)))


def test_a_missing_file_is_an_error_and_not_an_empty_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"prices\.toml cannot be read"):
        Providers.from_environment({"RAG_BENCH_PRICES": str(tmp_path / "prices.toml")})


def test_costs_stand_in_the_ledger_and_unknown_ones_are_null(
    tmp_path: Path, provider: FakeProvider, database_url: str, engine: Engine
) -> None:
    path = write(tmp_path, TABLE.replace("mistral", "fake"))
    environment = {
        "PROVIDER_FAKE_BASE_URL": provider.base_url,
        "RAG_BENCH_PRICES": str(path),
    }
    providers = Providers.from_environment(environment)

    async def run() -> None:
        async with ChatModels(providers, database_url, limits=FAST) as client:
            for model in ("small-1.5", "other"):
                await client.chat(f"fake/{model}", "generation", question("?"))

    asyncio.run(run())
    with engine.connect() as connection:
        query = text("select model, cost_usd from rag_bench.llm_call")
        costs = dict(connection.execute(query).tuples().all())
    # 11 tokens of prompt, 7 of completion.
    assert costs == {"small-1.5": (Decimal("0.1") * 11 + 3 * 7) / 1_000_000, "other": None}
    assert providers.price("simulator/extractive") == Price(Decimal(0), Decimal(0))
    assert providers.price("fake/other") is None
