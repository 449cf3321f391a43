"""A model is called changed from Dagster's UI, and a reranker's service by a hook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from hooked_dagster import HookedDagster, received
from sqlalchemy import Engine, text

from rag_bench.assets.service.changed_models import JOB, OP
from rag_bench.errors import ConfigurationError
from rag_bench.settings import Settings
from rag_bench.store.eval_runs.model_revisions import revisions
from rag_bench.tiers.base.changed_models import configured_model, retrievers_of

RETRIEVERS = """
[retrievers.words]
search = "bm25"

[retrievers.served]
search = "bm25"
reranker = "service"

[retrievers.twice]
search = "hybrid"
reranker = "service"

[rerankers.service]
kind = "http"
url = "http://ranker.example:8080/rerank"
provider = "shop"
"""
#: A service with one model is known by its host.
RERANKER = "shop/ranker.example"


@pytest.fixture
def dagster(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[HookedDagster]:
    path = tmp_path / "retrievers.toml"
    path.write_text(RETRIEVERS, encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", str(path))
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", database_url)
    with dg.DagsterInstance.ephemeral() as instance:
        yield HookedDagster(instance)


def marked(dagster: HookedDagster, model: str, **more: Any) -> dg.ExecuteInProcessResult:
    """Run the job as the Launchpad does."""
    return dagster.repository.get_job(JOB).execute_in_process(
        run_config={"ops": {OP: {"config": {"model": model, **more}}}}, instance=dagster.instance
    )


def test_the_job_gives_a_model_its_next_revision_and_starts_nothing(
    dagster: HookedDagster, engine: Engine
) -> None:
    assert marked(dagster, "a/1").success
    assert marked(dagster, "a/1").success
    last = marked(dagster, RERANKER)
    assert dict(revisions(engine)) == {"a/1": 2, RERANKER: 1}
    with engine.connect() as connection:
        query = text("select cause from rag_bench.model_revision where model = :model")
        cause = connection.execute(query, {"model": RERANKER}).scalar_one()
    assert cause == f"Dagster run {last.run_id}"
    assert dagster.follow() == []
    with pytest.raises(dg.DagsterInvalidConfigError, match="model"):
        marked(dagster, "no/model")


def test_the_job_starts_what_a_hook_would_once_if_it_is_told_to(
    dagster: HookedDagster, engine: Engine
) -> None:
    assert marked(dagster, "a/1", measure_now=True).success
    assert dagster.follow() == [("answers", "a/1", "a/1"), ("scores", "j/1|a/1", "j/2|a/1")]
    assert dagster.look() == []
    assert dict(revisions(engine)) == {"a/1": 1}


def test_a_changed_reranker_runs_its_retrievers_and_compares_them(
    dagster: HookedDagster, engine: Engine
) -> None:
    received(engine, "m1", RERANKER)
    assert dagster.follow() == [
        ("retrievers", "served", "served"), ("retrievers", "twice", "twice"),
        ("compare_retrievers", "", ""),
    ]  # fmt: skip


def test_a_reranker_is_named_by_key_host_or_table(dagster: HookedDagster) -> None:
    for name in (RERANKER, "ranker.example", "service"):
        assert configured_model(name) == RERANKER
    assert retrievers_of(RERANKER, Settings()) == ["served", "twice"]
    assert retrievers_of("a/1", Settings()) == []
    with pytest.raises(ConfigurationError, match=f"there are .*{RERANKER}"):
        configured_model("nobody")
