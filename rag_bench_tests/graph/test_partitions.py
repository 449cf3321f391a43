"""Partitions: one per configured model."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from rag_bench.answer_sources import PRODUCTION_LOG
from rag_bench.automation import range_tags
from rag_bench.errors import ConfigurationError
from rag_bench.llm.config import offline
from rag_bench.llm.config.providers import Providers
from rag_bench.partitions import ModelLists, Partitions, cell_key
from rag_bench.tiers.registry import Axis

ENVIRONMENT = {
    "PROVIDER_X_API_KEY": "k",
    "PROVIDER_X_BASE_URL": "https://x.example.org/v1",
    "X_GEN_MODELS": "модель-1,a/b:free",
    "X_BM_JUDGE_MODELS": "судья",
    "X_JUDGE_MODELS": "вахтёр",
}


def test_lists_of_the_environment_follow_the_offline_models() -> None:
    models = ModelLists.from_providers(Providers(ENVIRONMENT))
    assert list(models.generation) == [
        *offline.GENERATORS,
        "x/модель-1",
        "x/a/b:free",
        PRODUCTION_LOG.key,
    ]
    # The names' trap: JUDGE_MODELS are the production judges.
    assert list(models.benchmark_judges) == [*offline.BENCHMARK_JUDGES, "x/судья"]
    assert list(models.production_judges) == [*offline.PRODUCTION_JUDGES, "x/вахтёр"]


def test_the_offline_models_are_always_there() -> None:
    partitions = Partitions.of(ModelLists.from_providers(Providers({})))
    keys = partitions.generation.get_partition_keys()
    assert keys == [*offline.GENERATORS, PRODUCTION_LOG.key]
    assert len(partitions.grid.get_partition_keys()) == 5 * 3


def test_the_grid_is_every_generator_by_every_benchmark_judge() -> None:
    models = ModelLists(["a/1", "b/2:free"], ["судья/ё", "j/2"], ["p/1"])
    grid = Partitions.of(models).grid
    keys = grid.get_partition_keys()
    assert {str(key) for key in keys} == {
        str(cell_key(generator, judge))
        for generator in models.generation
        for judge in models.benchmark_judges
    }
    for key in keys:
        assert isinstance(key, dg.MultiPartitionKey)
        found = key.keys_by_dimension
        assert cell_key(found["generation_model"], found["benchmark_judge"]) == key


def test_a_range_covers_every_cell() -> None:
    """One run over the first to the last key is a run over all of them."""
    models = ModelLists(["a/1", "b/2", "c/3"], ["z/1", "y/2"], ["p/1"])
    partitions = Partitions.of(models)
    for definition in (partitions.generation, partitions.grid, partitions.production_judges):
        tags = range_tags(definition)
        span = dg.PartitionKeyRange(
            tags["dagster/asset_partition_range_start"], tags["dagster/asset_partition_range_end"]
        )
        found = definition.get_partition_keys_in_range(span)
        assert [str(k) for k in found] == [str(k) for k in definition.get_partition_keys()]


def test_retrievers_are_those_of_the_file_and_leave_the_models_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ModelLists(["a/1"], ["z/1"], ["p/1"])
    shipped = Partitions.of(models).by(Axis.RETRIEVER).get_partition_keys()
    assert list(shipped) == ["default", "bm25", "hybrid", "hybrid_late", "dense_hnsw"]
    path = tmp_path / "mine.toml"
    path.write_text('[retrievers.mine]\nsearch = "bm25"\n')
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    partitions = Partitions.of(models)
    assert list(partitions.retrievers.get_partition_keys()) == ["default", "mine"]
    assert list(partitions.generation.get_partition_keys()) == ["a/1"]
    path.write_text('[retrievers.mine]\nsearch = "bm52"\n')
    with pytest.raises(ConfigurationError, match=r"\[retrievers.mine\]: search: "):
        Partitions.of(models)


@pytest.mark.parametrize("name", ["a|b", "a[0]", "a\nb", "a...b"])
def test_names_that_cannot_be_keys_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="X_GEN_MODELS"):
        ModelLists.from_providers(Providers({**ENVIRONMENT, "X_GEN_MODELS": name}))
