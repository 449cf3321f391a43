"""A case says when the encoder read only the beginning of one of its texts, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from eval_run_rows import given_case, run_body
from small_world import World
from world_data import CHUNKS, GOLD

from rag_bench.settings import Settings
from rag_bench.store.eval_runs import results
from rag_bench.tiers.base.text_vectors import TextVectors

FLAG = "truncated_context"


def n_tokens(world: World, settings: Settings) -> list[int]:
    """Return the tokens of each chunk, as their vectors say."""
    identity = TextVectors(world.engine, settings).identity
    rows = world.rows(
        "select n_tokens from rag_bench.embedding where encoder = :key and text_hash = any(:texts)",
        key=identity.key,
        texts=TextVectors(world.engine, settings).chunk_hashes([text for _, text in CHUNKS]),
    )
    return sorted(row["n_tokens"] for row in rows)


@pytest.mark.parametrize("cut", [True, False])
def test_of_what_was_retrieved(free_world: World, tmp_path: Path, cut: bool) -> None:
    settings = Settings(eval_results=tmp_path)
    tokens = n_tokens(free_world, settings)
    assert len(tokens) == len(CHUNKS)
    # Some chunks are longer than this, some are not.
    most = tokens[len(tokens) // 2] if cut else tokens[-1]
    settings = Settings(eval_results=tmp_path, encoder_max_tokens=most)
    cases = [
        {"question": question, "ground_truth_chunks": [str(chunk + 1)]}
        for question, _, chunk in GOLD
    ]
    body = {"cases": cases, "eval_type": "retrieval", "top_k": 1}
    run_id, told = run_body(free_world.engine, settings, body)
    assert told is not None
    longer = {
        str(number)
        for number, found in enumerate(_cut_chunks(free_world, settings), start=1)
        if found
    }
    assert bool(longer) == cut
    assert len(longer) < len(CHUNKS)
    for case in told["cases"]:
        assert (FLAG in case["flags"]) == bool(longer.intersection(case["details"]["retrieved"]))
    flagged = [case for case in told["cases"] if FLAG in case["flags"]]
    assert bool(flagged) == cut
    assert told["counts"]["flagged"].get(FLAG, 0) == len(flagged)
    with results.reading(free_world.engine) as connection:
        assert (FLAG in results.run_of(connection, run_id).flags) == cut


def _cut_chunks(world: World, settings: Settings) -> list[bool]:
    vectors = TextVectors(world.engine, settings)
    rows = world.rows(
        "select text_hash, truncated from rag_bench.embedding where encoder = :key",
        key=vectors.identity.key,
    )
    cut = {row["text_hash"]: row["truncated"] for row in rows}
    return [cut[one] for one in vectors.chunk_hashes([text for _, text in CHUNKS])]


def test_of_answers_whose_vectors_are_read(free_world: World, tmp_path: Path) -> None:
    settings = Settings(eval_results=tmp_path, encoder_max_tokens=40)
    long = "Справку выдаёт деканат по заявлению студента. " * 10
    cases = [given_case(1), given_case(2, answer=long), given_case(3, ground_truth_answer=long)]
    body = {"cases": cases, "eval_type": [], "metrics": ["semantic_similarity"]}
    _, told = run_body(free_world.engine, settings, body)
    assert told is not None
    assert [FLAG in case["flags"] for case in told["cases"]] == [False, True, True]
    # By words alone nothing is encoded: there is nothing to tell.
    _, told = run_body(free_world.engine, settings, {**body, "metrics": ["BLEU"]})
    assert told is not None
    assert not any(FLAG in case["flags"] for case in told["cases"])
