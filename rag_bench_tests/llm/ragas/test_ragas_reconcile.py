"""Verdicts against what was submitted: every difference is an error with both counts."""

from __future__ import annotations

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.ragas.reconcile import require_sorted, require_statements, require_verdicts


def refused(check, *given: object) -> str:
    with pytest.raises(CaseError) as caught:
        check(*given)
    assert caught.value.code is ErrorCode.METRIC_ERROR
    assert not caught.value.retryable
    return caught.value.detail


def test_one_verdict_on_five_statements_is_an_error_with_both_counts():
    five = range(1, 6)
    detail = refused(require_verdicts, five, [1], "statements")
    assert "5 statements" in detail
    assert "1 verdicts" in detail
    assert "none for 2, 3, 4, 5" in detail
    assert "not asked 6" in refused(require_verdicts, five, [*five, 6], "statements")
    refused(require_verdicts, five, [], "statements")
    # As many, but one of them twice: another one was left out.
    assert "several for 1" in refused(require_verdicts, five, [1, 1, 2, 3, 4], "statements")
    require_verdicts(five, [5, 4, 3, 2, 1], "statements")
    require_verdicts([], [], "statements")


def test_no_statement_in_a_text_is_an_error():
    assert "0 statements" in refused(require_statements, [], "the answer")
    require_statements(["Что-то."], "the answer")


def test_sorted_statements_account_for_the_whole_answer():
    require_sorted([1, 2], [3, 4], [1], [2], [3, 4])
    require_sorted([1, 2], [3], [2, 1], [], [])
    assert "2 statements of the answer, 1 TP and 0 FP" in refused(
        require_sorted, [1, 2], [3], [1], [], []
    )
    refused(require_sorted, [1, 2], [3], [1], [1], [])  # one sorted twice, one lost
    refused(require_sorted, [1], [3], [1], [], [3, 4])  # more missed than there are
    refused(require_sorted, [1], [3, 4], [1], [], [3, 3])
