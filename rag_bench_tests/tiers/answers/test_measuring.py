"""Answers are measured by whatever metrics are declared, to the same numbers as before that."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import answers_to_measure as given
import pytest

from rag_bench.errors import RagBenchError
from rag_bench.evaluation import catalogue
from rag_bench.evaluation.answer_metrics import AnswerCase, AnswerMetrics, RepeatMetrics, Repeats
from rag_bench.evaluation.metric_spec import UNIT, Need, entries
from rag_bench.evaluation.types import few_clusters_note
from rag_bench.tiers.answers import measuring
from rag_bench.tiers.answers.answers import added_inputs


def measured(tier: str, runs: int) -> Any:
    asked, results = given.asked(tier, runs)
    fragments = {key: context.fragments for key, context in given.contexts().items()}
    vectors = given.vectors()
    cases = measuring.measured_cases(tier, asked, results, fragments, vectors, given.TWINS)
    bench = given.bench(tier, runs)
    return given.as_json(cases, measuring.metrics_of(bench, tier, cases, vectors))


def assert_same(found: Any, expected: Any, where: str) -> None:
    assert type(found) is type(expected), where
    if isinstance(expected, dict):
        if "note" in expected and expected["ci_low"] is None:
            # Beside a number without an interval none is called too narrow any more.
            expected = {**expected, "note": few_clusters_note(expected)}
        assert found.keys() == expected.keys(), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=2e-6), where
    else:
        assert found == expected, where


@pytest.mark.parametrize(("tier", "runs"), given.RECORDINGS)
def test_the_numbers_are_those_of_before_metrics_were_declared(tier: str, runs: int) -> None:
    recorded = json.loads(given.RECORDED.read_text(encoding="utf-8"))[f"{tier} {runs}"]
    assert_same(measured(tier, runs), recorded, f"tier {tier}")


def test_what_is_built_in_leaves_input_hashes_as_they_are() -> None:
    assert added_inputs("2") == added_inputs("3") == ()


def group(
    *needs: Need, name: str = "own", tiers: Sequence[str] = ("2", "3"), **options: Any
) -> AnswerMetrics:
    """A metric: 1 for an answer that cites something, no value for one that says «Да»."""

    def compute(cases: Sequence[AnswerCase]) -> list[dict[str, float | None]]:
        return [
            {name: None if case.answer.startswith("Да") else float(bool(case.cited))}
            for case in cases
        ]

    metrics = entries((name,), tiers, "rate", UNIT, True, "it cites something", needs=needs)
    return AnswerMetrics(metrics, compute, **options)


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda *groups: monkeypatch.setattr(
        catalogue, "OF_ANSWERS", (*catalogue.OF_ANSWERS, *groups)
    )


@pytest.mark.parametrize(
    ("needs", "n_scored", "n_expected"),
    [
        # 16 questions, of which one failed, one was cut off and one has no value.
        ((), 13, 16),
        ((Need.in_scope,), 10, 13),
        ((Need.out_of_scope,), 3, 3),
        ((Need.reference, Need.in_scope), 9, 12),
        ((Need.relevant_chunks,), 9, 12),
        ((Need.generated,), 10, 13),
        ((Need.value,), 13, 15),
    ],
)
def test_a_metric_is_expected_of_what_has_what_it_needs(
    needs: tuple[Need, ...], n_scored: int, n_expected: int, declare: Any
) -> None:
    declare(group(*needs))
    metric = measured("3", 1)["metrics"]["own"]
    assert (metric["n_scored"], metric["n_expected"]) == (n_scored, n_expected)


def test_a_metric_is_of_its_tiers_only_and_what_needs_a_kind_of_question_asks_for_one(
    declare: Any,
) -> None:
    declare(group(name="second", tiers=("2",)), group(Need.out_of_scope, name="refused"))
    assert "second" in measured("2", 1)["metrics"]
    assert "refused" not in measured("2", 1)["metrics"]
    assert "second" not in measured("3", 1)["metrics"]
    assert measured("3", 1)["metrics"]["refused"]["n_expected"] == 3


def test_a_metric_of_repeats_is_there_with_repeats_only(declare: Any) -> None:
    names = entries(("n_there",), ("2",), "mean", None, None, "answers", needs=(Need.repeats,))

    def compute(repeats: Repeats) -> dict[str, float | None]:
        return {"n_there": float(len([a for a in repeats.answers if a]))}

    declare(RepeatMetrics(names, compute))
    assert measured("2", 3)["metrics"]["n_there"]["n_expected"] == 11
    assert "n_there" not in measured("2", 1)["metrics"]
    without = entries(("n_there",), ("2",), "mean", None, None, "answers")
    with pytest.raises(ValueError, match="n_there"):
        RepeatMetrics(without, compute)


def test_a_metric_that_was_added_or_changed_is_counted_anew(declare: Any) -> None:
    declare(group(tiers=("3",)), group(name="counted before", version=None))
    assert added_inputs("2") == ()
    assert added_inputs("3") == ({"metrics": {"own": "1"}},)
    declare(group(name="other", version="2"))
    assert added_inputs("2") == ({"metrics": {"other": "2"}},)


def test_a_function_that_fails_ends_the_step_and_is_named(declare: Any) -> None:
    def broken(cases: Sequence[AnswerCase]) -> list[dict[str, float | None]]:
        raise ZeroDivisionError("by zero")

    declare(AnswerMetrics(entries(("own",), ("2",), "mean", None, True, "?"), broken))
    with pytest.raises(RagBenchError, match="own cannot be computed: ZeroDivisionError"):
        measured("2", 1)
    declare(AnswerMetrics(entries(("short",), ("3",), "mean", None, True, "?"), lambda cases: []))
    with pytest.raises(RagBenchError, match="short: 0 results for 14 answers"):
        measured("3", 1)
