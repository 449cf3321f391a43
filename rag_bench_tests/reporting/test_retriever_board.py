"""Retrievers side by side, read from what was measured."""

from __future__ import annotations

import json

import pytest
from measured_retrievers import (
    ASKED,
    RANKS,
    N,
    measured_board,
    store_costs,
    store_retrieval,
)
from sqlalchemy import Engine

from rag_bench.reporting.retriever_board import Asked, NothingToCompareError, notes
from rag_bench.reporting.retriever_plot import plot
from rag_bench.store.retrieving.retriever_costs import costs_under


@pytest.fixture
def stored(engine: Engine) -> Engine:
    for name in RANKS:
        store_retrieval(engine, name)
    store_costs(engine, "default", 10.0)
    return engine


def test_what_is_real_and_what_is_not(stored: Engine) -> None:
    board = measured_board(stored)
    assert [line.name for line in board.lines] == ["default", "better", "hardly"]
    first, better, hardly = board.lines
    assert first.contrasts == {}
    assert first.metrics["chunk_hit_rate@1"]["value"] == pytest.approx(2 / N, abs=1e-6)
    assert better.metrics["chunk_mrr"]["value"] == 1
    assert first.metrics["chunk_mrr"]["value"] == pytest.approx((2 + 10 / 3) / 12, abs=1e-6)
    hit = better.contrasts["chunk_hit_rate@1"]
    assert (hit.verdict, hit.gained, hit.lost) == (
        "better",
        tuple(sorted(map(str, range(2, N)))),
        (),
    )
    # Twelve pages of one question: exact, 2 / 2^10 of each of the five measures that change;
    # Holm over ten comparisons.
    assert (hit.comparison.p_exact, hit.comparison.p_value) == (2 / 2**10, 1 / 2**10)
    assert hit.p_adjusted == pytest.approx(10 / 2**10)
    same = better.contrasts["chunk_recall@10"]
    assert (same.verdict, same.gained) == ("cannot tell", ())
    assert {one.verdict for one in hardly.contrasts.values()} == {"cannot tell"}
    assert hardly.contrasts["chunk_hit_rate@1"].lost == ("0",)
    said = notes(board)
    assert "better is better by hit@1, MRR, nDCG@10 than default." in said
    assert not any("hardly is" in note for note in said)


def test_costs_are_the_newest_and_in_no_version(stored: Engine) -> None:
    before = measured_board(stored)
    assert before.lines[0].cost("p50_query_latency_ms") == pytest.approx(10.4, abs=0.01)
    assert before.lines[0].megabytes == 3
    assert before.lines[1].costs is None
    assert before.lines[1].cost("p50_query_latency_ms") is None
    store_costs(stored, "default", 99.0)
    after = measured_board(stored)
    assert after.lines[0].cost("p50_query_latency_ms") == pytest.approx(99.4, abs=0.01)
    assert after.version == before.version
    store_retrieval(stored, "hardly", [1, 1, *[3] * (N - 2)])
    changed = measured_board(stored)
    assert changed.version != before.version
    assert "hardly finds the same as default for every question." in notes(changed)
    assert costs_under(stored, "settings-of-nobody") is None


def test_what_is_not_measured_is_named_and_not_shown(stored: Engine) -> None:
    board = measured_board(stored, [*ASKED, Asked("late", "", "settings-late", 10)])
    assert board.missing == ["late"]
    assert any("Not measured under these settings: late." in note for note in notes(board))
    nothing = [Asked("default", "", "settings-other", 10), *ASKED[1:]]
    with pytest.raises(NothingToCompareError, match=r"'default'.*retrieval_lab"):
        measured_board(stored, nothing)


def test_the_board_for_programs_and_its_plot(stored: Engine) -> None:
    board = measured_board(stored)
    told = json.loads(json.dumps(board.as_json(), allow_nan=False))
    default, better, _ = told["retrievers"]
    assert default["costs"]["index_bytes"]["value"] == 3_000_000
    found = better["against_baseline"]["chunk_hit_rate@1"]
    assert found["gained"] == sorted(map(str, range(2, N)))
    assert found["difference"]["value"] == pytest.approx(10 / 12, abs=1e-6)
    assert found["verdict"] == "better"
    axes = plot(board).axes[0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == [
        "default", "better (latency not measured)", "hardly (latency not measured)"
    ]  # fmt: skip
    # The baseline's mark is at its median latency.
    mark = next(line for line in axes.lines if line.get_label() == "default")
    assert mark.get_xdata()[0] == pytest.approx(10.4, abs=0.01)
