"""A prompt and a dump changed at once: which did it? On XQuAD's Russian part, offline."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from dashboard_pages import shown as shown_page
from sqlalchemy import Engine, text

from rag_bench.assembly import open_models
from rag_bench.hashing import chunk_hash
from rag_bench.llm.prompt_texts import MEASURED_PROMPTS
from rag_bench.llm.tasks import prompts
from rag_bench.releases.explaining import Explained, explain
from rag_bench.releases.replay import Conditions, measure
from rag_bench.reporting.compared.comparing import compare
from rag_bench.resources import BenchmarkResource
from rag_bench.settings import get_settings
from rag_bench.source.load import import_squad
from rag_bench.store.datasets import items_of
from rag_bench.store.evaluations import StoredEvaluation, cases_of, newest_settings_hash
from rag_bench.store.evaluations.comparing import find_evaluation
from rag_bench.store.snapshots import NewSnapshot, chunks_of, save_snapshot, set_current

GENERATOR, JUDGE = "simulator/sim-medium", "simulator/sim-judge-sharp"
N, PROMPT = 24, "generation_answer"
CHANGED = (0, 3, 60, 120, 200)


@dataclass
class Bench:
    """XQuAD's chunks as two dumps, and a prompt before and after."""

    engine: Engine
    before: str
    after: str
    dataset: str
    texts: dict[str, str]

    def measured(self, dump: str, *, prompt: bool) -> StoredEvaluation:
        """Tier 3 by one judge, on a dump, by the changed prompt or the old one."""
        set_current(self.engine, dump)

        async def main() -> StoredEvaluation:
            async with open_models(get_settings(), self.engine) as models:
                fields = BenchmarkResource(dataset=self.dataset, limit=N)
                bench = fields.open(self.engine, None)
                wanted = Conditions(bench.run.as_json(), dump, "3", "scores", GENERATOR, JUDGE)
                return await measure(bench, models, wanted)

        with prompts.prompts_as(self.texts) if prompt else nullcontext():
            return asyncio.run(main())

    def calls(self, role: str = "") -> int:
        where = f" where role = '{role}'" if role else ""
        with self.engine.connect() as connection:
            query = text(f"select count(*) from rag_bench.llm_call{where}")
            return int(connection.execute(query).scalar_one())

    def stored(self) -> list[int]:
        """How many rows each table holds."""
        with self.engine.connect() as connection:
            return [
                connection.execute(text(f"select count(*) from rag_bench.{table}")).scalar_one()
                for table in ("evaluation", "evaluation_case", "llm_call", "embedding")
            ]

    def explained(self, a: StoredEvaluation, b: StoredEvaluation, **more: Any) -> Explained:
        with self.engine.connect() as connection:
            first, second = find_evaluation(connection, a.id), find_evaluation(connection, b.id)
        assert first is not None
        assert second is not None

        async def main() -> Explained:
            async with open_models(get_settings(), self.engine) as models:
                return await explain(self.engine, get_settings(), models, first, second, **more)

        return asyncio.run(main())

    def contexts(self, settings_hash: str) -> set[tuple[str, ...]]:
        """Each question with the chunks that it was answered from."""
        with self.engine.connect() as connection:
            found = connection.execute(
                text(
                    "select id from rag_bench.evaluation where settings_hash = :settings "
                    "and kind = 'answers' order by id desc limit 1"
                ),
                {"settings": settings_hash},
            ).scalar_one()
        asked = {one.item_id: one.question for one in items_of(self.engine, self.dataset)}
        return {
            (asked[case.case_id], *(row["chunk_hash"] for row in case.retrieved or []))
            for case in cases_of(self.engine, found)
        }


