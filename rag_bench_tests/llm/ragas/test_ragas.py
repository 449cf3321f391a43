"""RAGAS' metrics with the faults of 0.4.3 shown right, and its calls through our own client."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from ragas_replies import (
    ANSWER,
    CONTEXTS,
    FIVE,
    QUESTION,
    REFERENCE,
    Answer,
    Scripted,
    letters,
    scored,
    statements,
    verdicts,
)

from rag_bench.errors import CaseError, ErrorCode

"""Gets the name of the reply's schema and what is asked about; returns the reply."""


def failed(metric: str, answer: Answer, /, **sample: Any) -> CaseError:
    with pytest.raises(CaseError) as caught:
        scored(metric, Scripted(answer), **sample)
    return caught.value


def attributions(*values: int, numbers: Sequence[int] = ()) -> dict[str, Any]:
    pairs = zip(numbers or range(1, len(values) + 1), values, strict=True)
    return {"verdicts": [{"number": n, "reason": "так", "attributed": v} for n, v in pairs]}


def parts(tp: Sequence[int], fp: Sequence[int], fn: Sequence[int]) -> dict[str, Any]:
    lists = {"TP": tp, "FP": fp, "FN": fn}
    return {k: [{"number": n, "reason": "так"} for n in each] for k, each in lists.items()}


def ragas_with(reply: Mapping[str, Any]) -> Any:
    """ragas' own kind of model, which gives these replies by the name of their class."""
    from ragas.llms.base import InstructorBaseRagasLLM

    class Plain(InstructorBaseRagasLLM):
        def generate(self, prompt: str, response_model: Any) -> Any:
            raise NotImplementedError

        async def agenerate(self, prompt: str, response_model: Any) -> Any:
            return response_model.model_validate(reply[response_model.__name__])

    return Plain()


# Arithmetic.


def test_faithfulness_is_supported_over_stated():
    chat = Scripted(
        lambda name, given: (
            statements(FIVE) if name == "ragas_statements" else verdicts(1, 0, 1, 1, 0)
        )
    )
    score = scored("faithfulness", chat)
    assert score.value == 3 / 5
    assert score.evidence == {"n_statements": 5, "unsupported": [FIVE[1], FIVE[4]]}
    assert [call["max_tokens"] for call in chat.calls] == [4096, 4096]


def test_one_verdict_on_five_statements_is_no_score():
    from ragas.metrics.collections import Faithfulness

    said = [{"statement": FIVE[0], "reason": "так", "verdict": 1}]
    ragas = {"StatementGeneratorOutput": statements(FIVE), "NLIStatementOutput": statements(said)}
    plain = Faithfulness(ragas_with(ragas))
    asked = {"user_input": QUESTION, "response": ANSWER, "retrieved_contexts": CONTEXTS}
    assert asyncio.run(plain.ascore(**asked)).value == 1.0  # the fault
    error = failed("faithfulness", judging_five(verdicts(1)))
    assert error.code is ErrorCode.METRIC_ERROR
    assert "5 statements submitted, 1 verdicts returned; none for 2, 3, 4, 5" in error.detail


def judging_five(reply: Any) -> Answer:
    return lambda name, _: statements(FIVE) if name == "ragas_statements" else reply


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ([1, 2, 3, 4], "4 verdicts returned; none for 5"),  # two merged into one
        ([1, 2, 3, 4, 4], "5 verdicts returned; none for 5; several for 4"),
        ([1, 2, 3, 4, 5, 5], "6 verdicts returned; several for 5"),
        ([1, 2, 3, 4, 6], "none for 5; not asked 6"),
        ([0, 1, 2, 3, 4], "none for 5; not asked 0"),
        ([], "0 verdicts returned; none for 1, 2, 3, 4, 5"),
    ],
)
def test_every_number_has_one_verdict(numbers, problem):
    reply = verdicts(*([1] * len(numbers)), numbers=numbers)
    error = failed("faithfulness", judging_five(reply))
    assert error.code is ErrorCode.METRIC_ERROR
    assert problem in error.detail
    recall = attributions(*([1] * len(numbers)), numbers=numbers)
    reference = " ".join(f"Пункт {n} находится в комнате {n * 100}." for n in range(1, 6))
    assert problem in failed("context_recall", lambda *_: recall, reference=reference).detail


