"""Questions that a model is asked: retrieved, answered, judged by the steps of the tiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from api_access import a_key, bearer, open_client
from eval_run_rows import HOLDER, claim, given_case, new_run, rows, run_body
from small_world import World
from typer.testing import CliRunner
from world_data import GOLD

from rag_bench.cli import app as _whole  # noqa: F401
from rag_bench.cli.app import app
from rag_bench.eval_runs.executing import execute, execution, parts
from rag_bench.eval_runs.intake.dry_run import dry_run
from rag_bench.eval_runs.intake.preparing import prepare
from rag_bench.eval_runs.reply import reply
from rag_bench.llm.config import offline
from rag_bench.llm.transport import stopping
from rag_bench.partitions import ModelLists
from rag_bench.reporting.compared.comparing import compare
from rag_bench.settings import Settings

MODEL, JUDGE = "simulator/extractive", "simulator/sim-judge-sharp"


@pytest.fixture
def settings(tmp_path: Path, free_world: World) -> Settings:
    return Settings(eval_results=tmp_path / "results")


def gold_cases(n: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "question": question,
            "ground_truth_answer": reference,
            "ground_truth_chunks": [str(chunk + 1)],
            **more,
        }
        for question, reference, chunk in GOLD[:n]
    ]


def test_a_generator_is_asked_and_judged_and_metrics_are_added_without_a_call(
    free_world: World, settings: Settings
) -> None:
    engine = free_world.engine
    mixed = [*gold_cases(2), given_case(3), *gold_cases(3)[2:]]
    mixed[1]["ground_truth_chunks"] = ["2", "chunk_of_no_dump"]
    mixed[3]["ground_truth_chunks"] = ["1"]
    body = {
        **{"cases": mixed, "llm_model": MODEL, "judge_model": JUDGE, "metrics": ["BLEU"]},
        **{"top_k": 2, "contexts_per_answer": 2},
    }
    run_id, told = run_body(engine, settings, body)
    assert told is not None
    assert told["status"] == "succeeded"
    first, unknown, given, missing = told["cases"]
    assert first["flags"] == []
    assert first["citations_used"] == ["1"]  # as the client calls it
    assert 0 <= first["context_precision"] <= 1
    assert first["faithfulness"] == first["metrics"]["ragas_faithfulness"]
    assert first["details"]["retrieved"][0] == "1"
    assert "unknown_chunk" in unknown["flags"]
    assert unknown["details"]["unknown_chunks"] == ["chunk_of_no_dump"]
    assert "chunks that the knowledge base does not have" in told["notes"][0]
    assert "missing_chunk" in missing["flags"]
    assert given["context_recall"] is not None  # of its own contexts
    assert given["metrics"]["ragas_context_recall"] == given["context_recall"]
    assert told["aggregates"]["ragas_context_recall"]["n_expected"] == 4
    calls = free_world.count("llm_call")
    assert told["cost"]["n_calls"] == calls > 0
    behind = [call for case in told["cases"] for call in case["details"]["calls"]]
    ledger = rows(engine, "select id, prompt_tokens from rag_bench.llm_call")
    assert {call["id"]: call["prompt_tokens"] for call in behind} == {
        row["id"]: row["prompt_tokens"] for row in ledger
    }, "no call is without its case, and none is named that was not made"
    assert {"tier_3", "ragas_faithfulness"} <= {call["for"] for call in first["details"]["calls"]}
    [stored] = rows(
        engine,
        "select count(*) as n from rag_bench.evaluation where dataset_id in "
        "(select id from rag_bench.dataset where kind = 'eval')",
    )

    # The same once more, in another place: equal records, no call, nothing written anew.
    other, again = run_body(engine, settings, body, dagster_run_id="of dagster")
    assert again is not None
    assert again["cases"] == told["cases"]
    assert again["aggregates"] == told["aggregates"]
    assert again["cost"]["n_calls"] == 0
    assert _linked(engine, other) == _linked(engine, run_id)
    assert len(_linked(engine, run_id)) == stored["n"]

    # A metric later: the calls that were made are not made again.
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "update rag_bench.eval_run set config = jsonb_set(config, '{metrics}', "
            '\'["bleu", "chrf"]\'), cancel_requested = false where id = %s',
            (run_id,),
        )
    claim(engine, run_id)
    later = execute(engine, settings, run_id, holder=HOLDER)
    assert later is not None
    assert free_world.count("llm_call") == calls
    assert later["cost"] == told["cost"]
    assert all(case["metrics"]["chrf"] is not None for case in later["cases"])
    assert [case["faithfulness"] for case in later["cases"]] == [
        case["faithfulness"] for case in told["cases"]
    ]


def _linked(engine: Any, run_id: str) -> list[int]:
    found = rows(
        engine,
        "select evaluation_id from rag_bench.eval_run_evaluation where run_id = :id",
        id=run_id,
    )
    return sorted(row["evaluation_id"] for row in found)


def test_a_cap_leaves_cases_out_and_completing_asks_them(
    free_world: World, settings: Settings
) -> None:
    engine = free_world.engine
    body = {
        **{"cases": gold_cases(4), "llm_model": MODEL, "judge_model": JUDGE},
        **{"eval_type": "rubric", "max_calls": 2},
    }
    with engine.begin() as connection:  # as after a dump was loaded, and nothing else
        connection.exec_driver_sql("truncate rag_bench.embedding")
    run_id, told = run_body(engine, settings, body)
    assert told is not None
    assert told["status"] == "partial"
    assert told["cost"]["n_calls"] == 2
    assert told["counts"]["missing"] == 2
    nothing = [case for case in told["cases"] if case["llm_answer"] is None]
    assert len(nothing) == 2
    assert all(case["errors"] is None and case["metrics"] == {} for case in nothing)
    answered = [case for case in told["cases"] if case["llm_answer"] is not None]
    assert [error["metric"] for case in answered for error in case["errors"]] == [
        "rubric_e2e_quality"
    ] * 2
    assert "cap of calls" in answered[0]["errors"][0]["detail"]
    assert answered[0]["flags"] == []  # nothing was tried: there is nothing to look at
    with engine.begin() as connection:
        connection.exec_driver_sql("update rag_bench.eval_run set max_calls = 100")
    claim(engine, run_id)
    execute(engine, settings, run_id, holder=HOLDER)
    found = reply(engine, run_id)
    assert found["status"] == "succeeded"
    assert found["counts"]["missing"] == 0
    assert found["cost"]["n_calls"] == 8  # each once


def test_a_run_is_stopped_between_calls_and_keeps_what_was_answered(
    free_world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "_LOOK", 0.0)  # the offline models answer at once
    engine = free_world.engine
    body = {"cases": gold_cases(4), "llm_model": MODEL, "judge_model": JUDGE}
    run_id = new_run(engine, settings, {**body, "eval_type": "rubric"})

    def cancelled() -> bool:
        return free_world.count("llm_call", "role = 'generation'") > 0

    with engine.begin() as connection:
        connection.exec_driver_sql("update rag_bench.eval_run set cancel_requested = true")
    assert execute(engine, settings, run_id, holder=HOLDER, cancelled=cancelled) is None
    found = reply(engine, run_id)
    assert found["status"] == "cancelled"
    assert all(case["llm_answer"] for case in found["cases"])
    # Nobody has set a cap: that would send its reader to raise one.
    causes = {error["detail"] for case in found["cases"] for error in case["errors"] or ()}
    assert any("the run was stopped" in cause for cause in causes)
    assert not any("cap" in cause for cause in causes)
    assert rows(engine, "select kind from rag_bench.eval_event order by id desc limit 1") == [
        {"kind": "cancelled"}
    ]


def test_a_stored_dataset_has_the_results_of_dagsters_assets(
    free_world: World, settings: Settings
) -> None:
    models = ModelLists([MODEL], [JUDGE], offline.PRODUCTION_JUDGES)
    for assets in (["tier3_answers"], ["tier3_scores"]):
        assert free_world.run(assets, models).success
    measured = {
        (row["kind"], row["id"])
        for row in rows(
            free_world.engine,
            "select kind, id from rag_bench.evaluation where tier = '3' "
            "or (tier = '1' and kind = 'metrics')",
        )
    }
    calls = free_world.count("llm_call")
    [dataset] = rows(free_world.engine, "select id from rag_bench.dataset where kind = 'manual'")
    body = {
        **{"dataset": dataset["id"], "llm_model": MODEL, "judge_model": JUDGE},
        **{"eval_type": ["rubric", "retrieval"], "metrics": ["BLEU"]},
    }
    run_id, told = run_body(free_world.engine, settings, body)
    assert told is not None
    assert free_world.count("llm_call") == calls
    assert _linked(free_world.engine, run_id) == sorted(number for _, number in measured)
    assert len(told["cases"]) == len(GOLD)
    by_kind = dict(measured)
    stored = rows(
        free_world.engine,
        "select metrics from rag_bench.evaluation where id = :id",
        id=by_kind["scores"],
    )[0]["metrics"]["rubric_e2e_quality"]
    shown = told["aggregates"]["rubric_e2e_quality"]
    assert shown["value"] == stored["value"]
    assert shown["interval"] == [stored["ci_low"], stored["ci_high"]]
    # Of what assets measure, what was not asked for is not told.
    assert "semantic_similarity" not in told["cases"][0]["metrics"]


def test_asked_parts_make_one_result_and_a_stop_keeps_those_before(
    free_world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = free_world.engine
    body = {
        **{"cases": gold_cases(6), "llm_model": MODEL, "judge_model": JUDGE},
        **{"eval_type": ["rubric", "retrieval"]},
    }
    _, whole = run_body(engine, settings, body)
    assert whole is not None
    monkeypatch.setattr(parts, "MOST_CASES", 2)
    monkeypatch.setattr(execution, "MOST_CASES", 2)
    monkeypatch.setattr(stopping, "_LOOK", 0.0)
    run_id = new_run(engine, settings, body)
    told: list[str] = []

    def cancelled() -> bool:
        return bool(_linked(engine, run_id))  # the first part is stored

    with engine.begin() as connection:
        connection.exec_driver_sql(
            "update rag_bench.eval_run set cancel_requested = true where id = %s", (run_id,)
        )
    execute(
        engine,
        settings,
        run_id,
        holder=HOLDER,
        cancelled=cancelled,
        told=lambda label, *_: told.append(label),
    )
    found = reply(engine, run_id)
    assert found["status"] == "cancelled"
    assert found["counts"]["missing"] <= 4
    assert found["cases"][0]["metrics"] == whole["cases"][0]["metrics"]
    assert {"retrieval", "answers", "scores"} <= set(told)
    with engine.begin() as connection:
        connection.exec_driver_sql("update rag_bench.eval_run set cancel_requested = false")
    calls = free_world.count("llm_call")
    claim(engine, run_id)
    execute(engine, settings, run_id, holder=HOLDER)
    found = reply(engine, run_id)
    assert free_world.count("llm_call") == calls  # the whole one had asked all of it
    assert found["status"] == whole["status"]
    assert found["aggregates"] == whole["aggregates"]
    assert found["counts"] == whole["counts"]


def test_only_the_judged_metrics_that_are_named_are_asked_for(
    free_world: World, settings: Settings
) -> None:
    engine = free_world.engine
    cases = [given_case(n) for n in range(2)]
    asked = {"cases": cases, "judge_model": JUDGE, "eval_type": []}

    def run(*metrics: str, **more: Any) -> tuple[dict[str, Any], int]:
        body = {**asked, "metrics": list(metrics), **more}
        foreseen = dry_run(engine, settings, prepare(engine, settings, body))
        before = free_world.count("llm_call")
        _, told = run_body(engine, settings, body)
        assert told is not None
        sent = free_world.count("llm_call") - before
        assert told["cost"]["n_calls"] == sent <= foreseen["n_to_send"] + foreseen["n_unknown"]
        return told, sent

    told, sent = run("ragas_faithfulness")
    assert sent <= 2 * len(cases)  # statements and verdicts
    assert set(told["aggregates"]) == {"ragas_faithfulness"}
    assert all(case["answer_relevancy"] is None for case in told["cases"])
    assert all(case["faithfulness"] is not None for case in told["cases"])
    one, sent = run("ragas_context_recall")
    assert (set(one["aggregates"]), sent) == ({"ragas_context_recall"}, len(cases))
    relevancy, sent = run("ragas_answer_relevancy")
    assert (set(relevancy["aggregates"]), sent) == ({"ragas_answer_relevancy"}, 3 * len(cases))
    # All of it later: what was asked for one by one is not asked again, and has the same scores.
    whole, sent = run(eval_type="ragas")
    assert sent > 0
    assert [case["faithfulness"] for case in whole["cases"]] == [
        case["faithfulness"] for case in told["cases"]
    ]
    assert len(whole["aggregates"]) == 6
    again, sent = run("ragas_answer_correctness")
    assert (set(again["aggregates"]), sent) == ({"ragas_answer_correctness"}, 0)
    # Rubrics likewise: one that is asked for by name alone brings no other.
    rubric, sent = run("rubric_answer_relevance")
    assert (set(rubric["aggregates"]), sent) == ({"rubric_answer_relevance"}, len(cases))


def test_a_published_draft_is_run_by_its_name(free_world: World, settings: Settings) -> None:
    from rag_bench.store.datasets import items_of, newest_dataset
    from rag_bench.store.drafts import drafts

    engine = free_world.engine
    gold = newest_dataset(engine, "questions") or newest_dataset(engine, "manual")
    assert gold is not None
    item = items_of(engine, gold.id)[0]
    with engine.begin() as connection:
        drafts.add_case(connection, "hard", gold.id, item.item_id, "anna")
    drafts.publish(engine, "hard")
    body = {"dataset": "hard", "llm_model": MODEL, "metrics": ["BLEU"]}
    _, told = run_body(engine, settings, body)
    assert told is not None
    assert [case["case_id"] for case in told["cases"]] == [item.item_id]
    assert told["cases"][0]["metrics"]["bleu"] is not None


def test_a_model_that_was_changed_behind_its_name_is_asked_anew(
    free_world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = free_world.engine
    body = {
        **{"cases": gold_cases(2), "llm_model": MODEL, "judge_model": JUDGE},
        **{"eval_type": "rubric", "metrics": ["ROUGE"]},
    }

    def asked(**more: Any) -> tuple[str, int]:
        before = free_world.count("llm_call")
        run_id, told = run_body(engine, settings, {**body, **more})
        assert told is not None
        assert told["status"] == "succeeded"
        return run_id, free_world.count("llm_call") - before

    first, n_first = asked()
    assert n_first > 2
    assert asked()[1] == 0
    with open_client(engine) as client:
        headers = bearer(a_key(engine))
        fresh = client.get(f"/eval/runs/{first}", headers=headers)
        changed = CliRunner().invoke(app, ["model-changed", MODEL.partition("/")[2]])
        assert changed.exit_code == 0, changed.output
        assert f"{MODEL} is revision 1" in changed.output
        told = client.get(
            f"/eval/runs/{first}", headers={**headers, "If-None-Match": fresh.headers["ETag"]}
        )
    [unchecked] = fresh.json()["notes"]
    assert unchecked.startswith("Never checked against people: ")
    assert told.status_code == 200, "what is said of it has changed"
    assert f"The model {MODEL} was changed behind its name" in told.json()["notes"][0]
    foreseen = dry_run(engine, settings, prepare(engine, settings, body))
    by_model = {one["model"]: one["n_to_send"] for one in foreseen["models"]}
    assert by_model == {MODEL: 2, JUDGE: 0}
    # It answers as before, so its judge has nothing new to say.
    again, n_again = asked()
    assert n_again == 2
    assert asked()[1] == 0
    both = [
        [(case["llm_answer"], case["metrics"]) for case in reply(engine, run_id)["cases"]]
        for run_id in (first, again)
    ]
    assert both[0] == both[1], "what was measured before is read as ever"
    # What was searched, and what equal answers were scored by, is shared; the answers are not.
    old, new = (set(_linked(engine, run_id)) for run_id in (first, again))
    assert old - new
    assert new - old
    found = compare(engine, f"run:{first}", f"run:{again}").as_json(limit=5)
    assert any("model_revisions" in str(one) for one in found["inputs"]), found["inputs"]
