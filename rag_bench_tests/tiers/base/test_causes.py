"""The most frequent cause of a cell's failures, in words, and what to do."""

from __future__ import annotations

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.tiers.base.causes import most_frequent
from rag_bench.tiers.base.health import _given_up

URL = {"x": "http://here:1/api"}


def words(*details: str, code: str = "LLM_FAILED", model: str = "x/m") -> str:
    return str(most_frequent([(code, detail) for detail in details], [model], URL))


@pytest.mark.parametrize(
    ("detail", "said"),
    [
        (
            "x/m: http 404: Not Found",
            ["http 404: Not Found (at http://here:1/api)", "Does the address end in /v1,"],
        ),
        ("x/m: http 401: no", ["http 401", "PROVIDER_X_API_KEY"]),
        ("x/m: http 403: no", ["PROVIDER_X_API_KEY"]),
        ("x/m: http 402: pay", ["no money left"]),
        ("x/m: http 400: enum of integers", ["enum of integers", "PROVIDER_X_RESPONSE_FORMAT"]),
        ("x/m: http 429: slow down", ["PROVIDER_X_RPM"]),
        ("x/m: http 500: отказ", ["http 500: отказ (at http://here:1/api)", "run again later"]),
        ("x/m: http 524: late", ["run again later"]),
        ("x/m: no complete reply within 120 s", ["PROVIDER_X_TIMEOUT_SECONDS"]),
        ("x/m: cannot connect: refused", ["Is the server up", "PROVIDER_X_BASE_URL"]),
        ("x/m: truncated: finish_reason=length, raise the token limit", ["PROVIDER_X_MAX_TOKENS"]),
        ("x/m: the thinking was cut before an answer began", ["--retry-failed"]),
        ("x/m: unreadable reply: not JSON", ["end in /v1?"]),
        (
            "faithfulness: unreadable reply: it is not one JSON object; it begins with 'Оценка: 2';"
            " answer_relevance: unreadable reply: the reply is empty; it begins with ''",
            ["unreadable reply: it is not one JSON object.", "stronger model"],
        ),
        ("faithfulness: no answer to score: x/g: http 500: no", ["no answer to score", "answers"]),
    ],
)
def test_what_to_do(detail: str, said: list[str]) -> None:
    found = words(detail)
    assert all(part in found for part in said), found
    assert "Оценка" not in found


def test_a_line_to_add_that_is_there_is_not_said_twice() -> None:
    line = "add PROVIDER_X_RESPONSE_FORMAT=json_object"
    assert words(f"x/m: http 400: no schemas ({line})").count("PROVIDER_X") == 1


def test_the_most_frequent_counts_and_numbers_and_quotes_do_not_part_causes() -> None:
    found = most_frequent(
        [
            *[("LLM_FAILED", f"x/m: http 500: request {n} failed") for n in range(5)],
            *[("LLM_FAILED", "x/m: http 404: gone")] * 4,
            ("METRIC_ERROR", "unreadable reply: x; it begins with 'a'"),
        ],
        ["x/m"],
        URL,
    )
    assert found is not None
    assert (found.n, found.n_failed) == (5, 10)
    assert str(found).startswith("5 of 10: http 500: request 0 failed (at http://here:1/api). ")


def test_what_was_not_asked_has_the_cause_of_what_was() -> None:
    last = CaseError(ErrorCode.LLM_FAILED, "x/m: http 404: gone", retryable=True)
    found = most_frequent(
        [("LLM_FAILED", last.detail)] * 2 + [("LLM_FAILED", _given_up(last).detail)] * 8,
        ["x/m"],
        URL,
    )
    assert found is not None
    assert (found.n, found.words) == (10, "http 404: gone (at http://here:1/api)")


def test_long_words_are_cut_and_nothing_failed_is_no_cause() -> None:
    assert len(words(f"x/m: http 400: {'о' * 900}")) < 600
    assert most_frequent([]) is None
    assert str(most_frequent([("INVALID_INPUT", None)])) == "INVALID_INPUT"
