"""Retrieval measures: hand-worked, against a second implementation, and as properties."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_bench.evaluation.metrics.retrieval import (
    RetrievalCase,
    aggregate_retrieval,
    metric_names,
    score_retrieval,
)

ids = st.sampled_from([f"ч{i}" for i in range(12)])


def plain_scores(ranked: list[str], relevant: set[str], top_k: int = 10) -> dict[str, float]:
    """A second implementation, from the formulas and nothing else."""
    ranked = ranked[:top_k]
    scores = {}
    for k in (1, 5, 10):
        scores[f"hit_rate@{k}"] = float(any(item in relevant for item in ranked[:k]))
    first = next((rank for rank, item in enumerate(ranked, 1) if item in relevant), None)
    scores["mrr"] = 1 / first if first else 0.0
    for k in (1, 3, 5, 10):
        found = len(set(ranked[:k]) & relevant)
        scores[f"recall@{k}"] = found / len(relevant)
        scores[f"precision@{k}"] = found / k
    for k in (5, 10):
        gain = sum(1 / math.log2(r + 1) for r, i in enumerate(ranked[:k], 1) if i in relevant)
        ideal = sum(1 / math.log2(r + 1) for r in range(1, min(k, len(relevant)) + 1))
        scores[f"ndcg@{k}"] = gain / ideal
    return scores


def pages_of(*urls: str) -> list[tuple[str, str]]:
    return [(f"chunk{i}", url) for i, url in enumerate(urls)]


def test_names() -> None:
    assert len(metric_names()) == 28 == len(set(metric_names()))
    assert "chunk_hit_rate@1" in metric_names()
    assert "page_ndcg@10" in metric_names()
    # Nobody looked beyond rank 3, so nothing is said about rank 5.
    assert not any(name.endswith(("@5", "@10")) for name in metric_names(3))


def test_hand_worked_chunk_level() -> None:
    # Relevant: a, b, c. Ranked: x, a, y, b, z. First hit at 2 -> 1/2.
    # DCG@5 = 1/log2(3) + 1/log2(5) = 0.63093 + 0.43068 = 1.06161
    # IDCG  = 1 + 0.63093 + 0.5 = 2.13093 -> nDCG 0.49819
    ranked = [(c, f"page-{c}") for c in ("x", "a", "y", "b", "z")]
    scores = score_retrieval([RetrievalCase("1", ranked, {"a", "b", "c"}, {"page-a"})])["1"]
    expected = {
        "chunk_hit_rate@1": 0,
        "chunk_hit_rate@5": 1,
        "chunk_mrr": 0.5,
        "chunk_recall@1": 0,
        "chunk_recall@3": 1 / 3,
        "chunk_recall@5": 2 / 3,
        "chunk_recall@10": 2 / 3,
        "chunk_precision@1": 0,
        "chunk_precision@3": 1 / 3,
        "chunk_precision@5": 2 / 5,
        "chunk_precision@10": 2 / 10,
        "chunk_ndcg@5": 0.49819,
        "chunk_ndcg@10": 0.49819,
        "page_mrr": 0.5,
        "page_recall@3": 1,
        "page_precision@10": 0.1,
        "page_ndcg@5": 0.63093,
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-5)


def test_a_page_counts_once() -> None:
    # The list that once gave nDCG@5 = 2.52: repeated pages each earned a gain.
    ranked = pages_of("u1", "u1", "u1", "u2", "u1")
    scores = score_retrieval([RetrievalCase("1", ranked, {"chunk0"}, {"u1"})])["1"]
    assert scores["page_ndcg@5"] == 1.0
    assert scores["page_ndcg@10"] == 1.0
    # Distinct pages are u1, u2: u2 stands at rank 2, not 4.
    other = score_retrieval([RetrievalCase("1", ranked, {"chunk3"}, {"u2"})])["1"]
    assert other["page_mrr"] == 0.5
    assert other["chunk_mrr"] == 0.25
    assert other["page_precision@5"] == pytest.approx(0.2)


def test_our_order_is_kept_where_trec_eval_would_break_ties_by_id() -> None:
    for ranked in (["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]):
        case = RetrievalCase("1", [(c, c) for c in ranked], {"b"}, {"b"})
        assert score_retrieval([case])["1"]["chunk_mrr"] == 1 / (ranked.index("b") + 1)


def test_only_top_k_is_read() -> None:
    ranked = [(f"c{i}", f"p{i}") for i in range(12)]
    case = RetrievalCase("1", ranked, {"c10"}, {"p10"})
    scores = score_retrieval([case], top_k=10)["1"]
    assert scores["chunk_mrr"] == 0
    assert scores["page_mrr"] == 0
    assert score_retrieval([case], top_k=12)["1"]["chunk_mrr"] == pytest.approx(1 / 11)


def test_no_judgement_is_missing_and_nothing_found_is_zero() -> None:
    cases = [
        RetrievalCase("judged by page only", pages_of("u1"), (), {"u1"}),
        RetrievalCase("not judged", pages_of("u1")),
        RetrievalCase("nothing found", [], {"c"}, {"u1"}),
        RetrievalCase("retrieval failed", None, {"c"}, {"u1"}),
    ]
    scores = score_retrieval(cases)
    assert scores["judged by page only"]["chunk_mrr"] is None
    assert scores["judged by page only"]["page_mrr"] == 1
    assert set(scores["not judged"].values()) == {None}
    assert set(scores["nothing found"].values()) == {0.0}
    assert set(scores["retrieval failed"].values()) == {None}
    metrics = aggregate_retrieval(cases, scores)
    assert (metrics["chunk_mrr"].n_scored, metrics["chunk_mrr"].n_expected) == (1, 4)
    assert (metrics["page_mrr"].value, metrics["page_mrr"].n_scored) == (0.5, 2)


def test_aggregates_by_hand() -> None:
    # Ranks 1, 2, none, 1 on two pages: MRR (1 + 1/2 + 0 + 1) / 4 = 0.625; hit@1 2 of 4.
    def case(name: str, rank: int | None, page: str) -> RetrievalCase:
        ranked = [(f"x{i}", f"q{i}") for i in range(5)]
        if rank:
            ranked[rank - 1] = ("gold", page)
        return RetrievalCase(name, ranked, {"gold"}, {page})

    cases = [case("1", 1, "A"), case("2", 2, "A"), case("3", None, "B"), case("4", 1, "B")]
    metrics = aggregate_retrieval(cases, score_retrieval(cases))
    assert list(metrics) == metric_names()
    mrr, hit = metrics["chunk_mrr"], metrics["chunk_hit_rate@1"]
    assert mrr.value == 0.625
    # Two pages: the interval is the range of their means, (1 + 1/2)/2 and (0 + 1)/2.
    assert (mrr.ci_low, mrr.ci_high) == (0.5, 0.75)
    assert hit.value == 0.5
    # Wilson for 2 of 4 is symmetric around 1/2: half = 1.96/(4+3.8415)*sqrt(1+0.9604) = 0.35.
    assert (hit.ci_low, hit.ci_high) == pytest.approx((0.15, 0.85), abs=1e-3)


def test_russian_ids_and_urls() -> None:
    case = RetrievalCase(
        "вопрос № 1",
        [("кусок а", "https://пример.рф/общежитие?id=1&x=%D0%B0")],
        {"кусок а"},
        {"https://пример.рф/общежитие?id=1&x=%D0%B0"},
    )
    scores = score_retrieval([case])["вопрос № 1"]
    assert scores["chunk_mrr"] == scores["page_mrr"] == 1.0


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        score_retrieval([RetrievalCase("1", [("a", "p"), ("a", "p")], {"a"}, {"p"})])
    with pytest.raises(ValueError, match="twice"):
        score_retrieval([RetrievalCase("1", []), RetrievalCase("1", [])])
    with pytest.raises(ValueError, match="top_k"):
        score_retrieval([], top_k=0)


@given(st.lists(ids, max_size=12, unique=True), st.sets(ids, min_size=1))
@settings(deadline=None, max_examples=150)
def test_same_as_the_second_implementation(ranked: list[str], relevant: set[str]) -> None:
    case = RetrievalCase("1", [(c, c) for c in ranked], relevant, relevant)
    scores = score_retrieval([case])["1"]
    expected = plain_scores(ranked, relevant)
    for level in ("chunk", "page"):
        found = {name: scores[f"{level}_{name}"] for name in expected}
        assert found == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.sampled_from("ABC"), max_size=12), st.sets(st.sampled_from("ABCD"), min_size=1))
@settings(deadline=None, max_examples=150)
def test_page_values_with_repeated_pages(pages: list[str], relevant: set[str]) -> None:
    scores = score_retrieval([RetrievalCase("1", pages_of(*pages), (), relevant)])["1"]
    assert all(0 <= scores[n] <= 1 for n in metric_names() if n.startswith("page_"))
    expected = plain_scores(list(dict.fromkeys(pages[:10])), relevant)
    assert {n: scores[f"page_{n}"] for n in expected} == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.tuples(st.lists(ids, unique=True), st.sets(ids)), max_size=6), st.randoms())
@settings(deadline=None, max_examples=50)
def test_a_case_is_scored_the_same_in_any_company(drawn: list, random: object) -> None:
    cases = [
        RetrievalCase(str(i), [(c, c) for c in ranked], relevant, relevant)
        for i, (ranked, relevant) in enumerate(drawn)
    ]
    together = score_retrieval(cases)
    assert together == {c.case_id: score_retrieval([c])[c.case_id] for c in cases}
    shuffled = list(cases)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert score_retrieval(shuffled) == together
    assert aggregate_retrieval(shuffled, together) == aggregate_retrieval(cases, together)


def test_pytrec_eval_says_the_same() -> None:
    import random

    import pytrec_eval

    rng = random.Random(4)
    pool = [f"c{i}" for i in range(30)]
    cases = [
        RetrievalCase(str(i), [(c, c) for c in rng.sample(pool, 10)], set(rng.sample(pool, 4)))
        for i in range(50)
    ]
    scores = score_retrieval(cases)
    evaluator = pytrec_eval.RelevanceEvaluator(
        {c.case_id: dict.fromkeys(c.relevant_chunks, 1) for c in cases},
        {"ndcg_cut_10", "recall_5", "recip_rank", "P_3", "success_1"},
    )
    run = {c.case_id: {d: 1 / (r + 1) for r, (d, _) in enumerate(c.retrieved)} for c in cases}
    for case_id, trec in evaluator.evaluate(run).items():
        ours = scores[case_id]
        pairs = {
            "ndcg_cut_10": "chunk_ndcg@10",
            "recall_5": "chunk_recall@5",
            "recip_rank": "chunk_mrr",
            "P_3": "chunk_precision@3",
            "success_1": "chunk_hit_rate@1",
        }
        assert {t: ours[o] for t, o in pairs.items()} == pytest.approx(trec, abs=1e-9)
