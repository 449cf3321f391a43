"""The searches that a run may ask for are the same everywhere that names them."""

from __future__ import annotations

from typing import get_args

import pytest
from small_world import World, failure

from rag_bench.resources import BenchmarkResource
from rag_bench.searches import (
    IN_WORDS,
    RETRIEVER_SEARCH_OF,
    RETRIEVER_SEARCHES,
    SEARCHES,
    RetrieverSearch,
    Search,
    SingleSearch,
)
from rag_bench.settings import Settings
from rag_bench.tiers.retrieval.searchers import SEARCHERS


def test_whatever_names_searches_names_these() -> None:
    assert list(SEARCHES) == list(get_args(Search)) == list(RETRIEVER_SEARCH_OF)
    assert list(SEARCHERS) == list(get_args(SingleSearch))
    assert list(RETRIEVER_SEARCHES) == list(get_args(RetrieverSearch)) == [*SEARCHERS, "hybrid"]
    field = BenchmarkResource.model_fields["search"]
    assert get_args(field.annotation) == ("", *SEARCHES)
    assert IN_WORDS in str(field.description)
    assert get_args(Settings.model_fields["search"].annotation) == tuple(SEARCHES)


@pytest.mark.parametrize("search", SEARCHES)
def test_every_search_finds_and_one_that_may_miss_says_its_recall(
    free_world: World, search: Search
) -> None:
    result = free_world.run(["tier1_retrieval"], benchmark={"search": search, "top_k": 5})
    assert result.success, failure(result)
    [row] = free_world.rows(
        "select metrics from rag_bench.evaluation where settings ->> 'search' = :search "
        "and settings ->> 'top_k' = '5'",
        search=search,
    )
    recalls = [name for name in row["metrics"] if name.endswith("_recall@5") and search in name]
    is_exact = SEARCHERS[RETRIEVER_SEARCH_OF[search]].is_exact
    assert recalls == ([] if is_exact else [f"{search}_recall@5"])
    assert row["metrics"]["chunk_mrr"]["value"] > 0.8
