"""The settings of a run: what enters the hash, and how they are resolved and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_world import World

from rag_bench.errors import RagBenchError
from rag_bench.resources import BenchmarkResource
from rag_bench.retrieval.identity import DEFAULT_ENCODER
from rag_bench.retrievers import name_in
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.tiers.base.run_settings import RunSettings, is_same


def opened(world: World, **config: Any) -> RunSettings:
    return BenchmarkResource(**config).open(world.engine, None).run


@pytest.fixture
def run(free_world: World) -> RunSettings:
    return opened(free_world)


def test_every_setting_is_in_the_hash(run: RunSettings) -> None:
    other = {
        "dataset_id": "другой",
        "limit": 3,
        "top_k": 7,
        "search": "hnsw",
        "contexts_per_answer": 1,
        "retrieval_threshold": 0.5,
        "consistency_runs": 2,
        "judge_eval_mode": "reasoned",
        "corpus_hash": "x",
        "encoder": "y",
        "tier3_all_rubrics": True,
        "cached_answers": True,
        "cache_threshold": 0.4,
        "prompt_hash": "z",
    }
    assert other.keys() == run.as_json().keys()
    changed = [replace(run, **{name: content}) for name, content in other.items()]
    assert len({run.hash, *(one.hash for one in changed)}) == len(other) + 1
    assert replace(run).hash == run.hash


def test_a_retriever_is_hashed_by_its_content_and_default_not_at_all(
    free_world: World, run: RunSettings
) -> None:
    assert "retriever" not in run.as_json()
    assert opened(free_world, retriever="").hash == opened(free_world, retriever="default").hash
    hnsw = opened(free_world, retriever="dense_hnsw")
    assert hnsw.as_json()["retriever"] == {"search": "dense_hnsw"}
    assert hnsw.hash not in (run.hash, opened(free_world, search="hnsw").hash)
    renamed = replace(hnsw, retriever_name="another")
    assert renamed.hash == hnsw.hash
    assert is_same(renamed.as_json(), hnsw.as_json())
    assert (name_in(renamed.as_json()), name_in(run.as_json())) == ("another", "default")
    # Beside a name that is no difference, and what follows from the retriever anyway.
    assert hnsw.differences(renamed.as_json()) == "nothing"
    assert hnsw.differences(run.as_json()) == "the retriever 'default' instead of 'dense_hnsw'"
    assert run.differences(hnsw.as_json()) == "the retriever 'dense_hnsw' instead of 'default'"
    other = replace(hnsw, retriever={"search": "dense_hnsw", "encoder": "x"})
    assert "as it was declared before" in hnsw.differences(other.as_json())
    elsewhere = replace(hnsw, corpus_hash="x")
    assert hnsw.only_corpus_differs(elsewhere.as_json())
    assert not run.only_corpus_differs(elsewhere.as_json())
    assert not hnsw.only_corpus_differs(replace(run, corpus_hash="x").as_json())


def test_what_a_retriever_states_holds_unless_the_run_says_otherwise(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[retrievers.few]\nsearch = "dense_exact"\ntop_k = 2\nthreshold = 0.25\n'
        f'[retrievers.as-default]\nsearch = "dense_exact"\nencoder = "{DEFAULT_ENCODER}"\n'
        '[retrievers.words]\nsearch = "bm25"\nencoder = "/nowhere/at-all"\n'
    )
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    monkeypatch.setenv("RAG_BENCH_RETRIEVAL_THRESHOLD", "0.5")
    few = opened(free_world, retriever="few")
    assert (few.top_k, few.contexts_per_answer, few.retrieval_threshold) == (2, 2, 0.25)
    assert opened(free_world, retriever="few", top_k=7).top_k == 7
    same = opened(free_world, retriever="as-default")
    assert (same.top_k, same.retrieval_threshold) == (10, 0.5)
    # The settings' encoder by name is the settings' encoder.
    assert same.retriever == {"search": "dense_exact"}
    # What a search does not read need not be there.
    words = opened(free_world, retriever="words")
    assert words.retriever is not None
    assert words.retriever.keys() == {"search", "bm25"}
    for config, said in (
        ({"retriever": "hybrid"}, "There are: default, few, as-default, words"),
        ({"retriever": "few", "search": "hnsw"}, "leave search empty"),
    ):
        with pytest.raises(RagBenchError, match=said):
            opened(free_world, **config)


def test_differences_are_said_in_words(run: RunSettings) -> None:
    assert run.differences(run.as_json()) == "nothing"
    other = replace(run, limit=3, top_k=5).as_json()
    assert run.differences(other) == "limit 3 instead of None; top_k 5 instead of 10"


def test_defaults_and_limits(free_world: World, run: RunSettings) -> None:
    assert (run.limit, run.top_k, run.contexts_per_answer) == (None, 10, 3)
    assert opened(free_world, limit=5).limit == 5
    # A limit that leaves nothing out is none: the results are those of a full run.
    assert opened(free_world, limit=1000).hash == run.hash
    # Fewer retrieved than are given by default: all that there are.
    assert opened(free_world, top_k=2).contexts_per_answer == 2


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"limit": 0}, "limit must be at least 1"),
        ({"top_k": -1}, "top_k must be at least 1"),
        ({"consistency_runs": 0}, "consistency_runs must be at least 1"),
        ({"top_k": 2, "contexts_per_answer": 3}, "only 2 chunks are retrieved"),
        ({"dataset": "нет такого"}, "no dataset 'нет такого'. The newest are: "),
        ({"dataset": "show_hide"}, "labelled pairs for the production judge"),
        ({"retriever": "nothing"}, "no retriever 'nothing'. There are: default, bm25"),
        ({"retriever": "bm25", "search": "exact"}, "searches by 'bm25': leave search empty"),
        ({"retriever": "hybrid", "top_k": 101}, "chooses among 100 candidates of each search"),
        ({"mode": "synthetic"}, "no synthetic dataset about the current snapshot"),
    ],
)
def test_impossible_settings_are_refused(
    free_world: World, config: dict[str, Any], said: str
) -> None:
    with pytest.raises(RagBenchError, match=said):
        opened(free_world, **config)


def test_a_dataset_is_named_by_id_prefix_or_name(free_world: World) -> None:
    made = save_dataset(free_world.engine, "свой", "questions", [Item("1", "Когда сессия?")])
    for name in (made.id, made.id[:12], "свой"):
        assert opened(free_world, dataset=name).dataset_id == made.id
    assert opened(free_world).dataset_id != made.id


def test_the_snapshot_itself_is_not_a_setting(free_world: World, run: RunSettings) -> None:
    """Results belong to texts, not to the file that they came in."""
    [snapshot] = free_world.rows("select * from rag_bench.dump")
    assert run.corpus_hash == snapshot["corpus_hash"]
    assert snapshot["sha256"] not in run.as_json().values()


def test_nothing_loaded(empty_world: World) -> None:
    with pytest.raises(RagBenchError, match="load-dump"):
        opened(empty_world)
