"""From stored cases to metrics and error counts; citations; the catalogue and its document."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_bench.errors import ErrorCode
from rag_bench.evaluation.aggregate import CaseRecord, aggregate_cases, count_errors, is_failure
from rag_bench.evaluation.catalogue import CATALOGUE, known, spec
from rag_bench.evaluation.metrics.citations import citation_metrics
from rag_bench.evaluation.types import Metric

ROOT = Path(__file__).parents[2]


def test_failed_cases_are_expected_and_not_scored() -> None:
    records = [
        CaseRecord("1", "A", {"rubric_faithfulness": 4.0, "bleu": 20.0}),
        CaseRecord("2", "A", {}, error_code=ErrorCode.TIMEOUT),
        CaseRecord("3", "B", {"rubric_faithfulness": None, "bleu": 40.0}, "METRIC_ERROR"),
        CaseRecord("4", "B", {"rubric_faithfulness": 2.0, "bleu": 30.0}, flags=["NO_CITATIONS"]),
    ]
    metrics = aggregate_cases(records, ["rubric_faithfulness", "bleu", "rougeL_f"])
    rubric = metrics["rubric_faithfulness"]
    # (4 + 2) / 2; had the two missing got 1 or 5: 8/4 and 16/4.
    assert (rubric.value, rubric.n_scored, rubric.n_expected) == (3, 2, 4)
    assert (rubric.low_if_missing, rubric.high_if_missing, rubric.scale) == (2, 4, (1, 5))
    assert (rubric.ci_low, rubric.ci_high) == (2, 4)
    assert (metrics["bleu"].value, metrics["bleu"].n_scored) == (30, 3)
    # Promised, and nobody has it: shown as 0 of 4, not left out.
    assert (metrics["rougeL_f"].value, metrics["rougeL_f"].n_expected) == (None, 4)
    assert count_errors(records) == {"METRIC_ERROR": 1, "NO_CITATIONS": 1, "TIMEOUT": 1}


def test_rates_know_their_pages() -> None:
    records = [CaseRecord(str(i), i // 5, {"own": float(i // 5 % 2)}) for i in range(60)]
    metric = aggregate_cases(records, ["own"], rates={"own"})["own"]
    alone = [CaseRecord(r.case_id, r.case_id, r.scores) for r in records]
    naive = aggregate_cases(alone, ["own"], rates={"own"})["own"]
    assert metric.value == naive.value == 0.5
    assert (metric.n_clusters, naive.n_clusters) == (12, 60)
    assert metric.ci_high - metric.ci_low > 1.8 * (naive.ci_high - naive.ci_low)


def test_what_a_case_cannot_have_is_not_missing() -> None:
    records = [
        CaseRecord("1", "A", {"rubric_answer_correctness": 5.0}),
        CaseRecord("2", "B", {}, not_applicable={"rubric_answer_correctness"}),
    ]
    metric = aggregate_cases(records, ["rubric_answer_correctness"])["rubric_answer_correctness"]
    assert (metric.n_scored, metric.n_expected) == (1, 1)


def test_custom_metrics_and_rates() -> None:
    records = [CaseRecord(str(i), i, {"own": float(i > 0), "length": float(i)}) for i in range(4)]
    metrics = aggregate_cases(records, ["own", "length"], rates={"own"}, scales={"length": (0, 9)})
    assert metrics["own"].value == 0.75
    # Four pages of one question: the variance between pages is that of a sample of 4, so Wilson
    # for 0.75 is taken at n = 3.
    assert metrics["own"].ci_low == pytest.approx(0.2561, abs=1e-4)
    assert metrics["own"].n_clusters == 4
    assert (metrics["length"].value, metrics["length"].scale) == (1.5, (0, 9))
    with pytest.raises(ValueError, match="rate"):
        aggregate_cases(records, ["length"], rates={"length"})


def test_an_invented_score_is_refused() -> None:
    with pytest.raises(ValueError, match="scale"):
        aggregate_cases([CaseRecord("1", "A", {"rubric_e2e_quality": 0.0})], ["rubric_e2e_quality"])


def test_repeats_do_not_count_twice() -> None:
    with pytest.raises(ValueError, match="more than once"):
        aggregate_cases([CaseRecord("1", "A"), CaseRecord("1", "A")], ["bleu"])


def test_error_counts() -> None:
    records = [CaseRecord(str(i), i, error_code="LLM_FAILED") for i in range(3)]
    records += [CaseRecord("x", 0, error_code="NO_CITATIONS", flags=["NO_CITATIONS", "long"])]
    assert count_errors(records) == {"LLM_FAILED": 3, "NO_CITATIONS": 1}
    assert list(count_errors(records)) == ["LLM_FAILED", "NO_CITATIONS"]
    assert is_failure("TIMEOUT")
    assert is_failure(ErrorCode.METRIC_ERROR)
    assert not is_failure("NO_CITATIONS")
    assert not is_failure(None)


# --- citations --------------------------------------------------------------------------------


def test_citations_hand_worked() -> None:
    # Given a, b, c; relevant a, b, d. Cited a, c, z (z was never given), a twice.
    # Right: a. Precision 1/3, recall 1/3, one invalid.
    scores, flags = citation_metrics(["a", "c", "z", "a"], ["a", "b", "c"], {"a", "b", "d"})
    assert scores == pytest.approx(
        {
            "citation_precision": 1 / 3,
            "citation_recall": 1 / 3,
            "n_citations": 3,
            "n_invalid_citations": 1,
        }
    )
    assert flags == []


def test_no_citations_have_recall_zero_and_no_precision() -> None:
    scores, flags = citation_metrics([], ["a"], ["a"])
    assert scores["citation_recall"] == 0
    assert scores["citation_precision"] is None
    assert flags == ["NO_CITATIONS"]


def test_a_relevant_chunk_that_was_not_given_earns_nothing() -> None:
    scores, _ = citation_metrics(["d"], ["a"], ["d"])
    assert scores["citation_precision"] == 0 == scores["citation_recall"]
    assert scores["n_invalid_citations"] == 1


def test_nothing_known_to_be_relevant_is_missing() -> None:
    scores, flags = citation_metrics(["a"], ["a"], [])
    assert scores["citation_precision"] is None
    assert scores["citation_recall"] is None
    assert flags == []


@given(*[st.lists(st.sampled_from("abcdef"), max_size=8)] * 3)
def test_citation_properties(cited: list[str], given_: list[str], relevant: list[str]) -> None:
    scores, flags = citation_metrics(cited, given_, relevant)
    assert (scores, flags) == citation_metrics(cited[::-1] + cited, set(given_), set(relevant))
    for name in ("citation_precision", "citation_recall"):
        assert scores[name] is None or 0 <= scores[name] <= 1
    assert bool(flags) == (not cited)


# --- the catalogue ----------------------------------------------------------------------------


def test_every_metric_is_in_the_document() -> None:
    pages = [ROOT / "docs" / name for name in ("metrics.md", "analytics.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = set(re.findall(r"`([A-Za-z0-9_@]+)`", text))
    # Families at cutoffs are written as `chunk_recall@k`.
    missing = {n for n in CATALOGUE if n not in named and re.sub(r"@\d+", "@k", n) not in named}
    assert not missing


def test_kinds_and_scales() -> None:
    assert spec("chunk_hit_rate@1").kind == "rate"
    assert spec("page_ndcg@10").scale == (0, 1)
    assert spec("rubric_faithfulness").scale == (1, 5)
    assert spec("bleu").scale == (0, 100)
    assert spec("euclidean_distance").higher_is_better is False
    # Its cutoff is the run's top_k, so any number will do; of the others only those that are there.
    assert spec("hnsw_recall@7").scale == (0, 1)
    assert known("chunk_recall@7") is None
    with pytest.raises(KeyError):
        spec("faithfulness")  # which one? the family is part of the name


def test_what_a_script_withholds_is_not_expected_and_says_why() -> None:
    reason = "no words"
    records = [
        CaseRecord("a", "p", {"rouge1_f": None, "chrf": 50.0}, withheld={"rouge1_f": reason}),
        CaseRecord("b", "q", {"rouge1_f": 0.5, "chrf": 30.0}),
        # A failed answer is missing where the measure could be had only.
        CaseRecord("c", "r", {}, "LLM_FAILED", withheld={"rouge1_f": reason}),
    ]
    found = aggregate_cases(records, ["rouge1_f", "chrf"])
    rouge = found["rouge1_f"]
    assert (rouge.value, rouge.n_scored, rouge.n_expected) == (0.5, 1, 1)
    assert rouge.to_json()["withheld"] == {reason: 2}
    assert Metric.from_json(rouge.to_json()) == rouge
    assert "withheld" not in found["chrf"].to_json()
    assert found["chrf"].n_expected == 3
    alone = aggregate_cases(records[:1], ["rouge1_f"])["rouge1_f"]
    assert (alone.value, alone.n_scored, alone.n_expected) == (None, 0, 0)
