"""Names of the user's metrics, and what may come out of one."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.catalogue import CATALOGUE
from rag_bench.evaluation.custom import (
    NOT_APPLICABLE,
    Outcome,
    module_result,
    parse_metrics,
    read_result,
    settle,
)
from rag_bench.evaluation.metrics import source_analytics


def test_the_setting_is_read() -> None:
    text = " length = my.metrics:length ;exact=metrics/exact_match#exact_match,, tone=tone "
    assert parse_metrics(text) == {
        "length": "my.metrics:length",
        "exact": "metrics/exact_match#exact_match",
        "tone": "tone",
    }
    assert parse_metrics("") == parse_metrics(" , ;") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("my.metrics:length", "name=target"),
        ("length=", "name=target"),
        ("=my.metrics:length", "name=target"),
        ("my length=a:b", "cannot be a metric's name"),
        ("длина=a:b", "cannot be a metric's name"),
        ("2nd=a:b", "cannot be a metric's name"),
        ("a|b=a:b", "cannot be a metric's name"),
        ("x" * 65 + "=a:b", "cannot be a metric's name"),
        ("one=a:b, one=c:d", "given twice"),
        ("rougeL_f=a:b", "is the name of a metric of rag_bench"),
        ("bertscore_f1=a:b", "is the name of a metric of rag_bench"),
        ("rubric_mine=a:b", "begins with 'rubric_'"),
        ("ragas_faithfulness=a:b", "'ragas_"),
    ],
)
def test_a_bad_setting_is_a_clear_error(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match="RAG_BENCH_CUSTOM_METRICS") as caught:
        parse_metrics(text)
    assert words in str(caught.value)


def test_no_metric_of_ours_can_be_replaced() -> None:
    for name, metric in CATALOGUE.items():
        if set(metric.tiers) <= set(source_analytics.TIERS):  # of no answers
            assert parse_metrics(f"{name}=a:b") == {name: "a:b"}
            continue
        with pytest.raises(ConfigurationError):
            parse_metrics(f"{name}=a:b")


@pytest.mark.parametrize(
    ("result", "score"),
    [
        (0.25, 0.25),
        (3, 3.0),
        (True, 1.0),
        (False, 0.0),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7.0),
        (np.bool_(True), 1.0),
        (np.array([0.5])[0], 0.5),
        (Fraction(1, 4), 0.25),
    ],
)
def test_numbers_are_scores(result: Any, score: float) -> None:
    found = read_result("own", result)
    assert found == Outcome({"own": score})
    assert type(found.scores["own"]) is float


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "inf"),
        (np.float64("nan"), "nan"),
        ("0.5", "str '0.5'"),
        ([0.5], "list"),
        ((0.5,), "tuple"),
        (np.array([0.5]), "ndarray"),
        (1 + 2j, "complex"),
        (Decimal("0.5"), "Decimal"),
        (10**400, "too great"),
        ({}, "empty"),
        (object(), "object"),
    ],
)
def test_what_is_no_finite_number_is_an_error(result: Any, words: str) -> None:
    found = read_result("own", result)
    assert found.scores == {}
    assert found.error
    assert words in found.error


def test_none_does_not_apply() -> None:
    assert read_result("own", None) is NOT_APPLICABLE
    assert not NOT_APPLICABLE.applies


def test_a_declared_scale_is_held() -> None:
    assert read_result("own", 1, scale=(0, 1)).scores == {"own": 1}
    found = read_result("own", 1.01, scale=(0, 1))
    assert found.scores == {}
    assert "not within its scale 0…1" in (found.error or "")


def test_a_dict_is_several_scores() -> None:
    found = read_result("own", {"words": 4, "share": None, "bad": math.nan, "worse": "x", 5: 1.0})
    assert found.scores == {"own_words": 4.0}
    assert found.not_applicable == {"own_share"}
    assert found.error
    for words in ("bad: it gave nan", "worse: it gave str 'x'", "int 5 cannot be a key"):
        assert words in found.error


def test_a_key_cannot_take_the_name_of_another_metric() -> None:
    found = read_result("rouge1", {"f": 0.5, "g": 0.5})
    assert found.scores == {"rouge1_g": 0.5}
    assert "'rouge1_f' is the name of a metric of rag_bench" in (found.error or "")
    assert "kept for" in (read_result("rubric", {"mine": 5}).error or "")
    found = read_result("own", {"length": 0.5}, taken={"own", "own_length"})
    assert (dict(found.scores), bool(found.error)) == ({}, True)


def test_the_result_of_a_metric_module() -> None:
    assert module_result({"exact_match": 0.5}, None) == 0.5
    assert module_result({"f1": np.float64(0.5), "hashcode": "x"}, None) == 0.5
    assert module_result({"precision": [0.25], "recall": np.array([0.75])}, None) == {
        "precision": 0.25,
        "recall": 0.75,
    }
    bleu = {"bleu": 0.1, "precisions": [1.0, 0.5], "brevity_penalty": 1.0}
    assert module_result(bleu, None) == {"bleu": 0.1, "brevity_penalty": 1.0}
    assert module_result(bleu, "bleu") == 0.1
    # A list of several is no score: read_result says so.
    assert read_result("own", module_result(bleu, "precisions")).error
    with pytest.raises(ValueError, match="no 'score', but: bleu, precisions, brevity_penalty"):
        module_result(bleu, "score")
    with pytest.raises(ValueError, match="no number, but: text"):
        module_result({"text": "x"}, None)
    assert module_result(None, None) is None


def test_every_case_has_or_misses_each_name() -> None:
    outcomes = {
        "1": read_result("own", {"a": 1, "b": 2}),
        "2": read_result("own", {"a": 3, "b": None}),
        "3": read_result("own", {"a": 5}),
        "4": read_result("own", None),
        "5": Outcome(error="ValueError: x"),
        "6": read_result("own", 1.0),
    }
    settled = settle("own", outcomes)
    assert settled.names == ("own", "own_a", "own_b")
    whole = settled.outcomes
    assert whole["2"].not_applicable == {"own_b"}
    assert whole["3"].scores == {"own_a": 5}
    assert whole["3"].error == "it gave no own, own_b, which it gave for other cases"
    assert whole["4"].not_applicable == set(settled.names)
    assert whole["4"].error is None
    assert whole["5"].error == "ValueError: x"
    assert whole["6"].scores == {"own": 1.0}


def test_a_metric_that_never_gave_anything_keeps_its_name() -> None:
    assert settle("own", {"1": Outcome(error="x")}).names == ("own",)
    assert settle("own", {"1": NOT_APPLICABLE}).outcomes["1"].not_applicable == {"own"}
    assert settle("own", {}).names == ("own",)
