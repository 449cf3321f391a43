"""Runs and evaluations against each other, over the real database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from compared_runs import Scored, a_scored_run, pages
from measured import metric, store
from sqlalchemy import Engine

from rag_bench.evaluation.types import Metric
from rag_bench.reporting.compared.baseline import compare_with_baseline
from rag_bench.reporting.compared.comparing import (
    ContradictionError,
    Terms,
    UnknownMetricError,
    compare,
)
from rag_bench.reporting.compared.gate import gate
from rag_bench.reporting.compared.policy import policy_of
from rag_bench.reporting.compared.sides import NothingToCompareError
from rag_bench.reporting.compared.text import whole
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations import Case

A, B = "0199aaaa0000000000000000000000aa", "0199bbbb0000000000000000000000bb"
FAITHFUL, ASKED_AGAIN = "ragas_faithfulness", "asked_again_rate"
INVALID = "n_invalid_citations"


def dropped(cases: Sequence[Scored], metric: str, by: float, every: int) -> list[Scored]:
    """Return the cases with a metric changed in every so many of them."""
    return [
        replace(case, scores={**(case.scores or {}), metric: (case.scores or {})[metric] + by})
        if n % every == 0
        else case
        for n, case in enumerate(cases)
    ]


def test_a_planted_regression_is_found_and_an_equal_pair_is_none(engine: Engine) -> None:
    cases = pages(80, 3, {FAITHFUL: [0.9, 0.7, 0.8, 1.0], "rougeL_f": [0.5, 0.6]})
    a_scored_run(engine, A, cases)
    a_scored_run(engine, B, list(reversed(dropped(cases, FAITHFUL, -0.5, 6))))
    found = compare(engine, A, B[:8])
    assert found.verdict == "got worse"
    assert (found.n_pairs, found.n_pages, found.paired_by) == (240, 80, "case id and question")
    by_name = {one.name: one for one in found.metrics}
    assert by_name.keys() == {"rougeL_f", FAITHFUL}
    assert by_name[FAITHFUL].decision.word == "got worse"
    assert by_name[FAITHFUL].comparison.difference.value == pytest.approx(-0.5 / 6)
    assert by_name["rougeL_f"].decision.word == "no worse than the margin"
    assert {(one.metric, one.a - one.b) for one in found.worse} == {(FAITHFUL, 0.5)}
    assert (len(found.worse), len(found.better), found.n_tests) == (40, 0, 2)
    same = compare(engine, A, A)
    assert (same.verdict, same.worse, same.inputs) == ("no worse than the margin", [], [])
    # The other way round it is better, which passes.
    turned = compare(engine, B, A, Terms(metrics=[FAITHFUL]))
    assert (turned.verdict, turned.metrics[0].decision.better) == ("no worse than the margin", True)
    assert json.loads(json.dumps(found.as_json())) == compare(engine, A, B).as_json()


def test_pages_are_the_evidence_not_questions(engine: Engine) -> None:
    """A drop on all questions of two pages of eight: as many cases, and it cannot be told."""
    cases = pages(8, 30, {FAITHFUL: [0.9, 0.8]})
    a_scored_run(engine, A, cases)
    worse = [
        replace(case, scores={FAITHFUL: 0.5}) if case.page in ("chunk 1", "chunk 5") else case
        for case in cases
    ]
    a_scored_run(engine, B, worse)
    found = compare(engine, A, B)
    assert (found.verdict, found.n_pages) == ("cannot tell", 8)
    [one] = found.metrics
    assert one.decision.needed is not None
    assert one.decision.needed.pages > 8
    assert one.decision.needed.questions == 30 * one.decision.needed.pages
    assert "of 8" not in whole(found.as_json())
    assert f"of {one.decision.needed.pages:,} pages would decide" in whole(found.as_json())
    # The same as cases whose page nobody knows: each its own evidence.
    a_scored_run(engine, "0199cc", [replace(case, page=None) for case in cases])
    a_scored_run(engine, "0199dd", [replace(case, page=None) for case in worse])
    loose = compare(engine, "0199cc", "0199dd")
    assert (loose.verdict, loose.pages_known) == ("got worse", 0)


def test_where_less_is_better_more_is_worse(engine: Engine) -> None:
    cases = pages(100, 1, {ASKED_AGAIN: [0.0], "n_citations": [2.0], "own": [1.0, 2.0]})
    a_scored_run(engine, A, cases)
    changed = dropped(dropped(cases, ASKED_AGAIN, 1.0, 4), "own", 0.5, 2)
    a_scored_run(engine, B, dropped(changed, "n_citations", -1.0, 2))
    found = {one.name: one for one in compare(engine, A, B).metrics}
    assert found[ASKED_AGAIN].decision.word == "got worse"
    # Neither direction is better, or nobody said which: no word, and no part in the family.
    for name in ("n_citations", "own"):
        assert found[name].decision.reason == "it is not known which direction is better"
        assert found[name].p_adjusted is None
    told = compare(engine, A, B, Terms(metrics=["own"], lower=["own"]))
    assert told.verdict == "got worse"
    assert [one.worse for one in told.worse] == [True] * 50
    with pytest.raises(UnknownMetricError, match="no_such"):
        compare(engine, A, B, Terms(metrics=["no_such"]))


def test_terms_that_contradict_themselves_or_name_nothing_are_refused(engine: Engine) -> None:
    cases = pages(20, 1, {"own": [1.0, 2.0]})
    a_scored_run(engine, A, cases)
    with pytest.raises(ContradictionError, match="'own'"):
        compare(engine, A, A, Terms(higher=["own"], lower=["own"]))
    for slip in (Terms(margins={"owm": 0.3}), Terms(higher=["owm"]), Terms(lower=["owm"])):
        with pytest.raises(UnknownMetricError, match="'owm'"):
            compare(engine, A, A, slip)


def test_grades_that_are_all_1_are_no_yes_and_no(engine: Engine) -> None:
    """On 60 pages that agree up to a sixteenth may not, by the whole scale of four, not of one."""
    a_scored_run(engine, A, pages(60, 1, {"rubric_e2e_quality": [1.0]}))
    a_scored_run(engine, B, pages(60, 1, {"rubric_e2e_quality": [2.0]}))
    for run in (A, B):
        [one] = compare(engine, run, run).metrics
        assert one.decision.word == "cannot tell"
        assert one.decision.needed is not None
        assert one.decision.needed.pages == 72
        difference = one.comparison.difference
        assert difference.ci_high == pytest.approx(4 * (1 - 0.025 ** (1 / 60)))


@pytest.mark.parametrize("scales", [((0.0, 1.0), (0.0, 100.0)), ((0.0, 1.0), None)])
def test_scores_that_are_not_on_one_scale_are_not_subtracted(
    engine: Engine, scales: tuple[tuple[float, float], tuple[float, float] | None]
) -> None:
    """A metric of somebody's own that gave shares, and now gives per cent."""
    data = save_dataset(engine, "gold", "manual", [Item(f"i{n}", f"Вопрос {n}?") for n in range(9)])
    ids = []
    for scale, unit in zip(scales, (1, 100), strict=True):
        made = store(
            engine,
            "3",
            "answers",
            {"own": Metric(0.5 * unit, 9, 9, scale=scale).to_json()},
            generation="alpha/g1",
            dataset_id=data.id,
            cases=[Case(f"i{n}", scores={"own": (0.4 + n / 50) * unit}) for n in range(9)],
        )
        ids.append(str(made.id))
    rules = policy_of({"critical": {"own": "default"}, "gate": {"higher": ["own"]}})
    for a, b in (ids, reversed(ids)):
        found = compare(engine, a, b, Terms(higher=["own"]))
        [one] = found.metrics
        assert (found.verdict, one.decision.reason) == (
            "cannot tell",
            "its scores are not on one scale",
        )
        assert (one.comparison.difference.value, found.worse, found.better) == (None, [], [])
        json.dumps(found.as_json(), allow_nan=False)
        held = gate(engine, a, b, rules)
        assert held.outcome == "held"
        assert held.metrics[0].reason == "cannot tell: its scores are not on one scale"


