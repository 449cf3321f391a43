"""Terms of texts, kept by version and text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from rag_bench.hashing import text_hash
from rag_bench.store.retrieving import chunk_terms
from rag_bench.store.retrieving.chunk_terms import save_terms, stored_terms

ONE, TWO, THREE = (text_hash(name) for name in ("один", "два", "три"))


def test_what_is_saved_is_read_back(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunk_terms, "_READ_BLOCK", 2)
    rows = {ONE: ["справк", "справк", "408"], TWO: [], THREE: ["奖", "學"]}
    assert save_terms(engine, "1", rows) == 3
    assert dict(stored_terms(engine, "1", [THREE, ONE, TWO, ONE, "f" * 64])) == rows
    assert list(stored_terms(engine, "1", [])) == []


def test_terms_by_other_rules_are_not_read(engine: Engine) -> None:
    save_terms(engine, "1", {ONE: ["слово"]})
    assert dict(stored_terms(engine, "2", [ONE])) == {}
    assert save_terms(engine, "2", {ONE: ["слов"]}) == 1
    assert dict(stored_terms(engine, "1", [ONE])) == {ONE: ["слово"]}


def test_stored_terms_are_never_changed(engine: Engine) -> None:
    assert save_terms(engine, "1", {ONE: ["да"]}) == 1
    assert save_terms(engine, "1", {ONE: ["нет"], TWO: ["нет"]}) == 1
    assert save_terms(engine, "1", {}) == 0
    assert dict(stored_terms(engine, "1", [ONE, TWO])) == {ONE: ["да"], TWO: ["нет"]}


@pytest.mark.parametrize("term", ["", "два слова", "конец\n"])
def test_what_would_be_read_back_otherwise_is_refused(engine: Engine, term: str) -> None:
    with pytest.raises(ValueError, match="must be a word"):
        save_terms(engine, "1", {ONE: ["слово"], TWO: [term]})
    assert list(stored_terms(engine, "1", [ONE, TWO])) == []


def test_several_may_store_the_same_at_once(engine: Engine) -> None:
    rows = {text_hash(f"текст {number}"): ["текст", str(number)] for number in range(500)}
    with ThreadPoolExecutor(4) as pool:
        orders = [dict(sorted(rows.items(), reverse=turn % 2 == 0)) for turn in range(4)]
        new = list(pool.map(lambda given: save_terms(engine, "1", given), orders))
    assert sum(new) == 500
    assert dict(stored_terms(engine, "1", rows)) == rows
