"""Labels of made-up answers: found by their words, durable, shared between processes."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import Engine, func, insert, select

from rag_bench.hashing import chunk_hash, text_hash
from rag_bench.llm.tasks import prompts
from rag_bench.simulator.answer_key import answer_key_from_database
from rag_bench.simulator.app import Simulator
from rag_bench.simulator.truth import MemoryTruth, PostgresTruth, Quality
from rag_bench.store import tables

QUESTION, ANSWER = "Когда пересдачи?", "С 8 по 28 февраля."
SAME = [
    "с 8 по 28 февраля",
    " С 8 по 28 февраля. [1]",
    "С 8 по 28 февраля [1][2].",
    "С  8 по 28\nфевраля!",
]


@pytest.fixture(params=["memory", "postgres"])
def truth(request):
    if request.param == "memory":
        return MemoryTruth()
    return PostgresTruth(request.getfixturevalue("engine"))


def test_a_label_is_found_by_the_words(truth):
    truth.remember(QUESTION, ANSWER, Quality.wrong)
    for text in SAME:
        assert truth.recall("когда пересдачи", text) is Quality.wrong
    assert truth.recall(QUESTION, "С 8 по 29 февраля.") is None
    assert truth.recall("Где пересдачи?", ANSWER) is None


def test_the_first_label_stays(truth):
    truth.remember(QUESTION, ANSWER, Quality.correct)
    truth.remember(QUESTION, ANSWER, Quality.wrong)
    assert truth.recall(QUESTION, ANSWER) is Quality.correct


def test_labels_are_shared_at_once_and_survive(engine: Engine):
    one, other = PostgresTruth(engine), PostgresTruth(engine)
    assert other.recall(QUESTION, ANSWER) is None  # absence is not remembered
    one.remember(QUESTION, ANSWER, Quality.partial)
    assert other.recall(QUESTION, ANSWER) is Quality.partial
    other.remember(QUESTION, ANSWER, Quality.wrong)
    third = PostgresTruth(engine)
    assert third.recall(QUESTION, ANSWER) is Quality.partial
    with engine.connect() as connection:
        count = select(func.count()).select_from(tables.simulated_truth)
        assert connection.execute(count).scalar_one() == 1


def test_the_label_is_written_before_the_reply_and_never_in_it(engine: Engine, key, entries):
    simulator = Simulator(key, PostgresTruth(engine))

    async def run():
        bodies = [
            {
                "messages": prompts.render(
                    "generation_answer", question=entry.question, context=list(entry.chunk_texts)
                )
            }
            for entry in entries[:60]
        ]
        return await asyncio.gather(*(simulator.reply("sim-weak", body, 0) for body in bodies))

    fresh = PostgresTruth(engine)
    for entry, text in zip(entries, asyncio.run(run()), strict=False):
        assert fresh.recall(entry.question, text) is not None
        assert not any(quality in text for quality in Quality)


def test_the_key_is_read_from_all_datasets(engine: Engine):
    url, text = "https://help.example/a", "Пересдачи идут с 8 по 28 февраля."
    address = chunk_hash(url, text)
    with engine.begin() as connection:
        connection.execute(
            insert(tables.dump).values(
                sha256="d",
                name="d",
                kind="dump",
                size_bytes=1,
                corpus_hash="c",
                n_chunks=1,
                n_questions=0,
            )
        )
        connection.execute(
            insert(tables.chunk).values(
                dump_sha256="d",
                chunk_hash=address,
                position=0,
                page_url=url,
                text=text,
                text_hash=text_hash(text),
            )
        )
        for name, kind in (("gold", "manual"), ("pairs", "show_hide")):
            connection.execute(
                insert(tables.dataset).values(id=name, name=name, kind=kind, n_items=1)
            )
        connection.execute(
            insert(tables.dataset_item),
            [
                {
                    "dataset_id": "gold",
                    "item_id": "1",
                    "position": 0,
                    "question": QUESTION,
                    "reference_answer": ANSWER,
                    "chunk_hashes": [address, "gone"],
                    "details": {},
                },
                {
                    "dataset_id": "pairs",
                    "item_id": "1",
                    "position": 0,
                    "question": QUESTION,
                    "reference_answer": None,
                    "chunk_hashes": [],
                    "details": {"answer": "Никогда.", "context": "", "ground_truth_show": False},
                },
            ],
        )
    key = answer_key_from_database(engine)
    found = key.find("КОГДА ПЕРЕСДАЧИ")
    assert found is not None
    assert (found.reference_answer, found.chunk_texts) == (ANSWER, (text,))
    assert key.label(QUESTION, "никогда") is False
    assert answer_key_from_database(engine).label(QUESTION, ANSWER) is None