def test_a_count_without_a_margin_stops_no_release_unless_it_got_worse(engine: Engine) -> None:
    cases = pages(100, 1, {"rougeL_f": [0.5], INVALID: [0.0]})
    a_scored_run(engine, A, cases)
    a_scored_run(engine, B, dropped(cases, INVALID, 2.0, 3))
    same = compare(engine, A, A)
    assert {one.name: one.decision.word for one in same.metrics} == {
        "rougeL_f": "no worse than the margin",
        INVALID: "cannot tell",
    }
    assert same.verdict == "no worse than the margin"
    assert compare(engine, A, B).verdict == "got worse"
    # Alone it decides nothing: that is not that nothing is lost.
    assert compare(engine, A, A, Terms(metrics=[INVALID])).verdict == "cannot tell"


def test_cases_of_one_side_are_listed_with_the_reason(engine: Engine) -> None:
    both = pages(6, 1, {FAITHFUL: [0.5], "rougeL_f": [0.5]})
    errored = replace(both[1], scores=None)
    unscored = replace(both[2], scores={"rougeL_f": 0.5, FAITHFUL: None})
    waiting = replace(both[3], scores=None, waiting=True)
    other = Scored("Другой?", {FAITHFUL: 0.1}, case_id="q4")
    a_scored_run(engine, A, both)
    b_cases = [both[0], errored, unscored, waiting, other]
    a_scored_run(engine, B, b_cases, status="running")
    found = compare(engine, A, B, Terms(metrics=[FAITHFUL]))
    told = [(one.side, one.case.asked.case_id, one.reason, one.metric) for one in found.alone]
    assert told == [
        ("a", "q4", "another question under this id in the other", None),
        ("a", "q5", "not in the other", None),
        ("b", "q4", "another question under this id in the other", None),
        ("a", "q1", "errored there", FAITHFUL),
        ("a", "q2", "not scored for this metric", FAITHFUL),
        ("a", "q3", "not there yet", FAITHFUL),
    ]
    # Never the zeros that the reply's own fields have.
    assert (found.metrics[0].a, found.metrics[0].b, found.n_pairs) == (0.5, 0.5, 4)
    page = found.as_json(limit=2, offset=2)
    assert (page["n_unpaired"], len(page["unpaired"]), page["next_offset"]) == (6, 2, 4)
    assert page["cases_only_in_a"] == {
        "another question under this id in the other": 1,
        "not in the other": 1,
    }