def test_verdicts_in_another_order_are_those_of_their_numbers():
    reply = verdicts(0, 1, 1, 1, 1, numbers=[5, 3, 1, 2, 4])
    score = scored("faithfulness", Scripted(judging_five(reply)))
    assert (score.value, score.evidence["unsupported"]) == (4 / 5, [FIVE[4]])


def test_statements_that_are_the_same_have_a_verdict_each():
    twice = [FIVE[0], FIVE[0]]
    reply = verdicts(1, 0)
    chat = Scripted(lambda name, _: statements(twice) if name == "ragas_statements" else reply)
    assert scored("faithfulness", chat).value == 1 / 2


LONG = (
    "Да. Оплатить обучение можно до 1 сентября. Счёт на 150 000 руб. выдаёт бухгалтерия, каб. 408, "
    "т. е. второй этаж. При оплате после срока начисляют 0,1 % в день. Льготы есть у сирот и т. д."
)


LONG_PARTS = [
    "Да. Оплатить обучение можно до 1 сентября.",
    "Счёт на 150 000 руб. выдаёт бухгалтерия, каб. 408, т. е. второй этаж.",
    "При оплате после срока начисляют 0,1 % в день.",
    "Льготы есть у сирот и т. д.",
]


@pytest.mark.parametrize(
    "said",
    [
        lambda part: part,
        # One word changed, a number grouped otherwise, a yes taken into the sentence, no words.
        lambda part: part.replace("обучение", "учёбу").replace("оплате", "уплате"),
        lambda part: part.replace("150 000", "150000").replace("0,1 %", "0.1%"),
        lambda part: part.replace("Да. Оплатить", "Да, оплатить"),
        lambda _: "",
    ],
)
def test_a_judge_may_put_sentences_in_its_own_words(said):
    asked: list[dict[str, Any]] = []

    def reply(_, given):
        asked.extend(given["sentences"])
        rows = attributions(1, 0, 1, 1)
        for row, part in zip(rows["verdicts"], given["sentences"], strict=True):
            row["reason"] = said(part["sentence"])
        return rows

    score = scored("context_recall", Scripted(reply), reference=LONG)
    assert asked == [{"number": n, "sentence": s} for n, s in enumerate(LONG_PARTS, 1)]
    assert score.value == 3 / 4
    assert score.evidence == {"n_statements": 4, "not_attributed": [LONG_PARTS[1]]}


def test_a_reference_of_one_word_or_none_is_one_sentence():
    for reference in ("Да", "25", "🙂"):
        score = scored("context_recall", Scripted(lambda *_: attributions(1)), reference=reference)
        assert (score.value, score.evidence["n_statements"]) == (1.0, 1)


def test_one_classification_of_five_facts_is_no_score():
    reference = " ".join(f"Пункт {n} находится в комнате {n * 100}." for n in range(1, 6))
    from ragas.metrics.collections import ContextRecall

    asked = {"user_input": QUESTION, "reference": reference, "retrieved_contexts": CONTEXTS}
    said = [{"statement": "Пункт 1 в комнате 100.", "reason": "так", "attributed": 1}]
    plain = ContextRecall(ragas_with({"ContextRecallOutput": {"classifications": said}}))
    assert asyncio.run(plain.ascore(**asked)).value == 1.0  # the fault
    error = failed("context_recall", lambda *_: attributions(1), reference=reference)
    assert error.code is ErrorCode.METRIC_ERROR
    assert "5 sentences submitted, 1 verdicts returned; none for 2, 3, 4, 5" in error.detail


def test_context_recall_is_attributed_over_stated():
    said = ["Справку заказывают в личном кабинете.", "Выдают её в окне 4."]
    score = scored("context_recall", Scripted(lambda *_: attributions(1, 0)))
    assert score.value == 1 / 2
    assert score.evidence["not_attributed"] == said[1:]


@pytest.mark.parametrize(
    ("useful", "expected"),
    [
        ([1, 1, 1], 1.0),
        ([1, 0, 0], 1.0),
        ([0, 0, 1], 1 / 3),
        ([1, 0, 1], (1 + 2 / 3) / 2),
        ([0, 1, 1], (1 / 2 + 2 / 3) / 2),
        ([0, 0, 0], 0.0),
    ],
)
def test_context_precision_is_average_precision(useful, expected):
    each = iter(useful)
    chat = Scripted(lambda *_: {"reason": "так", "verdict": next(each)})
    score = scored("context_precision", chat, contexts=["первый", "второй", "третий"])
    # ragas' own is 0.9999999999 for a perfect ranking.
    assert score.value == pytest.approx(expected, abs=1e-6)
    assert score.evidence == {"useful": useful}


