"""The mark of a judge that nobody's labels say anything of: alike wherever scores are shown."""

from __future__ import annotations

from datetime import UTC, datetime

from dashboard_pages import shown
from labelled_world import JUDGE_KEY, METRIC, MODELS, SETTINGS, LabelledWorld, labelled_world
from measured import store
from sqlalchemy import Engine

from rag_bench.dashboard.address import View
from rag_bench.dashboard.context import Context, Kept, Viewer
from rag_bench.dashboard.tabs.common import is_checked
from rag_bench.dashboard.words import Words
from rag_bench.reporting import report
from rag_bench.reporting.compared.comparing import Terms, compare
from rag_bench.reporting.compared.gate import gate, gate_sides
from rag_bench.reporting.compared.policy import DEFAULT_RULES
from rag_bench.reporting.compared.several import of_several
from rag_bench.reporting.compared.text import lines
from rag_bench.reporting.leaderboard import Leaderboard, build
from rag_bench.settings import Settings
from rag_bench.store.evaluations.comparing import find_evaluation
from rag_bench.store.labels.checked import (
    EXAMINED,
    NEVER_CHECKED,
    Scored,
    checked_pairs,
    is_judged,
    mark_by_metric,
    mark_of,
    never_checked,
    never_checked_by,
)
from rag_bench.store.labels.draws import draw
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.labelling import label_case
from rag_bench.tiers.judges.judge_sample import RUBRICS

FIRST, SECOND = list(MODELS)[:2]
MARK = f"Never checked against people: {JUDGE_KEY} by {METRIC}."


def _label_one(world: LabelledWorld, value: float | None = 4, **more: str) -> None:
    with world.engine.begin() as connection:
        guideline = keep_guideline(connection, METRIC, "Solved?")
    made = draw(world.engine, world.answers[FIRST], METRIC, guideline, size=5, **more)
    with world.engine.begin() as connection:
        label_case(connection, made, made.cases[0], value, "ann")


def _said(world: LabelledWorld) -> list[str]:
    a, b = (str(world.scores[model]) for model in (FIRST, SECOND))
    compared = compare(world.engine, a, b, Terms(metrics=[METRIC]))
    told = "\n".join(lines(compared.as_json()))
    assert (MARK in told) == bool(compared.never_checked)
    held = gate(world.engine, a, b, DEFAULT_RULES)
    assert any(MARK in line for line in held.lines()) == bool(compared.never_checked)
    return list(compared.never_checked)


def test_comparison_and_gate_mark_the_judge_until_a_person_labels(engine: Engine) -> None:
    world = labelled_world(engine, 40, [FIRST, SECOND])
    assert _said(world) == [JUDGE_KEY]
    _label_one(world)
    assert _said(world) == []


def test_what_checks_no_judge_takes_no_mark_away(engine: Engine) -> None:
    world = labelled_world(engine, 40, [FIRST, SECOND])
    _label_one(world, None)  # could not tell
    assert never_checked(engine, [JUDGE_KEY]) == [JUDGE_KEY]
    _label_one(world, purpose="tune")
    assert never_checked(engine, [JUDGE_KEY]) == [JUDGE_KEY]


def test_a_label_of_one_metric_says_nothing_of_another(engine: Engine) -> None:
    world = labelled_world(engine, 40, [FIRST, SECOND])
    other = "rubric_faithfulness"
    both = [Scored(JUDGE_KEY, METRIC), Scored(JUDGE_KEY, other), Scored(JUDGE_KEY, "rougeL_f")]
    assert never_checked_by(engine, both) == both[:2], "what no judge scores carries no mark"
    _label_one(world)
    assert {one.judge for one in checked_pairs(engine)} == {JUDGE_KEY}
    assert never_checked_by(engine, both) == [Scored(JUDGE_KEY, other)]
    assert mark_by_metric(both[:2]).startswith(
        f"Never checked against people: {JUDGE_KEY} by {METRIC}, {other}."
    )


def test_the_dashboard_marks_by_the_metrics_that_it_shows(engine: Engine) -> None:
    world = labelled_world(engine, 40, [FIRST, SECOND])

    def checked(*metrics: str) -> bool:
        context = Context(engine, Settings(), View(), Words("en"), Viewer(), Kept())
        return is_checked(context, JUDGE_KEY, *metrics)

    def marked() -> bool:
        return Words("en")("unchecked_title") in shown(engine, "?tab=models").html

    assert not checked(METRIC)
    assert checked("rougeL_f"), "what no judge scores carries no mark"
    assert marked()
    _label_one(world)
    assert checked(METRIC)
    assert not checked(METRIC, "rubric_faithfulness")
    assert not marked()


def markdown_of(board: Leaderboard) -> str:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return report.render("report.md.j2", report.content(board, {}, "encoder", at), board)


def test_the_leaderboard_marks_by_the_measure_that_orders_the_models(engine: Engine) -> None:
    world = labelled_world(engine, 40, [FIRST, SECOND])
    board = build(engine, SETTINGS)
    assert (board.never_checked, board.lead_never_checked) == ([JUDGE_KEY], [JUDGE_KEY])
    # Tier judge says something of the judge, but by other rubrics.
    store(
        engine,
        "judge",
        "scores",
        {},
        judge=JUDGE_KEY,
        inputs={"checked_against_people": True},
        n_scored=1,
    )
    board = build(engine, SETTINGS)
    assert (board.never_checked, board.lead_never_checked) == ([], [JUDGE_KEY])
    assert "(never checked against people)" in markdown_of(board)
    _label_one(world)
    board = build(engine, SETTINGS)
    assert board.lead_never_checked == []
    assert "(never checked against people)" not in markdown_of(board)


def test_ragas_metrics_of_runs_are_those_of_labels() -> None:
    assert Scored("j", "faithfulness").of_labels == Scored("j", "ragas_faithfulness")
    assert Scored("j", "rubric_faithfulness").of_labels.metric == "rubric_faithfulness"


def test_tier_judge_checks_the_rubrics_that_it_examines() -> None:
    assert tuple(f"rubric_{name}" for name in RUBRICS) == EXAMINED


def test_the_mark_is_there_where_the_judge_stands_in_the_metrics_name(engine: Engine) -> None:
    world = labelled_world(engine, 40, [FIRST, SECOND])
    sides = []
    for model in (FIRST, SECOND):
        with engine.connect() as connection:
            one = find_evaluation(connection, world.scores[model])
        assert one is not None
        side = of_several(engine, "model", model, [one])
        assert side is not None
        sides.append(side)
    found = gate_sides(engine, *sides, DEFAULT_RULES)
    [one_metric] = found.as_json()["metrics"]
    assert one_metric["metric"].endswith(f" by {JUDGE_KEY}")
    assert one_metric["never_checked_against_people"] == [JUDGE_KEY]
    assert any(MARK in line for line in found.lines())
    _label_one(world)
    [one_metric] = gate_sides(engine, *sides, DEFAULT_RULES).as_json()["metrics"]
    assert one_metric["never_checked_against_people"] == []


def test_only_judges_scores_carry_it() -> None:
    assert is_judged("rubric_e2e_quality")
    assert is_judged("ragas_faithfulness")
    assert is_judged("context_recall"), "a run calls RAGAS' so"
    assert not is_judged("semantic_similarity")
    assert mark_of([]) == ""
    assert mark_of(["a", "b"]).startswith(f"{NEVER_CHECKED.capitalize()}: a, b.")