def test_what_differs_in_the_inputs_is_named(engine: Engine) -> None:
    data = save_dataset(
        engine,
        "gold",
        "manual",
        [Item(f"i{n}", f"Вопрос {n}?", "да", page_urls=(f"p{n // 2}",)) for n in range(40)],
    )
    ids = []
    for judge, low, code in (("beta/j1", 4, "1-aa"), ("beta/j2", 2, "1-bb")):
        cases = [
            Case(f"i{n}", repeat, scores={"rubric_e2e_quality": low + repeat, "reasoning": "ok"})
            for n in range(40)
            for repeat in range(2)
        ]
        made = store(
            engine,
            "3",
            "scores",
            {"rubric_e2e_quality": metric(float(low))},
            generation="alpha/g1",
            judge=judge,
            dataset_id=data.id,
            cases=cases,
            settings=code,
            inputs={"ragas_language": judge},
        )
        ids.append(str(made.id))
    found = compare(engine, ids[0], f"evaluation:{ids[1]}")
    assert found.verdict == "cannot tell"  # two judges, and no bridge
    assert "rag-bench judge-bridge beta/j1 beta/j2" in str(found.metrics[0].decision.reason)
    assert (found.n_pairs, found.n_pages) == (40, 20)  # repeats are one case
    assert (found.metrics[0].a, found.metrics[0].b) == (4.5, 2.5)
    named = {one.name: (one.a, one.b) for one in found.inputs}
    assert named["judge_model"] == ("beta/j1", "beta/j2")
    assert named["ragas_language"] == ("beta/j1", "beta/j2")
    assert "generation_model" not in named
    assert "Differs: benchmark judge: beta/j1 → beta/j2" in whole(found.as_json())
    # A run of the service with the same questions is paired with it by their texts.
    run = [Scored(f"вопрос {n}?", {"rubric_e2e_quality": 4.5}, reference="Да") for n in range(40)]
    a_scored_run(engine, A, run)
    mixed = compare(engine, ids[0], A)
    assert (mixed.n_pairs, mixed.n_pages, mixed.verdict) == (40, 20, "cannot tell")


