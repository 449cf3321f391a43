"""One text on several pages: a twin of the relevant chunk counts as it, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag_bench.evaluation.metrics.citations import citation_metrics
from rag_bench.evaluation.metrics.retrieval import RetrievalCase, score_retrieval
from rag_bench.evaluation.twins import Twins

TWINS = Twins.of(
    {
        "a1": "Приёмная открыта.",
        "a2": "Приёмная  открыта.\u200b",
        "a3": "приёмная открыта.",
        "b": "Другое.",
        "c1": "Ещё.",
        "c2": "Еще.",
    }.items()
)
PAGE = {chunk: f"page-{chunk}" for chunk in ("a1", "a2", "a3", "b", "c1", "c2")}


def scores(ranking: list[str], relevant: list[str]) -> dict[str, float | None]:
    found = TWINS.as_judged(ranking, relevant)
    pages = [PAGE[chunk] for chunk in relevant]
    case = RetrievalCase("q", [(chunk, PAGE[chunk]) for chunk in found], relevant, pages)
    return score_retrieval([case])["q"]


def test_groups() -> None:
    assert TWINS.n_chunks == 5
    assert TWINS.n_texts == 2
    assert TWINS.same("a3") == TWINS.same("a1") != TWINS.same("b") == "b"
    assert TWINS.touch(["b", "c2"])
    assert not TWINS.touch(["b", "gone"])


def test_a_twin_counts_at_its_own_place_and_once() -> None:
    found = scores(["b", "a3", "a2", "a1"], ["a1"])
    assert found["chunk_hit_rate@1"] == 0
    assert found["chunk_mrr"] == 1 / 2
    assert found["chunk_recall@3"] == 1
    assert found["chunk_precision@3"] == 1 / 3, "a second copy is no second chunk"
    assert found["page_mrr"] == 1 / 2
    first = scores(["a3", "b"], ["a1"])
    assert first["chunk_hit_rate@1"] == first["page_hit_rate@1"] == first["chunk_ndcg@5"] == 1


def test_two_relevant_twins_are_two() -> None:
    found = scores(["a3", "b", "a2"], ["a1", "a2"])
    assert found["chunk_recall@1"] == 1 / 2
    assert found["chunk_recall@3"] == 1
    assert scores(["b", "a1"], ["a1", "a2"])["chunk_recall@10"] == 1 / 2


@given(st.permutations(sorted(PAGE)), st.sets(st.sampled_from(sorted(PAGE)), min_size=1))
def test_never_above_one_and_never_below_what_it_was(ranking: list[str], gold: set[str]) -> None:
    relevant = sorted(gold)
    judged = TWINS.as_judged(ranking, relevant)
    assert sorted(judged) == sorted(ranking)
    with_twins = scores(ranking, relevant)
    plain = score_retrieval(
        [RetrievalCase("q", [(c, PAGE[c]) for c in ranking], relevant, [PAGE[c] for c in relevant])]
    )["q"]
    for name, value in with_twins.items():
        before = plain[name]
        assert value is not None
        assert before is not None
        assert before - 1e-9 <= value <= 1 + 1e-9, name
    if not Twins.of([(c, c) for c in ranking]).as_judged(ranking, relevant) == ranking:
        raise AssertionError("without twins nothing moves")


def test_citations_of_twins() -> None:
    given_, gold = ["a2", "b", "a3"], ["a1"]
    cited, flags = citation_metrics(["a2"], given_, gold, TWINS.same)
    assert (cited["citation_precision"], cited["citation_recall"]) == (1, 1)
    assert flags == []
    both, _ = citation_metrics(["a2", "a3", "b"], given_, gold, TWINS.same)
    assert (both["citation_precision"], both["citation_recall"]) == (1 / 2, 1)
    assert both["n_citations"] == 3
    invented, _ = citation_metrics(["a1"], ["b"], gold, TWINS.same)
    assert (invented["citation_precision"], invented["citation_recall"]) == (0, 0)
    assert invented["n_invalid_citations"] == 1
    alone, _ = citation_metrics(["a2"], given_, gold)
    assert alone["citation_recall"] == 0, "without twins as before"
