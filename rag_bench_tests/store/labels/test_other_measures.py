"""Labels of RAGAS' scores, of production judges' verdicts, and of a run of the service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from rag_bench.errors import RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.llm.prompt_texts import MEASURED_PROMPTS
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.eval_runs.tables import eval_run, eval_run_evaluation
from rag_bench.store.evaluations import Case, NewEvaluation, save_evaluation
from rag_bench.store.labels.calibrating import calibrations
from rag_bench.store.labels.checked import checked_pairs, never_checked
from rag_bench.store.labels.draws import (
    Draw,
    DrawError,
    draw,
    draw_of_all,
    evaluations_named,
    labelable,
)
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.judged import corrections, corrections_of_run, labelled
from rag_bench.store.labels.kept_calibrations import keep, of_judge, stale
from rag_bench.store.labels.labelling import case_to_label, label_case
from rag_bench.store.labels.labels import LabelError, NewLabel, add_labels
from rag_bench.store.labels.planning import plan
from rag_bench.store.releases.prompt_texts import keep_texts

JUDGE, GATES = "house/judge", ("house/gate", "house/other-gate")
MODEL = "house/model"
SETTINGS = content_hash("other measures")
N = 40


def _items(n: int = N, first: int = 0) -> list[Item]:
    return [
        Item(
            f"q{number:03}",
            f"Вопрос {number}?",
            f"Эталон {number}.",
            page_urls=(f"https://help.example/{number // 2}",),
            details={"answer": f"Ответ {number}", "context": ["чанк пары"]},
        )
        for number in range(first, first + n)
    ]


def _save(
    engine: Engine, dataset: str, cases: list[Case], kind: str, tier: str = "3", **more: Any
) -> int:
    settings = more.pop("settings", {"prompt_hash": "prompts", "judge_eval_mode": "direct"})
    new = NewEvaluation(
        tier=tier,
        kind=kind,  # type: ignore[arg-type]
        settings_hash=more.pop("settings_hash", SETTINGS),
        settings=settings,
        input_hash=content_hash([dataset, kind, tier, str(more)]),
        started_at=datetime.now(UTC),
        dataset_id=dataset,
        **more,
    )
    return save_evaluation(engine, new, cases, n_scored=len(cases)).id


def _answers(engine: Engine, items: list[Item], dataset: str, name: str = "a") -> int:
    retrieved = [{"text": "чанк клиента"}]
    cases = [
        Case(item.item_id, answer=str(item.details["answer"]), retrieved=retrieved)
        for item in items
    ]
    inputs = {"answers_hash": f"answers {name}"}
    return _save(engine, dataset, cases, "answers", generation_model=MODEL, inputs=inputs)


def _drawn(engine: Engine, evaluation: int, metric: str, size: int = N) -> Draw:
    with engine.begin() as connection:
        guideline = keep_guideline(connection, metric, "Как проверять.")
    return draw(engine, evaluation, metric, guideline, size=size)


def _label(engine: Engine, made: Draw, value: float, cases: int | None = None) -> None:
    with engine.begin() as connection:
        for case in made.cases[:cases]:
            label_case(connection, made, case, value, "ann")


@pytest.fixture
def dataset(engine: Engine) -> str:
    return save_dataset(engine, "gold", "manual", _items()).id


def test_a_score_of_ragas_is_labelled_calibrated_and_corrected(
    engine: Engine, dataset: str
) -> None:
    answers = _answers(engine, _items(), dataset)
    cases = [Case(item.item_id, scores={"ragas_faithfulness": 0.9}) for item in _items()]
    _save(
        engine,
        dataset,
        cases,
        "ragas",
        generation_model=MODEL,
        benchmark_judge_model=JUDGE,
        inputs={"answers_hash": "answers a", "answers_evaluation": answers},
    )
    assert never_checked(engine, [JUDGE]) == [JUDGE]
    made = _drawn(engine, answers, "ragas_faithfulness")
    shown = case_to_label(engine, made, made.cases[0])
    assert shown.answer.startswith("Ответ")
    assert list(shown.contexts) == ["чанк клиента"], "what a client brought has no hash"
    assert shown.reference == ""
    _label(engine, made, 0.25)
    with pytest.raises(LabelError, match=r"one of 0, 0.25, 0.5, 0.75, 1"):
        _label(engine, made, 4, 1)
    assert {one.judge for one in checked_pairs(engine)} == {JUDGE}
    [found] = calibrations(engine, "ragas_faithfulness")
    assert (found.judge, found.n_labels) == (JUDGE, N)
    assert found.metrics["specificity"].value == 0.0, "all are bad, the judge says good"
    assert found.metrics["severity"].value == pytest.approx(0.65)
    one = corrections(engine, SETTINGS, "3", "ragas_faithfulness").found[MODEL, JUDGE]
    assert one.mean is not None
    assert one.mean.value == pytest.approx(0.25, abs=0.03)
    [planned] = plan(engine, answers, "ragas_faithfulness", 10, 0.2)
    assert planned.n_missing == 0
    assert planned.n_wanted is not None


def test_contexts_are_labelled_without_the_answer_and_check_every_model(
    engine: Engine, dataset: str
) -> None:
    answers = _answers(engine, _items(), dataset)
    _answers(engine, _items(), dataset, "b")
    cases = [Case(item.item_id, scores={"ragas_context_recall": 1.0}) for item in _items()]
    inputs = {"contexts_hash": "contexts"}
    _save(engine, dataset, cases, "ragas", benchmark_judge_model=JUDGE, inputs=inputs)
    made = _drawn(engine, answers, "ragas_context_recall")
    shown = case_to_label(engine, made, made.cases[0])
    assert shown.answer == ""
    assert shown.reference.startswith("Эталон")
    _label(engine, made, 1.0)
    [found] = calibrations(engine, "ragas_context_recall")
    assert found.n_labels == N
    board = corrections(engine, SETTINGS, "3", "ragas_context_recall").found
    assert list(board) == [("retrieval", JUDGE)]
    assert {one.judge for one in checked_pairs(engine)} == {JUDGE}


def test_contexts_that_answers_brought_are_scored_in_a_tier_of_their_own(
    engine: Engine, dataset: str
) -> None:
    answers = _answers(engine, _items(), dataset)
    cases = [Case(item.item_id, scores={"ragas_context_precision": 0.5}) for item in _items()]
    _save(
        engine,
        dataset,
        cases,
        "ragas",
        tier="eval",
        generation_model=MODEL,
        benchmark_judge_model=JUDGE,
        inputs={"own_contexts_hash": "answers a"},
    )
    _label(engine, _drawn(engine, answers, "ragas_context_precision"), 0.5)
    [found] = calibrations(engine, "ragas_context_precision")
    assert (found.judge, found.n_labels) == (JUDGE, N)
    assert {one.judge for one in checked_pairs(engine)} == {JUDGE}


def test_a_label_of_a_pair_checks_every_production_judge(engine: Engine, dataset: str) -> None:
    ids = {}
    for place, gate in enumerate(GATES):
        cases = [
            Case(
                item.item_id,
                answer=str(item.details["answer"]),
                scores={"predicted_show": place == 0 or number % 2 == 0},
            )
            for number, item in enumerate(_items())
        ]
        ids[gate] = _save(
            engine, dataset, cases, "scores", "judge_pipeline", production_judge_model=gate
        )
    made = _drawn(engine, ids[GATES[0]], "predicted_show")
    assert list(case_to_label(engine, made, made.cases[0]).contexts) == ["чанк пары"]
    _label(engine, made, 1.0)
    by_gate = {one.judge: one for one in calibrations(engine, "predicted_show")}
    assert by_gate[GATES[0]].metrics["sensitivity"].value == 1.0
    assert by_gate[GATES[1]].metrics["sensitivity"].value == 0.5
    kept = keep(engine, by_gate[GATES[1]])
    assert kept.production_judge_model == GATES[1]
    assert [one.judge for one in stale(engine, GATES)] == [GATES[0]]
    [planned] = plan(engine, ids[GATES[1]], "predicted_show", 50)
    assert planned.correction is None
    with pytest.raises(RagBenchError, match="nothing of it is corrected"):
        corrections(engine, SETTINGS, "judge_pipeline", "predicted_show")


def test_verdicts_and_answers_are_not_labelled_for_each_other(engine: Engine, dataset: str) -> None:
    answers = _answers(engine, _items(), dataset)
    with pytest.raises(DrawError, match="no verdicts of a production judge"):
        _drawn(engine, answers, "predicted_show")
    with engine.begin() as connection, pytest.raises(LabelError) as caught:
        add_labels(connection, [NewLabel(answers, "q001", "predicted_show", 1, "ann")])
    assert caught.value.column == "metric"


def _run(engine: Engine, run_id: str, parts: list[int]) -> None:
    row = dict.fromkeys(("trace_id", "user_id", "subject", "mode", "place"), "x")
    with engine.begin() as connection:
        values = {"id": run_id, "status": "succeeded", "n_cases": N, **row}
        connection.execute(insert(eval_run).values(values))
        for part, evaluation in enumerate(parts):
            link = {"run_id": run_id, "evaluation_id": evaluation, "part": part}
            connection.execute(insert(eval_run_evaluation).values(link))


def test_a_run_of_the_service_is_drawn_from_and_corrected_as_a_whole(engine: Engine) -> None:
    answers, linked = [], []
    for part in range(2):
        items = _items(N, first=part * N)
        dataset = save_dataset(engine, f"part {part}", "eval", items).id
        answers.append(_answers(engine, items, dataset, f"part {part}"))
        cases = [Case(item.item_id, scores={"rubric_e2e_quality": 5}) for item in items]
        linked.append(
            _save(
                engine,
                dataset,
                cases,
                "scores",
                generation_model=MODEL,
                benchmark_judge_model=JUDGE,
                inputs={"answers_hash": f"answers part {part}", "answers_evaluation": answers[-1]},
            )
        )
    _run(engine, "run-1", [*answers, *linked])
    assert evaluations_named(engine, "run-1", "rubric_e2e_quality") == answers
    with pytest.raises(DrawError, match="There is no run 'run-2'"):
        evaluations_named(engine, "run-2", "rubric_e2e_quality")
    with engine.begin() as connection:
        guideline = keep_guideline(connection, "rubric_e2e_quality", "Решено?")
    made = draw_of_all(
        engine,
        answers,
        "rubric_e2e_quality",
        guideline,
        size=50,
        annotators=["a", "b"],
        n_shared=20,
    )
    assert sum(one.size for one in made) == 50
    assert sum(one.n_shared for one in made) == 20
    assert {one.evaluation_id for one in made} == set(answers)
    # The same cases as one draw over all of them: the first by their random order.
    every = {case for one in answers for case in labelable(engine, one, "rubric_e2e_quality")}
    larger = draw_of_all(engine, answers, "rubric_e2e_quality", guideline, size=80)
    assert {case for one in larger for case in one.cases} == every
    assert {c for one in made for c in one.cases} < every
    for one in made:
        with engine.begin() as connection:
            for case in one.cases:
                label_case(connection, one, case, 3, "a" if case in one.cases_of("a") else "b")
    found = corrections_of_run(engine, "run-1", "rubric_e2e_quality").found[MODEL, JUDGE]
    assert (found.n_labels, found.raw_mean.n_scored) == (50, 80)
    assert found.method == "prediction_powered"
    assert found.mean is not None
    assert found.mean.value == pytest.approx(3, abs=0.1)
    [planned] = plan(engine, answers[0], "rubric_e2e_quality", 10)
    assert planned.n_labels == 50


def test_a_prompt_that_the_judge_does_not_read_makes_no_calibration_stale(
    engine: Engine, dataset: str
) -> None:
    texts = {name: f"prompt {name}" for name in MEASURED_PROMPTS}
    answers = _answers(engine, _items(), dataset)

    def scored(changed: str | None) -> None:
        mine = {**texts, changed: "another text"} if changed else texts
        hashed = content_hash(mine)
        keep_texts(engine, hashed, mine)
        cases = [Case(item.item_id, scores={"rubric_e2e_quality": 4}) for item in _items()]
        _save(
            engine,
            dataset,
            cases,
            "scores",
            generation_model=MODEL,
            benchmark_judge_model=JUDGE,
            inputs={"answers_hash": "answers a", "answers_evaluation": answers},
            settings={"prompt_hash": hashed, "judge_eval_mode": "direct"},
            settings_hash=content_hash(["settings", changed]),
        )

    scored(None)
    _label(engine, _drawn(engine, answers, "rubric_e2e_quality"), 4)
    [found] = of_judge(engine, JUDGE)
    keep(engine, found)
    assert stale(engine, [JUDGE]) == []
    for name in ("generation_answer", "production_judge", "rubric_faithfulness", "reply_reasoned"):
        scored(name)
        assert stale(engine, [JUDGE]) == [], name
    for name in ("rubric_e2e_quality", "reply_direct"):
        scored(name)
        [changed] = stale(engine, [JUDGE])
        assert list(changed.reasons) == ["the judge's prompts"], name


def test_the_same_label_without_a_time_is_stored_once(engine: Engine, dataset: str) -> None:
    answers = _answers(engine, _items(), dataset)
    one = NewLabel(answers, "q001", "rubric_e2e_quality", 4, "ann")
    other = NewLabel(answers, "q001", "rubric_e2e_quality", 2, "ann")
    for given, stored in (([one, one], 1), ([one], 0), ([other, one], 2), ([one], 0)):
        with engine.begin() as connection:
            assert add_labels(connection, given) == stored
    assert labelled(engine, "rubric_e2e_quality").n == 0, "nobody drew the case"