def test_answer_correctness_weighs_f1_and_cosine():
    mine, true = FIVE[:3], ["А.", "Б."]
    replies = {
        "ragas_answer_correctness": parts([1], [2, 3], [4]),
    }
    chat = Scripted(
        lambda name, given: (
            replies.get(name) or statements(mine if given["answer"] == ANSWER else true)
        )
    )
    a, b = letters([ANSWER, REFERENCE])
    cosine = float(a @ b / math.sqrt((a @ a) * (b @ b)))
    f1 = 2 * 1 / (2 * 1 + 2 + 1)
    score = scored("answer_correctness", chat)
    assert score.value == pytest.approx(0.75 * f1 + 0.25 * cosine)
    assert score.evidence["factuality"] == f1
    assert score.evidence["fn"] == true[:1]
    # Every statement of the answer must be in one of two lists.
    for sorted_, problem in (
        (parts([1], [], []), "3 statements of the answer, 1 TP and 0 FP; none for 2, 3"),
        (parts([1, 2], [2, 3], []), "2 TP and 2 FP; several for 2"),
        (parts([1, 2, 4], [3], []), "not asked 4"),
        (parts([1, 2, 3], [], [2]), "2 statements of the reference, 1 FN; not asked 2"),
        (parts([1, 2, 3], [], [5, 5]), "2 FN; several for 5"),
    ):
        replies["ragas_answer_correctness"] = sorted_
        assert problem in failed("answer_correctness", chat.answer).detail


def test_identical_texts_are_never_past_one():
    same = statements(["Справку выдают."])
    chat = Scripted(lambda name, given: same if name == "ragas_statements" else parts([1], [], []))
    assert scored("answer_correctness", chat, answer=REFERENCE).value == 1.0
    from rag_bench.llm.ragas.metrics import Sample, semantic_similarities

    odd = [Sample(QUESTION, reference, reference=reference) for reference in (ANSWER, REFERENCE)]
    thirds = lambda texts: np.full((len(texts), 3), 1 / 3)  # noqa: E731
    assert [score.value for score in semantic_similarities(odd, thirds)] == [1.0, 1.0]
    assert semantic_similarities([], thirds) == []


def test_no_statements_are_never_a_score():
    from ragas.metrics.collections import AnswerCorrectness, Faithfulness

    none = ragas_with({"StatementGeneratorOutput": statements([])})
    asked = {"user_input": QUESTION, "response": ANSWER}
    faults = [
        asyncio.run(Faithfulness(none).ascore(**asked, retrieved_contexts=CONTEXTS)).value,
        asyncio.run(
            AnswerCorrectness(none, weights=[1.0, 0.0]).ascore(**asked, reference=REFERENCE)
        ).value,
    ]
    assert math.isnan(faults[0])
    assert faults[1] == 1.0
    for metric in ("faithfulness", "answer_correctness"):
        error = failed(metric, lambda *_: statements([]))
        assert error.code is ErrorCode.METRIC_ERROR
        assert "0 statements" in error.detail


def test_refusals():
    """A refusal states nothing: it can be neither faithful nor not, and lacks all that is true."""
    refusal = {"answer": "Ответ не найден", "refused": True}
    true = ["Справку заказывают.", "Её выдают."]
    reader = Scripted(lambda name, given: statements(true if given["answer"] == REFERENCE else []))
    assert scored("faithfulness", reader, **refusal).value is None
    wrong = scored("answer_correctness", reader, **refusal)
    assert wrong.evidence["factuality"] == 0.0
    assert wrong.evidence["fn"] == true
    assert 0 < wrong.value <= 0.25
    # Two identical abstentions: neither 0.0 nor 1.0, but no value.
    both = scored("answer_correctness", reader, **refusal, reference="Ответ не найден")
    assert both.value is None
    assert "neither" in both.evidence["undefined"]


