"""The scale of a snapshot's ratings reaches everything that reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from rag_bench.source.load import load_dump
from rag_bench.store.evaluations import StoredEvaluation
from rag_bench.store.snapshots import require_current
from rag_bench.store.traffic import questions_by_time, rating_scale, servable_answers
from rag_bench.tiers.traffic.analysis import open_analysis
from rag_bench.tiers.traffic.analytics import DomainConfig, domain_insights
from rag_bench.tiers.traffic.ux import turn_of

NULL = "\\N"
Scores = list[float | str | None]


def load(engine: Engine, folder: Path, scores: Scores) -> list[str]:
    rows = "".join(
        f"{n}\tвопрос номер {n}\tответ\thttps://kb/1\t{NULL if score is None else score}\t{n}\n"
        for n, score in enumerate(scores)
    )
    path = folder / "ratings.sql"
    path.write_text(
        "COPY chunk (id, url, text) FROM stdin;\n1\thttps://kb/1\tтекст\n\\.\n"
        "COPY question_answer (id, question, answer, url, score, user_id) FROM stdin;\n"
        f"{rows}\\.\n",
        encoding="utf-8",
    )
    warnings: list[str] = load_dump(engine, path).snapshot.report["warnings"]
    return warnings


def domain(engine: Engine) -> StoredEvaluation:
    return domain_insights(open_analysis(engine), DomainConfig())


@pytest.mark.parametrize(
    ("scores", "scale", "satisfied", "n_rated", "n_best"),
    [
        ([5, 5, 1, None], "1-5", 2 / 3, 3, 2),
        ([1, 1, 1, 0, -1, None, 1], "thumbs", 4 / 5, 5, 4),
        (["t", "f", "t"], "0-1", 2 / 3, 3, 2),
        (["like", "dislike", "like", "n/a"], "thumbs", 2 / 3, 3, 2),
        ([10, 9, 8, 1], "1-10", 2 / 4, 4, 2),
        (["100%", "80%", "95%"], "percent", 2 / 3, 3, 2),
        ([1, 2, 4, 4], "unknown", None, 4, 0),
        ([1, 1], "unknown", None, 2, 0),
        ([None, None], "none", None, 0, 0),
    ],
)
def test_satisfied_and_served(
    scores: Scores,
    scale: str,
    satisfied: float | None,
    n_rated: int,
    n_best: int,
    engine: Engine,
    tmp_path: Path,
) -> None:
    warnings = load(engine, tmp_path, scores)
    sha256 = require_current(engine).sha256
    found = rating_scale(engine, sha256)
    assert found.name == scale
    assert (found.note in warnings) == (scale != "1-5")
    evaluation = domain(engine)
    metric = evaluation.metrics["satisfied_rate"]
    assert metric["value"] == (None if satisfied is None else pytest.approx(satisfied, abs=1e-6))
    assert metric["n_expected"] == n_rated
    assert evaluation.inputs["result"]["rating_scale"] == scale
    assert len(servable_answers(engine, sha256)) == n_best
    turns = [turn_of(row, found) for row in questions_by_time(engine, sha256)]
    assert sum(turn.rated_5 for turn in turns) == n_best


def test_the_setting_names_the_scale(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(engine, tmp_path, [1, 2, 4, 4])
    uncertain = domain(engine)
    monkeypatch.setenv("RAG_BENCH_RATINGS", "1-5")
    named = domain(engine)
    assert named.id != uncertain.id
    assert named.metrics["satisfied_rate"]["value"] == 0.0


def test_a_snapshot_without_notes_is_told_from_its_rows(engine: Engine, tmp_path: Path) -> None:
    load(engine, tmp_path, [1, 0, -1])
    with engine.begin() as connection:
        connection.execute(text("update rag_bench.dump set report = report - 'ratings'"))
    assert rating_scale(engine, require_current(engine).sha256).name == "thumbs"


def test_thumbs(engine: Engine, cases: Path) -> None:
    load_dump(engine, cases / "thumbs.sql")
    metric = domain(engine).metrics["satisfied_rate"]
    assert (metric["value"], metric["n_scored"]) == (pytest.approx(0.8), 5)
