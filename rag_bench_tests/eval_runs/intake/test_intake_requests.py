"""Requests for an evaluation: every field, every limit, every refusal with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from known_chunks import HASHES, SNAPSHOT, known_engine
from sqlalchemy import Engine, select

from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.intake.preparing import prepare
from rag_bench.eval_runs.invalid import InvalidInput
from rag_bench.settings import Settings
from rag_bench.store.embedded import EmbeddedServer
from rag_bench.store.eval_runs.creating import create, new_id
from rag_bench.store.eval_runs.tables import eval_event, eval_outbox, eval_run, eval_run_case

QUESTION = "Что входит в политику безопасности?"


@pytest.fixture(scope="module")
def engine(server: EmbeddedServer, template_database: str) -> Iterator[Engine]:
    """One database with the known chunks for all tests here: refusals store nothing."""
    with known_engine(server, template_database) as made:
        yield made


def body(*cases: dict[str, Any], **fields: Any) -> dict[str, Any]:
    first = {"question": QUESTION, "ground_truth_chunks": [1, "chunk_007"]}
    return {"cases": list(cases) or [first], "llm_model": "simulator/sim-strong", **fields}


def refused(engine: Engine, sent: Any, **settings: Any) -> dict[str | None, str]:
    """Return what is wrong with a request, by pointer."""
    with pytest.raises(InvalidInput) as found:
        prepare(engine, Settings(**settings), sent)
    errors = found.value.errors
    assert len({one.pointer for one in errors}) == len(errors)
    return {one.pointer: one.detail for one in errors}


def test_fewer_chunks_than_a_model_is_given_by_default_are_all_given(engine: Engine) -> None:
    config = prepare(engine, Settings(), body(top_k=1)).config
    assert (config.top_k, config.contexts_per_answer) == (1, 1)


def test_a_request_becomes_a_stored_run(engine: Engine) -> None:
    sent = body(
        {"question": QUESTION, "ground_truth_chunks": [1, "chunk_007", HASHES[1]], "lang": "ru"},
        {"id": "card", "question": "Where is the card?", "answer": "In 12.", "contexts": ["12"]},
        reranker="hybrid",
        eval_type=["retrieval", "ragas"],
        metrics=["BLEU", "ROUGE", "chrF", "chunk_recall@5", "bleu"],
        labels={"branch": "main", "n": 3, "nightly": True},
        max_calls=10,
        max_cost_usd=0.5,
        mode="async",
    )
    prepared = prepare(engine, Settings(), sent)
    assert prepared.config == RunConfig(
        eval_types=("ragas", "retrieval"),
        metrics=("bleu", "rouge1_f", "rouge2_f", "rougeL_f", "chrf", "chunk_recall@5"),
        generation_model="simulator/sim-strong",
        judge_model="simulator/sim-judge-sharp",
        retriever="hybrid",
        top_k=10,
        contexts_per_answer=3,
        dataset_id=None,
        dump_sha256=SNAPSHOT,
    )
    assert not prepared.paid
    assert prepared.request == {name: value for name, value in sent.items() if name != "cases"}

    asked = {"user_id": "ann", "subject": "key 1", "trace_id": "t"}
    with engine.begin() as connection:
        new = prepared.run(**asked, mode="async", place="dagster")
        run_id = create(connection, new, prepared.cases)
    with engine.connect() as connection:
        run = connection.execute(select(eval_run)).one()
        cases = connection.execute(select(eval_run_case).order_by(eval_run_case.c.position)).all()
        [event] = connection.execute(select(eval_event.c.kind)).scalars()
        outbox = connection.execute(select(eval_outbox.c.run_id)).scalar_one()
    assert (run.id, run.status, run.n_cases, outbox, event) == (
        run_id,
        "queued",
        2,
        run_id,
        "queued",
    )
    assert RunConfig.of_json(run.config) == prepared.config
    assert run.labels == sent["labels"]
    assert float(run.max_cost_usd) == 0.5
    assert [case.given for case in cases] == sent["cases"]
    assert [case.case_id for case in cases] == ["1", "card"]
    assert cases[0].known == {
        "lang": "ru",
        "lang_by": "client",
        "chunk_hashes": [HASHES[0], HASHES[1]],
        "names": {HASHES[0]: 1, HASHES[1]: HASHES[1]},
        "unknown_chunks": ["chunk_007"],
    }
    assert cases[1].known["lang"] == "en"
    assert cases[1].known["lang_by"] == "detected"
    assert cases[1].known["context_hashes"] == [None]


def test_a_baseline_is_named_by_the_beginning_of_its_id(engine: Engine) -> None:
    base = prepare(engine, Settings(), body())
    run = base.run(user_id="ann", subject="ann", trace_id="ab", mode="sync", place="service")
    ids = ["ba5e11ne0001", "ba5e11ne0002"]
    with engine.begin() as connection:
        for one in ids:
            create(connection, run, base.cases, run_id=one)
    assert prepare(engine, Settings(), body(baseline=ids[0])).baseline == ids[0]
    assert prepare(engine, Settings(), body(baseline="ba5e11ne0002")).baseline == ids[1]
    several = refused(engine, body(baseline="ba5e11"))["#/baseline"]
    assert all(one in several for one in ids)
    assert "at least 4" in refused(engine, body(baseline="ba5"))["#/baseline"]
    assert "no run '%%%%%'" in refused(engine, body(baseline="%%%%%"))["#/baseline"]


def test_every_problem_is_told_at_once_with_its_place(engine: Engine) -> None:
    long = "ы" * 501
    sent = body(
        {"question": long, "langs": "ru", "ground_truth_chunks": "chunk_001"},
        {"lang": "de", "question": 5},
        {"id": "a", "question": " \u200b", "contexts": [{"id": 1}]},
        {"id": "a", "question": "?", "contexts": ["x"]},
        7,  # type: ignore[arg-type]
        judge_model="nobody/x",
        llm_model="llama3.1:8b",
        reranker="bge-reranker-v2",
        eval_type="ragass",
        metrics=["BLUE", "BERTScore"],
        top_k="10",
        callback_url="ftp://x",
        baseline="none",
        labels={"a": {"b": 1}},
        max_calls=-1,
        extra=1,
    )
    found = refused(engine, sent)

    assert set(found) == {
        *("#/cases/0/question", "#/cases/0/langs", "#/cases/0/ground_truth_chunks"),
        *(
            "#/cases/1/lang",
            "#/cases/1/question",
            "#/cases/2/question",
            "#/cases/2/contexts/0/text",
        ),
        *("#/cases/3/id", "#/cases/3/contexts", "#/cases/4"),
        *("#/judge_model", "#/llm_model", "#/reranker", "#/eval_type", "#/metrics/0"),
        *("#/metrics/1", "#/top_k", "#/callback_url", "#/baseline", "#/labels/a", "#/max_calls"),
        "#/extra",
    }
    assert "501 characters; at most 500" in found["#/cases/0/question"]
    assert "question, ground_truth_answer" in found["#/cases/0/langs"]
    assert "hybrid_late" in found["#/reranker"]
    assert "late_interaction" in found["#/reranker"]
    assert "Whose model is 'llama3.1:8b'" in found["#/llm_model"]
    with engine.connect() as connection:
        assert connection.execute(select(eval_run).where(eval_run.c.user_id != "ann")).all() == []


@pytest.mark.parametrize(
    ("sent", "place", "words"),
    [
        ([], "#", "object"),
        ({"llm_model": "simulator/sim-strong"}, "#", "has none"),
        (body(llm_model="production/log"), "#/llm_model", "traffic datasets only"),
        (body(llm_model="client/answers"), "#/llm_model", "Whose model is"),
        (body(callback_url="https://127.0.0.1/x"), "#/callback_url", "WEBHOOK_SECRET"),
        (body(eval_type=[]), "#/eval_type", "Nothing is measured"),
        (body({"question": "?", "citations": [1]}), "#/cases/0/citations", "give the answer"),
        (body(path_to_file="x"), "#", "cases and path_to_file"),
        ({"cases": []}, "#/cases", "no case"),
        ({"cases": {}}, "#/cases", "list"),
        ({"cases": [{"question": "?"}]}, "#/llm_model", "Case 1 has no answer"),
        (body(target="help"), "#/target", "leave one out"),
        (body(llm_model="simulator/sim-judge-sharp"), "#/llm_model", "no offline model"),
        (body(llm_model="simulator/sim-weak,simulator/sim-strong"), "#/llm_model", "several"),
        (body(top_k=3, contexts_per_answer=4), "#/contexts_per_answer", "4 chunks"),
        (body(reranker="hybrid", top_k=101), "#/top_k", "candidates"),
        (
            body({"question": "?"}, {"question": "?"}, {"id": 2, "question": "?"}),
            "#/cases/2/id",
            "2",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(engine: Engine, sent: Any, place: str, words: str) -> None:
    found = refused(engine, sent)
    assert list(found) == [place]
    assert words in found[place]


def test_of_many_problems_the_first_are_told(engine: Engine) -> None:
    with pytest.raises(InvalidInput, match="Of 150 problems the first 100 are told") as found:
        prepare(engine, Settings(), body(*[{"question": ""} for _ in range(150)]))
    assert len(found.value.errors) == 100


def test_more_cases_than_the_settings_allow_are_not_looked_at(engine: Engine) -> None:
    found = refused(engine, body({"question": "?"}, {}, {}), eval_max_cases=2)
    assert list(found) == ["#/cases"]


def test_a_model_that_is_no_offline_one_is_paid(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVIDER_OLLAMA_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("PROVIDER_OLLAMA_API_KEY", "none")
    monkeypatch.setenv("GENERATION_API_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("TARGET_HELP_URL", "http://127.0.0.1:9/ask")
    bare = prepare(engine, Settings(), body(llm_model="llama3.1:8b"))
    assert bare.config.generation_model == "ollama/llama3.1:8b"
    assert bare.paid
    sent = body(target="help", eval_type="retrieval")
    del sent["llm_model"]
    live = prepare(engine, Settings(), sent)
    assert live.config.generation_model == "target/help"
    assert live.paid
    assert live.config.judge_model is None


RERANKERS = """
[retrievers.ours]
search = "bm25"
reranker = "bge-reranker-v2"

[rerankers.bge-reranker-v2]
kind = "http"
url = "http://127.0.0.1:9/rerank"

[rerankers.unused]
kind = "late_interaction"
"""


def test_a_reranker_stands_for_the_retriever_that_has_it(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "retrievers.toml"
    file.write_text(RERANKERS, encoding="utf-8")
    sent = body(reranker="bge-reranker-v2")
    prepared = prepare(engine, Settings(retrievers=file), sent)
    assert prepared.config.retriever == "ours"
    assert prepared.paid  # its service may cost money
    given = {"cases": [{"question": "?", "answer": "!"}], "reranker": "bge-reranker-v2"}
    assert not prepare(engine, Settings(retrievers=file), given).paid
    assert (
        "no retriever has it"
        in refused(engine, body(reranker="unused"), retrievers=file)["#/reranker"]
    )
    shipped = prepare(engine, Settings(), body(reranker="late_interaction"))
    assert shipped.config.retriever == "hybrid_late"


def test_ids_of_runs_sort_by_time() -> None:
    made = [new_id() for _ in range(200)]
    assert [one[:15] for one in made] == sorted(one[:15] for one in made)
    assert all(len(one) == 32 and one[12] == "7" for one in made)
    assert len(set(made)) == 200
