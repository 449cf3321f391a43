"""Verdicts against what was submitted: every difference is an error with both counts."""

from __future__ import annotations

import pytest

from rag_bench.errors import CaseError, ErrorCode
from rag_bench.llm.ragas.reconcile import (
    require_coverage,
    require_sorted,
    require_statements,
    require_verdicts,
    sentences,
)

FIVE = ["Первое.", "Второе.", "Третье.", "Четвёртое.", "Пятое."]
REFERENCE = (
    "Пропуск выдают в кабинете 114. Нужен паспорт. Готов он через 2 дня. "
    "За утерю платят 300 рублей. Забирают его лично."
)


def refused(check, *given: object) -> str:
    with pytest.raises(CaseError) as caught:
        check(*given)
    assert caught.value.code is ErrorCode.METRIC_ERROR
    assert not caught.value.retryable
    return caught.value.detail


def test_one_verdict_on_five_statements_is_an_error_with_both_counts():
    detail = refused(require_verdicts, FIVE, ["Первое."])
    assert "5 statements" in detail
    assert "1 verdict" in detail
    refused(require_verdicts, FIVE, [*FIVE, "Шестое."])
    refused(require_verdicts, FIVE, [])
    # As many, but one of them twice: another one was left out.
    refused(require_verdicts, FIVE, ["Первое.", *FIVE[:4]])
    require_verdicts(FIVE, FIVE)
    require_verdicts(FIVE, [f"«{each.lower()}»" for each in FIVE])
    require_verdicts(["То же.", "То же."], ["То же.", "То же."])


def test_no_statement_in_a_text_is_an_error():
    assert "0 statements" in refused(require_statements, [], "the answer")
    require_statements(["Что-то."], "the answer")


def test_the_classified_statements_must_cover_the_reference():
    parts = sentences(REFERENCE)
    assert len(parts) == 5
    require_coverage(REFERENCE, parts)
    detail = refused(require_coverage, REFERENCE, parts[:1])
    assert "5 sentences, 1 classifications" in detail
    assert "4 sentences not covered" in detail
    refused(require_coverage, REFERENCE, [])
    refused(require_coverage, REFERENCE, parts[:4])
    refused(require_coverage, REFERENCE, [*parts, parts[0]])
    refused(require_coverage, REFERENCE, [*parts, "Столовая закрыта по воскресеньям."])
    # A sentence may be split further, and a noun may stand for a pronoun.
    require_coverage(REFERENCE, [*parts[:2], "Пропуск готов через 2 дня.", *parts[3:]])
    require_coverage("Нужны паспорт и фото.", ["Нужны паспорт.", "Нужны фото."])


def test_facts_of_one_sentence_count_too():
    reference = "Нужны паспорт, СНИЛС, справка о доходах, две фотографии и заявление родителей."
    refused(require_coverage, reference, ["Нужен паспорт."])
    refused(require_coverage, "Приём 10 и 12 марта.", ["Приём 10 марта."])
    assert "sentences not covered" in refused(
        require_coverage, "Bring your passport and 3 photographs.", ["Bring your passport."]
    )
    require_coverage("England", ["England"])
    restated = ["The cup of 2020 was won by England."]
    refused(require_coverage, "England", restated)
    require_coverage("England", restated, "Which country won the cup in 2020?")
    require_coverage("Да.", ["Да."])


def test_sorted_statements_account_for_the_whole_answer():
    require_sorted(["а", "б"], ["в", "г"], ["а"], ["б"], ["в", "г"])
    require_sorted(["а", "б"], ["в"], ["а", "б"], [], [])
    assert "2 statements of the answer, 1 TP and 0 FP" in refused(
        require_sorted, ["а", "б"], ["в"], ["а"], [], []
    )
    refused(require_sorted, ["а", "б"], ["в"], ["а"], ["а"], [])  # one sorted twice, one lost
    refused(require_sorted, ["а"], ["в"], ["а"], [], ["в", "г"])  # more missed than there are
    refused(require_sorted, ["а"], ["в", "г"], ["а"], [], ["в", "в"])


def test_sentences():
    assert sentences("Приём в 10.30. Вход свободный! «Пропуск нужен.» Да\nИ ещё") == [
        *("Приём в 10.30.", "Вход свободный!", "«Пропуск нужен.", "Да", "И ещё")
    ]
    assert sentences("Раз [1]. Два [2, 3].") == ["Раз  .", "Два  ."]
    assert sentences(" … ") == []
