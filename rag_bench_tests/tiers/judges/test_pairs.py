"""Labelled pairs belong to the snapshot that they were imported for."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from small_world import World, failure, materializations, value
from sqlalchemy import text
from world_data import CHUNKS, PAIRS, plain_dump

from rag_bench.errors import RagBenchError
from rag_bench.partitions import ModelLists
from rag_bench.resources import BenchmarkResource
from rag_bench.source.load import load_dump
from rag_bench.store.datasets import Item, find_dataset, items_of, save_dataset
from rag_bench.store.evaluations import cases_of
from rag_bench.store.snapshots import SnapshotInfo, require_current
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.pairs import no_pairs, pairs_of

MODELS = ModelLists(
    ["simulator/extractive"], ["simulator/sim-judge-steady"], ["simulator/sim-gate-sharp"]
)
OTHER = [("muzey", f"Зал {n} музея рыболовства открыт по средам до {n} часов.") for n in range(9)]


def pairs(word: str, n: int = 4) -> list[Item]:
    return [
        Item(
            f"{word}-{i}",
            f"{word} {i}?",
            details={
                "answer": f"ответ {i}",
                "context": "",
                "ground_truth_show": i % 2 == 0,
                "rationale": None,
            },
        )
        for i in range(n)
    ]


def load(world: World, name: str, chunks: list[tuple[str, str]]) -> SnapshotInfo:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(plain_dump(chunks=chunks), encoding="utf-8")
        load_dump(world.engine, path)
    return require_current(world.engine)


def test_pairs_of_another_snapshot_are_never_taken_by_themselves(free_world: World) -> None:
    engine = free_world.engine
    own = pairs_of(engine, require_current(engine))
    assert own, "the data folder's"
    other = load(free_world, "other.dump", OTHER)
    assert pairs_of(engine, other) is None
    said = no_pairs(engine, other)
    assert str(own) in said
    assert "imported for world.dump" in said
    assert f"--pairs {own.id[:12]}" in said

    theirs = save_dataset(engine, "чужие", "show_hide", pairs("музей"), snapshot=other.sha256)
    assert pairs_of(engine, other) == theirs
    assert pairs_of(engine, other, own.id[:12]) == own, "named, they are taken"
    with pytest.raises(RagBenchError, match=r"no labelled pairs 'gold'. Stored are: .*чужие"):
        pairs_of(engine, other, "gold")

    again = load(free_world, "world.dump", list(CHUNKS))
    assert pairs_of(engine, again) == own


def test_a_new_dump_of_the_same_knowledge_keeps_its_pairs(free_world: World) -> None:
    engine = free_world.engine
    own = pairs_of(engine, require_current(engine))
    changed = [(page, f"{words} Правка." if n < 3 else words) for n, (page, words) in
               enumerate(CHUNKS)]  # fmt: skip
    assert pairs_of(engine, load(free_world, "changed.dump", changed)) == own
    # A page that both happen to have does not make one of two knowledge bases.
    shared = load(free_world, "shared.dump", [*OTHER, CHUNKS[0]])
    assert pairs_of(engine, shared) is None


def test_pairs_are_imported_for_several_snapshots(free_world: World) -> None:
    engine = free_world.engine
    first = require_current(engine)
    source = {"file": "p.jsonl"}
    made = save_dataset(engine, "p", "show_hide", pairs("а"), source, snapshot=first.sha256)
    other = load(free_world, "other.dump", OTHER)
    save_dataset(engine, "p", "show_hide", pairs("а"), source, renew=True, snapshot=other.sha256)
    assert pairs_of(engine, first) == pairs_of(engine, other) == made
    found = find_dataset(engine, "p")
    assert found == made
    # Stored by an earlier version, without a record: nobody knows what they are about.
    with engine.begin() as connection:
        connection.execute(text("update rag_bench.dataset set source = '{}' where name = 'p'"))
    assert pairs_of(engine, other) is None


def test_the_data_folders_pairs_are_for_their_own_knowledge_base(
    free_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = free_world.engine
    other = load(free_world, "other.dump", OTHER)
    result = free_world.run(["show_hide_dataset"])
    assert result.success, failure(result)
    [event] = materializations(result, "show_hide_dataset")
    assert value(event.metadata, "n_items") == 0
    assert pairs_of(engine, other) is None

    theirs = save_dataset(engine, "свои", "show_hide", pairs("музей"), snapshot=other.sha256)
    monkeypatch.setenv("RAG_BENCH_DATA_DIR", str(tmp_path / "none"))
    result = free_world.run(["show_hide_dataset"])
    assert result.success, failure(result)
    [event] = materializations(result, "show_hide_dataset")
    assert str(theirs) in value(event.metadata, "note")


def test_production_judges_say_that_there_are_no_pairs(free_world: World) -> None:
    load(free_world, "other.dump", [*OTHER])
    free_world.run(["chunk", "chunk_embeddings"])
    items = [Item("m", "Когда музей?", "По средам.")]
    dataset = save_dataset(free_world.engine, "музей", "questions", items).id
    setting = {"dataset": dataset}
    result = free_world.run(["production_judge_scores"], MODELS, benchmark=setting)
    assert result.success, failure(result)
    [event] = materializations(result, "production_judge_scores")
    assert "no labelled pairs for the current snapshot" in value(event.metadata, "note")
    assert free_world.count("evaluation", "tier = 'judge_pipeline'") == 0

    named = {**setting, "pairs": "show_hide"}
    result = free_world.run(["production_judge_scores"], MODELS, benchmark=named)
    assert result.success, failure(result)
    [row] = free_world.rows("select * from rag_bench.evaluation where tier = 'judge_pipeline'")
    assert len(cases_of(free_world.engine, row["id"])) == len(PAIRS)
    assert row["inputs"]["made_for"] == "imported for world.dump"
    assert row["settings"]["pairs"] == row["dataset_id"]


def opened(world: World, **benchmark: object) -> Bench:
    return BenchmarkResource(**benchmark).open(world.engine, None)  # type: ignore[arg-type]


def test_the_limit_holds_for_pairs(free_world: World) -> None:
    engine = free_world.engine
    result = free_world.run(["production_judge_scores"], MODELS, benchmark={"limit": 3})
    assert result.success, failure(result)
    [row] = free_world.rows("select * from rag_bench.evaluation where tier = 'judge_pipeline'")
    own = pairs_of(engine, require_current(engine))
    assert own
    first = [item.item_id for item in items_of(engine, own.id, 3)]
    assert [case.case_id for case in cases_of(engine, row["id"])] == first

    # More pairs than questions: a limit between the two leaves some out.
    n = opened(free_world).dataset.n_items
    assert opened(free_world, limit=n + 1).run.limit is None
    current = require_current(engine).sha256
    save_dataset(engine, "много", "show_hide", pairs("в", n + 5), snapshot=current)
    assert opened(free_world, limit=n + 1).run.limit == n + 1
    assert opened(free_world, limit=n + 5).run.hash == opened(free_world).run.hash


def test_settings_without_named_pairs_keep_their_hash(free_world: World) -> None:
    plain = opened(free_world)
    assert "pairs" not in plain.run.as_json()
    assert opened(free_world, pairs="show_hide").run == plain.run, "its own, named"
    other = save_dataset(free_world.engine, "другие", "show_hide", pairs("д"))
    named = opened(free_world, pairs="другие")
    assert named.run.pairs == other.id
    assert named.run.hash != plain.run.hash
    assert named.pairs == other
    said = plain.run.differences(named.run.as_json())
    assert said == f"pairs {other.id!r} instead of None"
