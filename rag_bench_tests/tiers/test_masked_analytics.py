"""No name of a user is in what analytics store or show; a name of the knowledge base is."""

from __future__ import annotations

import json

import pytest
import questions_world as world
from sqlalchemy import Engine, text

from rag_bench.store import snapshots
from rag_bench.store.public_names import public_names_of
from rag_bench.tiers.traffic import analytics
from rag_bench.tiers.traffic.analysis import open_analysis

PUBLIC, PRIVATE = "Лисицкая Рената", "Зоркин Глеб"


@pytest.fixture
def planted(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    chunks = list(world.CHUNKS)
    chunks[0] = ("stipendiya", f"Стипендию назначает {PUBLIC} Павловна.")
    asked = (
        (f"стипендия, я {PRIVATE}, почта gleb@example.org", 0, 20, "25-го числа.", 5),
        ("где лисицкая рената павловна", 1, 15, "Ответ не найден.", 1),
        ("зоркину глебу 8 912 345-67-89 пересдача", 2, 10, None, None),
    )
    monkeypatch.setattr(world, "CHUNKS", tuple(chunks))
    monkeypatch.setattr(world, "ASKED", asked)
    world.load(engine)
    return engine


def test_what_analytics_store_and_show_has_no_name_of_a_user(planted: Engine) -> None:
    analysis = open_analysis(planted)
    made = (
        analytics.topic_coverage(analysis, analytics.TopicsConfig(n_topics=3, top_k=2)),
        analytics.domain_insights(analysis, analytics.DomainConfig()),
        analytics.chunk_utilization(analysis, analytics.UtilizationConfig()),
    )
    shown = [json.dumps(analytics.as_json(analysis, one), ensure_ascii=False) for one in made]
    with planted.connect() as connection:
        for table in ("evaluation", "evaluation_case"):
            rows = connection.execute(text(f"select t::text from rag_bench.{table} t")).scalars()
            shown += list(rows)
    everything = "\n".join(shown).lower()
    for private in ("зоркин", "глеб", "gleb@", "8 912", "345-67"):
        assert private not in everything, private
    topics, domain = shown[0], shown[1]
    assert "[name]" in topics
    assert "где лисицкая рената павловна" in topics
    assert "лисицкая" in domain


def test_public_names_are_read_once_per_set_of_chunks(
    planted: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = snapshots.require_current(planted)
    names = public_names_of(planted, snapshot)
    assert names.hold(PUBLIC)
    assert not names.hold(PRIVATE)
    world.load(planted, reverse=True)
    again = snapshots.require_current(planted)
    assert again.sha256 != snapshot.sha256, "another dump"
    assert public_names_of(planted, again) is names, "of the same texts"
