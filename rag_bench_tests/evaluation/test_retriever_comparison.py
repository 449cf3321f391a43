"""Which measures retrievers are compared by, and lists of different lengths."""

from __future__ import annotations

import pytest

from rag_bench.evaluation.metrics.retrieval import RetrievalCase, score_retrieval
from rag_bench.evaluation.retrievers.retriever_comparison import (
    RetrievedRun,
    compare_retrievers,
    compared_measures,
)


@pytest.mark.parametrize(
    ("top_k", "wanted"),
    [
        (100, "hit_rate@1 hit_rate@10 mrr ndcg@10 recall@10"),
        (10, "hit_rate@1 hit_rate@10 mrr ndcg@10 recall@10"),
        (7, "hit_rate@1 hit_rate@5 mrr ndcg@5 recall@5"),
        (3, "hit_rate@1 mrr recall@3"),
        (1, "hit_rate@1 mrr recall@1"),
    ],
)
def test_the_measures_are_those_of_the_greatest_cutoff(top_k: int, wanted: str) -> None:
    assert compared_measures("page", top_k) == tuple(f"page_{name}" for name in wanted.split())


def run_of(rankings: dict[str, list[str]], top_k: int, relevant: dict[str, str]) -> RetrievedRun:
    """What tier 1 stores of these ranked chunks; chunk ``x1`` is of page ``x``."""
    cases = [
        RetrievalCase(case, [(chunk, chunk[0]) for chunk in chunks], {relevant[case]}, ())
        for case, chunks in rankings.items()
    ]
    return RetrievedRun(top_k, score_retrieval(cases, top_k=top_k))


def test_lists_of_different_lengths_are_compared_down_to_the_shortest() -> None:
    relevant = {"первый": "a1", "второй": "b1", "третий": "c1"}
    ranked = {
        "первый": ["z1", "z2", "z3", "z4", "z5", "z6", "a1"],
        "второй": ["z1", "b1"],
        "третий": ["c1"],
    }
    long = run_of(ranked, 10, relevant)
    short = run_of({case: chunks[:5] for case, chunks in ranked.items()}, 5, relevant)
    assert long.scores["первый"]["chunk_mrr"] == pytest.approx(1 / 7)
    pages = {case: chunk[0] for case, chunk in relevant.items()}
    found = compare_retrievers({"default": long, "five": short}, "default", pages)
    assert (found.level, found.top_k) == ("chunk", 5)
    assert found.scores["default"] == found.scores["five"]
    assert all(not one.gained and not one.lost for one in found.contrasts)
    assert {one.verdict for one in found.contrasts} == {"cannot tell"}
    assert found.scores["five"]["chunk_mrr"] == {"первый": 0.0, "второй": 0.5, "третий": 1.0}


def test_only_judged_questions_are_compared_and_by_pages_where_no_chunk_is_known() -> None:
    scores = {"chunk_mrr": None, "page_mrr": 0.5, "page_hit_rate@1": 0.0, "page_recall@1": 0.0}
    run = RetrievedRun(1, {"q": scores, "out of scope": {**scores, "page_mrr": 1.0}})
    found = compare_retrievers({"default": run, "same": run}, "default", {"q": "page"})
    assert found.level == "page"
    assert found.scores["same"]["page_mrr"] == {"q": 0.0}  # its rank is 2, below the first
    nothing = RetrievedRun(1, {"q": {"chunk_mrr": None, "page_mrr": None}})
    with pytest.raises(ValueError, match="no question"):
        compare_retrievers({"default": nothing}, "default", {"q": "page"})
