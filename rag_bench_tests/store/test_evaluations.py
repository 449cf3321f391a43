"""Evaluations are appended, never changed; a finished one of the same inputs is found again."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from measured import dataset, metric, store, store_failed
from sqlalchemy import Engine, text

from rag_bench.errors import RagBenchError
from rag_bench.provenance import git_commit
from rag_bench.store.evaluations import (
    Case,
    MeasuredSettings,
    NewEvaluation,
    cases_of,
    different_instruments,
    find_finished,
    find_settings_hash,
    latest,
    latest_of_kind,
    newest_settings_hash,
    save_evaluation,
    settings_seen,
)

GOOD = Case(
    "в-1",
    repeat=0,
    answer="25-го числа [1]",
    retrieved=[{"chunk": "c1", "score": 0.9}],
    citations=[1],
    scores={"rubric_faithfulness": 5, "citation_recall": None},
    flags=("shown",),
)
UNREADABLE = Case("в-2", error_code="METRIC_ERROR", error_detail="the reply is no JSON")
LOST = Case("в-3", error_code="LLM_FAILED", error_detail="HTTP 503")


def rows(engine: Engine, query: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(query)).all())


def test_everything_that_names_an_evaluation_is_stored(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_RUN_AUTHOR", "Марина")
    made = dataset(engine)
    started = datetime(2026, 2, 1, 10, 0, tzinfo=UTC)
    saved = save_evaluation(
        engine,
        NewEvaluation(
            tier="3",
            kind="scores",
            settings_hash="s",
            settings={"limit": 10},
            input_hash="i",
            started_at=started,
            generation_model="a/g",
            benchmark_judge_model="b/j",
            embedding_model="e5",
            dataset_id=made.id,
            prompt_hash="p",
            code_version="1",
            dagster_run_id="run",
            trace_id="trace",
            inputs={"answers": 7},
            metrics={"rubric_e2e_quality": metric(4.0)},
            n_retryable=1,
        ),
        [GOOD, UNREADABLE, LOST],
        n_scored=1,
    )
    (row,) = rows(engine, "select * from rag_bench.evaluation")
    stored = dict(row._mapping)
    stored["inputs"] = dict(stored["inputs"])
    assert len(stored["inputs"].pop("outcome_hash")) == 64
    assert stored.pop("git_commit") == git_commit()
    assert stored.pop("started_at") == started
    assert stored.pop("finished_at") > started
    assert stored == {
        "id": saved.id,
        "tier": "3",
        "kind": "scores",
        "status": "partial",
        "generation_model": "a/g",
        "benchmark_judge_model": "b/j",
        "production_judge_model": None,
        "embedding_model": "e5",
        "dataset_id": made.id,
        "dump_sha256": None,
        "settings_hash": "s",
        "settings": {"limit": 10},
        "prompt_hash": "p",
        "code_version": "1",
        "dagster_run_id": "run",
        "trace_id": "trace",
        "user_id": "Марина",
        "input_hash": "i",
        "inputs": {"answers": 7, "n_retryable": 1, "flags": {"shown": 1}},
        "metrics": {"rubric_e2e_quality": metric(4.0)},
        "errors": {"METRIC_ERROR": 1, "LLM_FAILED": 1},
    }
    assert saved.n_errors == 2
    assert saved.needs_retry
    assert not saved.reused


def test_cases_come_back_by_id_and_repeat(engine: Engine) -> None:
    again = Case("в-1", repeat=1, answer="Не знаю.", flags=["hidden"])
    saved = store(engine, "3", "answers", {}, cases=[UNREADABLE, again, GOOD], n_scored=2)
    found = cases_of(engine, saved.id)
    assert [(case.case_id, case.repeat) for case in found] == [("в-1", 0), ("в-1", 1), ("в-2", 0)]
    assert found[0].answer == GOOD.answer
    assert found[0].retrieved == GOOD.retrieved
    assert found[0].citations == GOOD.citations
    assert found[0].scores == GOOD.scores
    assert list(found[0].flags) == ["shown"]
    assert found[2] == Case(
        "в-2", error_code="METRIC_ERROR", error_detail="the reply is no JSON", flags=[]
    )
    assert cases_of(engine, saved.id + 1) == []


@pytest.mark.parametrize(
    ("cases", "n_scored", "status"),
    [
        ([GOOD], 1, "succeeded"),
        ([GOOD, LOST], 1, "partial"),
        ([GOOD, UNREADABLE], 1, "partial"),
        ([UNREADABLE, LOST], 0, "failed"),
        ([], 0, "succeeded"),
    ],
)
def test_the_status_says_how_much_there_is(
    engine: Engine, cases: list[Case], n_scored: int, status: str
) -> None:
    assert store(engine, "2", "scores", {}, cases=cases, n_scored=n_scored).status == status


def test_a_second_evaluation_is_a_second_row(engine: Engine) -> None:
    first = store(engine, "1", "metrics", {"chunk_mrr": metric(0.5)}, input_hash="same")
    before = rows(engine, f"select * from rag_bench.evaluation where id = {first.id}")
    second = store(engine, "1", "metrics", {"chunk_mrr": metric(0.6)}, input_hash="same")
    assert second.id > first.id
    assert rows(engine, f"select * from rag_bench.evaluation where id = {first.id}") == before


def test_an_evaluation_is_written_whole_or_not_at_all(engine: Engine) -> None:
    with pytest.raises(Exception, match="evaluation_case_pkey"):
        store(engine, "2", "answers", {}, cases=[GOOD, GOOD])
    assert rows(engine, "select count(*) from rag_bench.evaluation") == [(0,)]


def test_a_finished_evaluation_of_the_same_inputs_is_found(engine: Engine) -> None:
    assert find_finished(engine, "i") is None
    store(engine, "2", "scores", {}, input_hash="other", cases=[GOOD])
    assert find_finished(engine, "i") is None
    first = store(engine, "2", "scores", {}, input_hash="i", cases=[GOOD])
    second = store(engine, "2", "scores", {}, input_hash="i", cases=[GOOD])
    found = find_finished(engine, "i")
    assert found
    assert found.id == second.id != first.id
    assert found.reused


def test_one_that_newer_ones_of_other_inputs_hide_is_made_again(engine: Engine) -> None:
    first = store(engine, "2", "scores", {}, input_hash="dump A", cases=[GOOD])
    store(engine, "2", "scores", {}, input_hash="dump B", cases=[GOOD])
    # What is published is the newest: B's, until A's is measured again.
    assert find_finished(engine, "dump A") is None
    again = store(engine, "2", "scores", {}, input_hash="dump A", cases=[GOOD])
    found = find_finished(engine, "dump A")
    assert found
    assert found.id == again.id != first.id


MEASURED = {"RAGAS": {("2", "ragas"), ("3", "ragas")}, "tier judge": {("judge", "scores")}}


def test_models_measured_with_another_instrument_are_named(engine: Engine) -> None:
    def ragas(judge: str, language: str) -> None:
        store(
            engine,
            "3",
            "ragas",
            {},
            judge=judge,
            inputs={"ragas_language": language, "ragas_version": "0.4.3"},
            cases=[GOOD],
        )

    ragas("b/one", "ru")
    ragas("b/two", "ru")
    [row] = rows(engine, "select distinct settings_hash from rag_bench.evaluation")
    assert different_instruments(engine, row.settings_hash, MEASURED) == {}
    ragas("b/two", "en")
    assert different_instruments(engine, row.settings_hash, MEASURED) == {"RAGAS": ["b/one"]}
    ragas("b/one", "en")
    assert different_instruments(engine, row.settings_hash, MEASURED) == {}


@pytest.mark.parametrize("retry_failed", [False, True])
def test_one_with_errors_that_another_run_may_not_meet_is_not_finished(
    engine: Engine, retry_failed: bool
) -> None:
    store(engine, "2", "scores", {}, input_hash="i", cases=[GOOD, LOST], n_scored=1, n_retryable=1)
    assert find_finished(engine, "i", retry_failed=retry_failed) is None


@pytest.mark.parametrize(("cases", "n_scored"), [([GOOD, UNREADABLE], 1), ([UNREADABLE], 0)])
def test_unreadable_replies_are_asked_again_only_on_demand(
    engine: Engine, cases: list[Case], n_scored: int
) -> None:
    stored = store(engine, "2", "scores", {}, input_hash="i", cases=cases, n_scored=n_scored)
    found = find_finished(engine, "i")
    assert found
    assert found.id == stored.id
    assert find_finished(engine, "i", retry_failed=True) is None
    whole = store(engine, "2", "scores", {}, input_hash="i", cases=[GOOD])
    again = find_finished(engine, "i", retry_failed=True)
    assert again
    assert again.id == whole.id


def test_an_older_finished_one_serves_when_the_newest_is_not(engine: Engine) -> None:
    whole = store(engine, "2", "scores", {}, input_hash="i", cases=[GOOD])
    store(engine, "2", "scores", {}, input_hash="i", cases=[LOST], n_scored=0, n_retryable=1)
    found = find_finished(engine, "i")
    assert found
    assert found.id == whole.id


def test_latest_is_of_exactly_these_models_settings_tier_and_kind(engine: Engine) -> None:
    wanted = store(engine, "3", "scores", {}, generation="g", judge="j", settings="s")
    for change in (
        {"settings": "other"},
        {"generation": "g2"},
        {"judge": "j2"},
        {"judge": None},
        {"generation": None},
        {"gate": "p"},
    ):
        store(
            engine,
            "3",
            "scores",
            {},
            **{"generation": "g", "judge": "j", "settings": "s", **change},
        )
    store(engine, "2", "scores", {}, generation="g", judge="j", settings="s")
    store(engine, "3", "answers", {}, generation="g", judge="j", settings="s")
    store_failed(engine, "3", "scores", generation="g", judge="j", settings="s")

    def find(**changes: Any) -> int | None:
        found = latest(
            engine,
            **{
                "tier": "3",
                "kind": "scores",
                "settings_hash": "s",
                "generation_model": "g",
                "benchmark_judge_model": "j",
                **changes,
            },
        )
        return found.id if found else None

    assert find() == wanted.id
    assert find(settings_hash="unknown") is None
    assert find(tier="1") is None
    newer = store(
        engine,
        "3",
        "scores",
        {},
        generation="g",
        judge="j",
        settings="s",
        cases=[GOOD, LOST],
        n_scored=1,
    )
    assert find() == newer.id, "a partial one is usable"


def test_the_newest_of_each_model_whatever_became_of_it(engine: Engine) -> None:
    store(engine, "3", "answers", {}, generation="g1", settings="s")
    second = store(engine, "3", "answers", {}, generation="g1", settings="s")
    failed = store_failed(engine, "3", "answers", generation="g2", settings="s")
    store(engine, "3", "answers", {}, generation="g3", settings="other")
    store(engine, "2", "answers", {}, generation="g3", settings="s")
    found = latest_of_kind(engine, tier="3", kind="answers", settings_hash="s")
    assert [(e.generation_model, e.id, e.status) for e in found] == [
        ("g1", second.id, "succeeded"),
        ("g2", failed.id, "failed"),
    ]


def test_settings_seen_newest_first_each_once(engine: Engine) -> None:
    for settings in ("a", "b", "a", "c"):
        store(engine, "3", "answers", {}, settings=settings)
    store(engine, "2", "answers", {}, settings="d")
    assert settings_seen(engine, tier="3", kind="answers") == [
        ("c", {"name": "c"}),
        ("a", {"name": "a"}),
        ("b", {"name": "b"}),
    ]


def test_a_trial_with_a_limit_is_the_newest_only_where_nothing_else_is(engine: Engine) -> None:
    def measured(settings: str, limit: int | None) -> None:
        new = NewEvaluation(
            tier="3",
            kind="answers",
            settings_hash=settings,
            settings={"limit": limit},
            input_hash=f"{settings}-{uuid.uuid4()}",
            started_at=datetime.now(UTC),
            generation_model="a/g",
        )
        save_evaluation(engine, new, [], n_scored=1)

    measured("trial-0", 5)
    assert newest_settings_hash(engine) == "trial-0"
    measured("whole-1", None)
    measured("trial-1", 10)
    assert newest_settings_hash(engine) == "whole-1"
    measured("whole-2", None)
    assert newest_settings_hash(engine) == "whole-2"
    assert [(s.settings_hash, s.limit) for s in MeasuredSettings.newest_first(engine)] == [
        *(("whole-2", None), ("trial-1", 10), ("whole-1", None), ("trial-0", 5))
    ]


def test_a_settings_hash_is_found_by_its_beginning(engine: Engine) -> None:
    for settings in ("f31b26f711c7aa", "f31b99", "f31b", "a_c"):
        store(engine, "3", "answers", {}, generation="a/g", settings=settings)
    assert find_settings_hash(engine, "f31b26f7") == "f31b26f711c7aa"
    assert find_settings_hash(engine, "f31b26f711c7aa") == "f31b26f711c7aa"
    assert find_settings_hash(engine, "f31b") == "f31b"  # one that is written out is meant
    assert find_settings_hash(engine, "abc") is None
    assert find_settings_hash(engine, "%") is None
    assert find_settings_hash(engine, "a_") == "a_c"
    with pytest.raises(RagBenchError, match=r"3 settings hashes begin with f3: write more.*f31b26"):
        find_settings_hash(engine, "f3")


def test_the_newest_settings_are_those_that_have_something_to_show(engine: Engine) -> None:
    assert newest_settings_hash(engine) is None
    store(engine, "1", "metrics", {}, settings="no-model")
    assert newest_settings_hash(engine) is None
    store(engine, "3", "answers", {}, generation="g", settings="old")
    store(engine, "3", "answers", {}, generation="g", settings="new")
    assert newest_settings_hash(engine) == "new"
    store_failed(engine, "3", "answers", generation="g", settings="dead provider")
    assert newest_settings_hash(engine) == "new"
