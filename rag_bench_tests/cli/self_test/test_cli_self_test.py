"""`rag-bench self-test`: tried, shown, found again."""

from __future__ import annotations

from command_line import RagBench


def test_it_is_tried_shown_and_not_made_twice(rag_bench: RagBench) -> None:
    before = rag_bench("self-test", "--show")
    assert before.code == 1
    assert "run rag-bench self-test" in before.err
    found = rag_bench("self-test", "--runs", "30")
    assert found.code in (0, 1), found.err  # thirty simulations prove nothing, either way
    assert "promises are kept" in found.out
    assert "Rogan-Gladen" in found.out
    again = rag_bench("self-test", "--runs", "30")
    assert again.out == found.out
    assert rag_bench("self-test", "--show").out == found.out
    refused = rag_bench("self-test", "--runs", "0")
    assert refused.code == 2
    unknown = rag_bench("self-test", "--faults", "earthquake")
    assert unknown.code == 1
    assert "no fault 'earthquake' to plant" in unknown.err
