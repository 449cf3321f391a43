"""The stated qualities stand in one place, and the document shows the same."""

from __future__ import annotations

import pytest

from rag_bench.llm.config import offline
from rag_bench.settings import PROJECT_ROOT
from rag_bench.simulator.models import Generator
from rag_bench.simulator.roster import GENERATORS, Catalogue, tables
from rag_bench.simulator.truth import WORTH, Quality


def test_the_document_shows_the_tables():
    document = (PROJECT_ROOT / "docs" / "offline_models.md").read_text(encoding="utf-8")
    assert tables() in document


def test_every_configured_offline_model_is_served_and_none_is_hidden():
    configured = (
        *offline.ALL_GENERATORS,
        *offline.ALL_BENCHMARK_JUDGES,
        *offline.ALL_PRODUCTION_JUDGES,
    )
    names = [name.removeprefix(f"{offline.SIMULATOR}/") for name in configured]
    assert sorted(names) == sorted(Catalogue().by_name)


def test_shares_must_sum_to_one():
    with pytest.raises(ValueError, match="sum to 1"):
        Generator("bad", dict.fromkeys(Quality, 0.1), 0.5, 0.1, 0.1, 0.0, 0.0)
    with pytest.raises(ValueError, match="cover all"):
        Generator("bad", {Quality.correct: 1.0}, 0.5, 0.1, 0.1, 0.0, 0.0)


def test_worth_is_on_the_scale_and_correct_is_best():
    for worth in WORTH.values():
        assert set(worth) == set(Quality)
        assert set(worth.values()) <= set(range(1, 6))
        assert worth[Quality.correct] == 5


def test_generators_are_named_as_simulated():
    assert all(model.name.startswith("sim-") for model in GENERATORS)