def test_models_are_compared_by_all_that_was_measured_of_them(engine: Engine) -> None:
    data = save_dataset(
        engine, "gold", "manual", [Item(f"i{n}", f"Вопрос {n}?", "да") for n in range(80)]
    )
    under = {"dataset_id": data.id, "settings": "abcdef0123456789"}
    for model, quality in (("alpha/g1:8b", 5), ("alpha/g2@1", 3)):
        answers = [Case(f"i{n}", scores={"rougeL_f": 0.5}) for n in range(80)]
        answers[7] = Case("i7", error_code="LLM_FAILED")
        metrics = {"rougeL_f": metric(0.5)}
        store(engine, "3", "answers", metrics, generation=model, cases=answers, **under)
        for judge in ("beta/j1", "beta/j2"):
            scored = [Case(f"i{n}", scores={"rubric_e2e_quality": quality}) for n in range(80)]
            metrics = {"rubric_e2e_quality": metric(float(quality))}
            names = {"generation": model, "judge": judge}
            store(engine, "3", "scores", metrics, cases=scored, **names, **under)
    found = compare(engine, "alpha/g1:8b", "alpha/g2@1")
    assert (found.a.id, found.b.id) == ("alpha/g1:8b@abcdef012345", "alpha/g2@1@abcdef012345")
    assert {one.name: one.decision.word for one in found.metrics} == {
        "3.rougeL_f": "no worse than the margin",
        "3.rubric_e2e_quality by beta/j1": "got worse",
        "3.rubric_e2e_quality by beta/j2": "got worse",
    }
    assert [one.name for one in found.inputs] == ["generation_model"]
    scored = {one.name: one.comparison.difference.n_scored for one in found.metrics}
    assert (scored["3.rougeL_f"], scored["3.rubric_e2e_quality by beta/j1"]) == (79, 80)
    turned = compare(engine, "model:alpha/g2@1", "alpha/g1:8b@abcd")
    assert turned.verdict == "no worse than the margin"
    with pytest.raises(NothingToCompareError, match="no model 'alpha/g1:8b@0000'"):
        compare(engine, "model:alpha/g1:8b@0000", "alpha/g2@1")


def test_data_sets_that_number_their_cases_alike_are_kept_apart(engine: Engine) -> None:
    """Questions 0 to 39 of forty pages, and pairs of show and hide 0 to 39 of two pages."""
    sets = {
        name: save_dataset(
            engine,
            name,
            kind,
            [
                Item(f"{n}", f"{name} {n}?", "да", page_urls=(f"{name} {n % of}",))
                for n in range(40)
            ],
        )
        for name, kind, of in (("gold", "manual", 40), ("pairs", "pairs", 2))
    }
    for settings in ("aaaa1111", "bbbb2222"):
        for tier, kind, data, own in (
            ("3", "answers", "gold", {"generation": "alpha/g1"}),
            ("judge_pipeline", "scores", "pairs", {"gate": "gamma/p1"}),
        ):
            cases = [Case(f"{n}", scores={"own": float(n % 3 == 0)}) for n in range(40)]
            store(
                engine,
                tier,
                kind,  # type: ignore[arg-type]
                {"own": metric(0.3)},
                dataset_id=sets[data].id,
                settings=settings,
                cases=cases,
                **own,  # type: ignore[arg-type]
            )
    found = compare(engine, "settings:aaaa1111", "settings:bbbb2222")
    assert (found.n_pairs, found.alone) == (80, [])
    pages_of = {one.name: one.comparison.n_clusters for one in found.metrics}
    assert pages_of == {"3.own of alpha/g1": 40, "judge_pipeline.own by gamma/p1": 2}


def test_a_run_is_held_against_the_baseline_that_it_names(engine: Engine) -> None:
    cases = pages(60, 2, {FAITHFUL: [0.9, 0.8, 0.7]})
    a_scored_run(engine, A, cases)
    a_scored_run(engine, B, dropped(cases, FAITHFUL, -0.4, 5), baseline=A)
    found = compare_with_baseline(engine, B)
    assert found is not None
    assert found.regression
    assert found.worse == {position: [FAITHFUL] for position in range(0, 120, 5)}
    assert found.comparison["baseline"] == A
    assert found.comparison["metrics"][0]["verdict"] == "got worse"
    json.dumps(found.comparison)
    # A case that lost is flagged; one case proves nothing of the run.
    single = [replace(cases[0], scores={FAITHFUL: 0.1}), *cases[1:]]
    a_scored_run(engine, "0199ee", single, baseline=A)
    found = compare_with_baseline(engine, "0199ee")
    assert found is not None
    assert (found.regression, found.worse) == (False, {0: [FAITHFUL]})
    assert compare_with_baseline(engine, A) is None
    a_scored_run(engine, "0199ff", cases, baseline="0199never")
    gone = compare_with_baseline(engine, "0199ff")
    assert gone is not None
    assert not gone.regression
    assert (
        gone.comparison["error"]
        == "There is no run, no evaluation and no measured model '0199never'."
    )


@pytest.mark.parametrize(
    "wanted", ["", "99", "9" * 19, "run:", "xx:1", "a\x00b", "0199", "run:0199", "evaluation:0199"]
)
def test_what_is_not_there_or_not_one_is_refused(engine: Engine, wanted: str) -> None:
    a_scored_run(engine, A, [])
    a_scored_run(engine, B, [])
    with pytest.raises(NothingToCompareError) as refused:
        compare(engine, A, wanted)
    assert refused.value.side == "b"
