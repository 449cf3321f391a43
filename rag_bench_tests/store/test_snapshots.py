"""Snapshots: stored whole or not at all, never rewritten, one pointer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, overload

import pytest
from sqlalchemy import Engine, text

from rag_bench.errors import DumpError
from rag_bench.hashing import chunk_hash, text_hash
from rag_bench.store.snapshots import (
    ChunkRecord,
    NewSnapshot,
    QuestionRecord,
    chunks_of,
    clear_current,
    current_snapshot,
    diff_chunks,
    get_snapshot,
    list_snapshots,
    questions_of,
    require_current,
    save_snapshot,
    set_current,
    set_default_dataset,
    snapshot_exists,
)


def chunks(*rows: tuple[str, str], first_id: int = 1) -> list[ChunkRecord]:
    return [
        ChunkRecord(chunk_hash(url, body), position, first_id + position, url, body)
        for position, (url, body) in enumerate(rows)
    ]


RULES = "Стипендия назначается приказом ректора два раза в год по итогам сессии."
HOSTEL = "Общежитие предоставляют иногородним студентам\tочной формы.\n\\N \\. конец"
CARD = "A library card is issued in room 12 on weekdays."
ROWS = (("kb/1", RULES), ("kb/2", HOSTEL), ("kb/2", CARD))
QUESTIONS = [
    QuestionRecord(
        7,
        "где\tобщага\\?\n",
        "",
        "kb/2",
        5,
        42,
        True,
        datetime(2026, 2, 1, 10, 0, 0, 5, tzinfo=UTC),
    ),
    QuestionRecord(9, "привет"),
]


def new(sha: str, rows: Sequence[ChunkRecord] | None = None, **more: Any) -> NewSnapshot:
    return NewSnapshot(
        sha256=sha,
        name=f"{sha}.dump",
        kind="dump",
        size_bytes=10,
        chunks=chunks(*ROWS) if rows is None else rows,
        questions=QUESTIONS,
        report={"warnings": ["ё"]},
        **more,
    )


def count(engine: Engine, table: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(f"select count(*) from rag_bench.{table}")).scalar_one())


def test_save_and_read_back(engine: Engine) -> None:
    assert current_snapshot(engine) is None
    report = save_snapshot(engine, new("a"))
    assert (report.reused, report.previous_sha256, report.diff) == (False, None, None)
    info = require_current(engine)
    assert info == report.snapshot == get_snapshot(engine, "a")
    assert (info.n_chunks, info.n_questions, info.kind) == (3, 2, "dump")
    assert info.report == {"warnings": ["ё"]}
    assert chunks_of(engine, "a") == chunks(*ROWS)
    assert questions_of(engine, "a") == QUESTIONS
    with engine.connect() as connection:
        hashes = connection.execute(
            text("select text_hash from rag_bench.chunk order by position")
        ).scalars()
        assert list(hashes) == [text_hash(body) for _, body in ROWS]


def test_the_same_file_is_not_written_again(engine: Engine) -> None:
    first = save_snapshot(engine, new("a")).snapshot
    save_snapshot(engine, new("b", chunks(("kb/1", RULES))))
    again = save_snapshot(engine, new("a", chunks(("kb/9", "другое содержимое"))))
    assert again.reused
    assert again.snapshot == first
    assert again.previous_sha256 == "b"
    assert require_current(engine).sha256 == "a"
    assert len(chunks_of(engine, "a")) == 3
    assert count(engine, "dump") == 2


def test_reindexed_snapshot_has_no_difference(engine: Engine) -> None:
    before = save_snapshot(engine, new("a"))
    after = save_snapshot(engine, new("b", chunks(*reversed(ROWS), first_id=92_400)))
    assert after.snapshot.corpus_hash == before.snapshot.corpus_hash
    assert after.diff is not None
    assert after.diff.empty
    counts = after.to_json()["diff"]
    assert [counts[k] for k in ("added", "removed", "changed", "unchanged")] == [0, 0, 0, 3]


def test_changed_snapshot_says_what_changed(engine: Engine) -> None:
    save_snapshot(engine, new("a"))
    changed = RULES.replace("два раза", "один раз")
    report = save_snapshot(
        engine, new("b", chunks(("kb/1", changed), ("kb/2", HOSTEL), ("kb/3", "Новая страница")))
    )
    diff = report.to_json()["diff"]
    assert (diff["added"], diff["removed"], diff["changed"]) == (1, 1, 1)
    assert diff["examples"]["added"] == [{"page_url": "kb/3", "text": "Новая страница"}]
    assert diff["examples"]["removed"] == [{"page_url": "kb/2", "text": CARD}]
    assert diff["examples"]["changed"][0]["after"] == changed
    assert diff["examples"]["changed"][0]["similarity"] > 85
    stored = require_current(engine).report
    assert stored["diff"] == {"previous_sha256": "a", **diff}
    assert stored["warnings"] == ["ё"]


class Failing(Sequence[QuestionRecord]):
    """Fails in the middle of being written."""

    def __len__(self) -> int:
        return 3

    @overload
    def __getitem__(self, index: int) -> QuestionRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[QuestionRecord]: ...
    def __getitem__(self, index: Any) -> Any:
        raise AssertionError

    def __iter__(self) -> Iterator[QuestionRecord]:
        yield QUESTIONS[0]
        yield QUESTIONS[1]
        raise KeyboardInterrupt


def test_a_load_that_dies_leaves_nothing(engine: Engine) -> None:
    save_snapshot(engine, new("good"))
    with pytest.raises(KeyboardInterrupt):
        save_snapshot(engine, replace(new("bad", chunks(("kb/9", "x"))), questions=Failing()))
    assert require_current(engine).sha256 == "good"
    assert not snapshot_exists(engine, "bad")
    assert [count(engine, name) for name in ("dump", "chunk", "question_answer")] == [1, 3, 2]
    # The same connection pool still works, and the same file can be loaded after.
    assert not save_snapshot(engine, new("bad", chunks(("kb/9", "x")))).reused


def test_refused_by_the_database_leaves_nothing(engine: Engine) -> None:
    save_snapshot(engine, new("good"))
    with pytest.raises(Exception, match="duplicate key"):
        save_snapshot(engine, new("bad", chunks(("kb/9", "x")) * 2))
    assert require_current(engine).sha256 == "good"
    assert count(engine, "dump") == 1
    with pytest.raises(DumpError, match="without chunks"):
        save_snapshot(engine, new("empty", []))


def test_killed_connection_leaves_nothing(engine: Engine) -> None:
    save_snapshot(engine, new("good"))

    class Cut(Failing):
        def __iter__(self) -> Iterator[QuestionRecord]:
            yield QUESTIONS[0]
            with engine.connect() as other:
                other.execute(
                    text(
                        "select pg_terminate_backend(pid) from pg_stat_activity "
                        "where datname = current_database() and pid <> pg_backend_pid()"
                    )
                )
            for number in range(100_000):
                yield replace(QUESTIONS[1], source_id=100 + number)

    with pytest.raises(Exception, match=r"terminat|closed|lost"):
        save_snapshot(engine, replace(new("bad", chunks(("kb/9", "x"))), questions=Cut()))
    assert require_current(engine).sha256 == "good"
    assert count(engine, "chunk") == 3


def test_two_loads_at_once(engine: Engine) -> None:
    reports = []
    errors = []

    def load(sha: str) -> None:
        try:
            reports.append(save_snapshot(engine, new(sha)))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=load, args=(sha,)) for sha in "aabbab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(report.reused for report in reports) == [False, False, True, True, True, True]
    assert count(engine, "dump") == 2
    assert count(engine, "current_snapshot") == 1


def test_the_pointer(engine: Engine) -> None:
    with pytest.raises(DumpError, match="rag-bench load-dump PATH"):
        require_current(engine)
    save_snapshot(engine, new("a"))
    save_snapshot(engine, new("b"))
    assert set_current(engine, "a").sha256 == "a"
    assert require_current(engine).sha256 == "a"
    with pytest.raises(DumpError, match="No snapshot zzz"):
        set_current(engine, "zzz")
    assert require_current(engine).sha256 == "a"
    assert clear_current(engine)
    assert not clear_current(engine)
    assert current_snapshot(engine) is None
    assert {info.sha256 for info in list_snapshots(engine)} == {"a", "b"}
    assert len(chunks_of(engine, "a")) == 3


def test_default_dataset(engine: Engine) -> None:
    save_snapshot(engine, new("a", default_dataset_id="first"))
    assert require_current(engine).default_dataset_id == "first"
    set_default_dataset(engine, "a", "second")
    assert require_current(engine).default_dataset_id == "second"
    save_snapshot(engine, new("a"))
    assert require_current(engine).default_dataset_id == "second"
    with pytest.raises(DumpError, match="No snapshot"):
        set_default_dataset(engine, "zzz", "x")


def test_best_pairs_come_first() -> None:
    base = "Заявление на академический отпуск подают в деканат не позднее 1 сентября"
    close, far = base + " 2026 года", base.replace("академический отпуск", "перевод") + " лично"
    old = chunks(("p", base))
    diff = diff_chunks(old, chunks(("p", far), ("p", close)))
    assert [(a.text, b.text) for a, b, _ in diff.changed] == [(base, close)]
    assert [row.text for row in diff.added] == [far]
    assert diff.removed == []


def test_pages_are_not_mixed() -> None:
    diff = diff_chunks(chunks(("p", RULES)), chunks(("q", RULES)))
    assert (len(diff.added), len(diff.removed), len(diff.changed)) == (1, 1, 0)


def test_different_texts_are_no_pair() -> None:
    diff = diff_chunks(chunks(("p", "абвгд")), chunks(("p", "xyz 123")))
    assert (len(diff.added), len(diff.removed), len(diff.changed)) == (1, 1, 0)


def test_huge_pages_are_not_paired() -> None:
    old = chunks(*(("p", f"старый {n}") for n in range(300)))
    diff = diff_chunks(old, chunks(*(("p", f"старый {n}!") for n in range(300))))
    assert (len(diff.added), len(diff.removed), diff.changed) == (300, 300, [])
    assert diff.uncompared_pages == ["p"]
