"""When a case has which flag, rule by rule."""

from __future__ import annotations

from typing import Any

import pytest

from rag_bench.errors import ConfigurationError, ErrorCode
from rag_bench.eval_runs.flags import (
    FLAGS,
    Known,
    Rules,
    flags_of,
    in_order,
    read_below,
    reviews_of,
)

RULES = Rules({"ragas_faithfulness": 0.5}, disagreement=0.5)


@pytest.mark.parametrize(
    ("case", "flags"),
    [
        (Known(), []),
        (Known(relevant=["a"], retrieved=["b", "a"]), []),
        (Known(relevant=["a", "c"], retrieved=["b", "a"]), ["missing_chunk"]),
        (Known(relevant=["a"], retrieved=[]), ["missing_chunk"]),
        (Known(relevant=["a"], retrieved=None), []),  # it is not known what was retrieved
        (Known(unknown_chunks=["x"]), ["unknown_chunk"]),
        (Known(outdated_chunks=["x"]), ["outdated_chunk"]),
        (Known(truncated=True), ["truncated_context"]),
        (Known(worse=True), ["regression_detected"]),
        (
            Known(
                *(["a"], [], ["x"], [ErrorCode.TIMEOUT]),
                **{"truncated": True, "worse": True, "outdated_chunks": ["y"]},
            ),
            list(FLAGS),
        ),
    ],
)
def test_flags_follow_from_what_is_known(case: Known, flags: list[str]) -> None:
    assert flags_of(case, RULES) == flags


@pytest.mark.parametrize(
    ("known", "reviews"),
    [
        ({"failures": [ErrorCode.LLM_FAILED]}, ["failed_again"]),
        ({"failures": [ErrorCode.METRIC_ERROR]}, ["failed_again"]),
        ({"failures": [ErrorCode.NO_CITATIONS]}, []),  # told by what it cites
        ({"cites_nothing": True}, ["cites_badly"]),
        ({"n_cited": 2, "n_cited_given": 1}, []),
        ({"n_cited": 2, "n_cited_given": 0}, ["cites_badly"]),
        ({"metrics": {"ragas_faithfulness": 0.5}}, []),
        ({"metrics": {"ragas_faithfulness": 0.49}}, ["score_below"]),
        ({"metrics": {"ragas_faithfulness": None}}, []),
        (
            {"metrics": {"ragas_context_recall": 1.0, "id_based_context_recall": 0.4}},
            ["judge_and_ids_disagree"],
        ),
        ({"metrics": {"ragas_context_recall": 1.0, "id_based_context_recall": 0.5}}, []),
        (
            {
                "metrics": {
                    "ragas_context_precision": 0.0,
                    "target_id_based_context_precision": 1.0,
                }
            },
            ["judge_and_ids_disagree"],
        ),
        ({"metrics": {"ragas_context_precision": 0.0}}, []),  # nothing to disagree with
    ],
)
def test_a_review_has_a_reason(known: dict[str, Any], reviews: list[str]) -> None:
    case = Known(**known)
    assert reviews_of(case, RULES) == reviews
    assert ("manual_review_required" in flags_of(case, RULES)) == bool(reviews)


def test_flags_have_one_order() -> None:
    assert in_order({"regression_detected", "missing_chunk"}) == [
        "missing_chunk",
        "regression_detected",
    ]


def test_the_setting_of_scores_is_read() -> None:
    assert read_below("") == {}
    assert read_below(" a = 0.5, rubric_e2e_quality=3 ,") == {"a": 0.5, "rubric_e2e_quality": 3.0}
    for wrong in ("a", "a=", "=1", "a=b", "a:0.5"):
        with pytest.raises(ConfigurationError, match="RAG_BENCH_EVAL_REVIEW_BELOW"):
            read_below(wrong)