@pytest.fixture
def bench(
    engine: Engine, xquad: Path, quick_encoder: None, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    monkeypatch.setenv("RAG_BENCH_DATABASE_URL", engine.url.render_as_string(hide_password=False))
    loaded, dataset = import_squad(engine, [xquad / "xquad.ru.json"])
    before = loaded.snapshot.sha256
    records = list(chunks_of(engine, before))
    assert len(records) == 240
    for place in CHANGED:
        old = records[place]
        new = f"{old.text} Эти сведения уточнены."
        records[place] = replace(old, text=new, chunk_hash=chunk_hash(old.page_url, new))
    after = "ab" * 32
    save_snapshot(engine, NewSnapshot(after, "later.dump", "dump", 1, records, []))
    texts = {one: prompts.load(one).hashed for one in MEASURED_PROMPTS}
    texts[PROMPT] = texts[PROMPT].replace("# user", "Answer in one sentence.\n\n# user", 1)
    return Bench(engine, before, after, dataset.id, texts)


@pytest.mark.once
def test_a_prompt_and_five_chunks_changed_at_once_are_told_apart(bench: Bench) -> None:
    old = bench.measured(bench.before, prompt=False)
    asked = bench.calls("generation")
    assert N - 2 <= asked <= N  # questions of the same words are one request
    both = bench.measured(bench.after, prompt=True)
    assert bench.calls("generation") == 2 * asked  # the prompt is in every request
    shown = newest_settings_hash(bench.engine)
    # Both are named, in their own words.
    inputs = compare(bench.engine, str(old.id), str(both.id)).inputs
    details = [one.detail or {} for one in inputs]
    assert {p["name"] for one in details for p in one.get("prompts", [])} == {PROMPT}
    [chunks] = [one for one in details if "unchanged" in one]
    assert (chunks["changed"], chunks["added"], chunks["removed"]) == (len(CHANGED), 0, 0)
    assert chunks["unchanged"] == 240 - len(CHANGED)
    assert len(chunks["chunks"]) == len(CHANGED)
    # The dashboard only reads: what is free and not done yet is left to the command.
    page, stored = f"?tab=compare&a={old.id}&b={both.id}", bench.stored()
    assert "2 (prompt, dump)" in shown_page(bench.engine, page).text
    looked = shown_page(bench.engine, f"{page}&explain=yes")
    assert bench.stored() == stored
    assert looked.tables["corners"][0]["status"] == str(old.id)
    assert f"rag-bench compare {old.id} {both.id} --explain --run" in looked.text
    # The plan: two corners are missing. Nothing is sent.
    calls = bench.calls()
    plan = bench.explained(old, both)
    assert bench.calls() == calls
    assert plan.causes == ["prompt", "dump"]
    by_corner = {one.from_b: one for one in plan.corners}
    assert by_corner[frozenset()].evaluation == old.id
    assert by_corner[frozenset({"prompt", "dump"})].evaluation == both.id
    new_dump, new_prompt = by_corner[frozenset({"dump"})], by_corner[frozenset({"prompt"})]
    assert (new_dump.evaluation, new_prompt.evaluation) == (None, None)
    assert plan.parts == {}
    stored = bench.stored()
    looked = shown_page(bench.engine, f"{page}&explain=yes")
    assert bench.stored() == stored
    assert [
        (row["new is"], row["calls to send, at most"], row["from the ledger, for nothing"])
        for row in looked.tables["corners"]
    ] == [
        (
            ", ".join(sorted(one.from_b)) or "nothing (A)",
            str(one.n_calls) if one.evaluation is None else "",
            str(one.in_ledger) if one.evaluation is None else "",
        )
        for one in plan.corners
    ]
    # Run: what the lineage implies is asked, and nothing else. A question is asked anew where
    # the chunks that it is answered from are others.
    done = bench.explained(old, both, run=True)
    assert all(one.evaluation is not None for one in done.corners)
    first, last = bench.contexts(old.settings_hash), bench.contexts(both.settings_hash)
    touched = len(last - first)
    assert 0 < touched < asked
    assert bench.calls("generation") == 2 * asked + 2 * touched
    assert plan.n_calls <= 4 * touched + 2  # answers, and at most as many of the judge's
    assert new_dump.in_ledger > 0
    # The parts add up to the whole change, case by case, so in the mean.
    parts = done.parts["rubric_e2e_quality"]
    [metric] = [
        one
        for one in compare(bench.engine, str(old.id), str(both.id)).metrics
        if one.name == "rubric_e2e_quality"
    ]
    if all(one.metric.n_scored == metric.comparison.difference.n_scored for one in parts):
        total = sum(one.metric.value or 0.0 for one in parts)
        assert total == pytest.approx(metric.comparison.difference.value, abs=1e-6)
    assert "Shapley" in "\n".join(done.lines())
    rows = shown_page(bench.engine, f"{page}&explain=yes").tables["causes"]
    split = done.as_json()["parts"]
    assert [(row["measure"], row["cause"], float(row["part of the change"])) for row in rows] == [
        (name, one["cause"], one["part"]) for name, of in split.items() for one in of
    ]
    # What was made to tell causes apart is shown nowhere by itself; asked for, it costs nothing.
    assert newest_settings_hash(bench.engine) == shown
    calls = bench.calls()
    alone = bench.measured(bench.after, prompt=False)
    assert bench.calls() == calls
    assert newest_settings_hash(bench.engine) in {shown, alone.settings_hash}
    assert alone.id != next(
        one.evaluation for one in done.corners if one.from_b == frozenset({"dump"})
    )
