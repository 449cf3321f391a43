"""The mark of a judge that nobody's labels say anything of: alike wherever scores are shown."""

from __future__ import annotations

from labelled_world import JUDGE_KEY, METRIC, MODELS, LabelledWorld, labelled_world
from sqlalchemy import Engine

from rag_bench.reporting.compared.comparing import Terms, compare
from rag_bench.reporting.compared.gate import gate
from rag_bench.reporting.compared.policy import DEFAULT_RULES
from rag_bench.reporting.compared.text import lines
from rag_bench.store.labels.checked import NEVER_CHECKED, is_judged, mark_of, never_checked
from rag_bench.store.labels.draws import draw
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.labelling import label_case

FIRST, SECOND = list(MODELS)[:2]
MARK = f"Never checked against people: {JUDGE_KEY}."


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


def test_only_judges_scores_carry_it() -> None:
    assert is_judged("rubric_e2e_quality")
    assert is_judged("ragas_faithfulness")
    assert is_judged("context_recall"), "a run calls RAGAS' so"
    assert not is_judged("semantic_similarity")
    assert mark_of([]) == ""
    assert mark_of(["a", "b"]).startswith(f"{NEVER_CHECKED.capitalize()}: a, b.")