def test_answer_relevancy_is_the_mean_cosine_of_three_draws():
    asked = iter(["Где взять справку?", "Как получить справку?", "Что в столовой?"])
    chat = Scripted(lambda *_: {"question": next(asked), "noncommittal": 0})
    score = scored("answer_relevancy", chat)
    vectors = letters(["Где взять справку?", "Как получить справку?", "Что в столовой?"])
    one = letters([QUESTION])[0]
    cosines = vectors @ one / np.linalg.norm(vectors, axis=1) / np.linalg.norm(one)
    assert score.value == pytest.approx(cosines.mean())
    assert len(score.evidence["questions"]) == 3
    # At ragas' 0.01 the three draws would be one.
    assert {call["temperature"] for call in chat.calls} == {0.3}
    evasive = Scripted(lambda *_: {"question": "Где?", "noncommittal": 1})
    assert scored("answer_relevancy", evasive).value == 0.0


@pytest.mark.parametrize(
    ("metric", "sample", "name"),
    [
        ("faithfulness", {"contexts": []}, "contexts"),
        ("context_precision", {"contexts": []}, "contexts"),
        ("context_recall", {"contexts": ["есть", " "]}, "contexts"),
        ("context_recall", {"reference": ""}, "reference"),
        ("answer_correctness", {"reference": "\n"}, "reference"),
        ("answer_relevancy", {"answer": ""}, "answer"),
        ("faithfulness", {"question": " "}, "question"),
    ],
)
def test_what_a_metric_reads_must_be_there(metric, sample, name):
    error = failed(metric, lambda *_: pytest.fail("a model was asked"), **sample)
    assert error.code is ErrorCode.INVALID_INPUT
    assert name in error.detail


@pytest.mark.parametrize(
    ("metric", "reply"),
    [
        ("context_precision", {"reason": "так", "verdict": 2}),
        ("context_precision", {"reason": "так", "verdict": -1}),
        ("context_precision", {"reason": "так", "verdict": True}),
        ("context_precision", {"reason": "так", "verdict": "1"}),
        ("context_precision", {"verdict": 1}),
        ("context_precision", "Полезен, 1 из 1."),
        ("context_recall", attributions(3, 1)),
        ("answer_relevancy", {"question": " ", "noncommittal": 0}),
        ("faithfulness", {"statements": [" "]}),
        ("faithfulness", {"statements": "Справку выдают."}),
    ],
)
def test_a_reply_of_another_shape_is_an_error(metric, reply):
    error = failed(metric, lambda *_: reply)
    assert error.code is ErrorCode.METRIC_ERROR
    assert "unreadable" in error.detail
    assert not error.retryable


def test_only_rounding_is_cut_off():
    from rag_bench.llm.ragas.metrics import within_unit

    assert within_unit("m", 1.0000000000000002) == 1.0
    assert within_unit("m", -1e-12) == 0.0
    assert within_unit("m", 0.25) == 0.25
    for wrong in (1.3, -0.2, float("nan"), float("inf")):
        with pytest.raises(CaseError) as caught:
            within_unit("m", wrong)
        assert caught.value.code is ErrorCode.METRIC_ERROR


def test_overlap_of_texts_where_ragas_is_wrong():
    from ragas.metrics.collections import BleuScore, RougeScore

    from rag_bench.evaluation.metrics.text_overlap import text_overlap

    def plain(metric: Any, reference: str, response: str) -> float:
        return asyncio.run(metric.ascore(reference=reference, response=response)).value

    russian = "Стипендию перечисляют каждый месяц."
    assert plain(RougeScore(), russian, russian) == 0.0
    assert text_overlap(russian, russian)["rougeL_f"] == 1.0
    unlike = ("Приём в кабинете 205 до 18.", "Столовая 205 открыта 18 марта.")
    assert plain(RougeScore(), *unlike) == 1.0
    ours = text_overlap(*unlike)["rougeL_f"]
    assert ours is not None
    assert ours < 0.7
    short = "Да, можно. Справку выдают в окне 4 по будням с девяти до шести."
    assert plain(BleuScore(), short, short) == 0.0
    assert text_overlap(short, short)["bleu"] == 100.0
    # ragas looks at the first sentence only.
    first = "Справку заказывают в личном кабинете студента. "
    assert (
        plain(BleuScore(), first + "Выдают её в окне.", first + "Столовая закрыта сегодня.") > 0.99
    )
    assert (
        text_overlap(first + "Выдают её в окне.", first + "Столовая закрыта сегодня.")["bleu"] < 80
    )
