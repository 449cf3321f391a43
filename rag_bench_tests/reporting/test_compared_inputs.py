"""What differs behind two hashes, and what a word names as a side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from measured import metric
from sqlalchemy import Engine

from rag_bench.hashing import chunk_hash, content_hash
from rag_bench.llm.prompt_texts import MEASURED_PROMPTS, noted
from rag_bench.llm.tasks import prompts
from rag_bench.reporting.compared.comparing import compare
from rag_bench.reporting.compared.inputs import cause_of
from rag_bench.reporting.compared.sides import NothingToCompareError
from rag_bench.reporting.compared.text import whole
from rag_bench.store.datasets import Item, save_dataset
from rag_bench.store.evaluations import Case, NewEvaluation, save_evaluation
from rag_bench.store.releases.prompt_texts import keep_texts, texts_of
from rag_bench.store.snapshots import ChunkRecord, NewSnapshot, save_snapshot

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def changed_prompt(name: str) -> tuple[str, dict[str, str]]:
    """The prompts of the settings with a sentence more in one of them, and their hash."""
    texts = {one: prompts.load(one).hashed for one in MEASURED_PROMPTS}
    texts[name] = texts[name].replace("# user", "Be brief.\n\n# user", 1)
    return content_hash(texts), texts


def test_texts_of_prompts_are_found_by_their_hash_and_asked_by_again(engine: Engine) -> None:
    own = prompts.prompt_hash(MEASURED_PROMPTS)
    assert noted(own) == {one: prompts.load(one).hashed for one in MEASURED_PROMPTS}
    hashed, texts = changed_prompt("generation_answer")
    assert texts_of(engine, hashed) is None
    keep_texts(engine, hashed, texts)
    keep_texts(engine, hashed, {"lost": "as content is never changed"})
    stored = texts_of(engine, hashed)
    assert stored == texts
    # What was hashed is a whole prompt: asked by it, everything has the hash again.
    before = prompts.load("generation_answer").system
    with prompts.prompts_as(stored or {}):
        assert prompts.prompt_hash(MEASURED_PROMPTS) == hashed
        assert prompts.load("generation_answer").system.endswith("Be brief.")
        assert prompts.load("critic_groundedness") is prompts.load("critic_groundedness")
    assert prompts.load("generation_answer").system == before
    assert prompts.prompt_hash(MEASURED_PROMPTS) == own


def chunks(*changed: int) -> tuple[ChunkRecord, ...]:
    made = []
    for n in range(12):
        text = f"Правило {n}: справку приносят в кабинет {n} до десятого числа."
        if n in changed:
            text = text.replace("десятого", "двадцатого")
        page = f"https://help/p{n // 3}"
        made.append(ChunkRecord(chunk_hash(page, text), n, n, page, text))
    return tuple(made)


def snapshot(engine: Engine, sha256: str, records: tuple[ChunkRecord, ...]) -> None:
    save_snapshot(engine, NewSnapshot(sha256, "x.dump", "dump", 1, records, ()))


def evaluation(engine: Engine, **made: Any) -> int:
    data = save_dataset(engine, "gold", "manual", [Item(f"i{n}", f"Вопрос {n}?") for n in range(8)])
    new = NewEvaluation(
        tier="3",
        kind="answers",
        settings={},
        input_hash=content_hash(list(made.items())),
        started_at=NOW,
        dataset_id=data.id,
        metrics={"rougeL_f": metric(0.5)},
        **{"generation_model": "alpha/g1", **made},
    )
    cases = [Case(f"i{n}", scores={"rougeL_f": 0.5}) for n in range(8)]
    return save_evaluation(engine, new, cases, n_scored=8).id


def test_a_changed_prompt_is_named_with_its_lines(engine: Engine) -> None:
    own = prompts.prompt_hash(MEASURED_PROMPTS)
    hashed, texts = changed_prompt("generation_answer")
    keep_texts(engine, hashed, texts)
    a = evaluation(engine, settings_hash="aa11", prompt_hash=own, code_version="1-abc")
    b = evaluation(engine, settings_hash="bb22", prompt_hash=hashed, code_version="1-def")
    found = compare(engine, str(a), str(b))
    by_name = {one.name: one for one in found.inputs}
    differs = by_name["prompt_hash (3, answers)"]
    [prompt] = (differs.detail or {})["prompts"]
    assert (prompt["name"], prompt["how"]) == ("generation_answer", "changed")
    assert "+Be brief." in prompt["diff"]
    # The code is the same but for the prompts whose hash its version holds.
    assert {one.cause for one in found.inputs} == {"prompt"}
    assert "prompt generation_answer changed: +" in whole(found.as_json())
    # Texts that nobody stored are no empty ones.
    c = evaluation(engine, settings_hash="cc33", prompt_hash="0" * 64, code_version="1-abc")
    lost = compare(engine, str(a), str(c))
    assert "were not stored when it was measured" in whole(lost.as_json())


def test_the_chunks_of_two_dumps_are_listed_by_page(engine: Engine) -> None:
    snapshot(engine, "d1" * 32, chunks())
    snapshot(engine, "d2" * 32, (*chunks(1, 7)[:11],))
    a = evaluation(engine, settings_hash="aa11", dump_sha256="d1" * 32)
    b = evaluation(engine, settings_hash="bb22", dump_sha256="d2" * 32)
    found = compare(engine, str(a), f"evaluation:{b}")
    [dump] = found.inputs
    detail = dump.as_json()["detail"]
    counts = {name: detail[name] for name in ("added", "removed", "changed", "unchanged")}
    assert counts == {"added": 0, "removed": 1, "changed": 2, "unchanged": 9}
    assert detail["pages"] == {
        "https://help/p0": {"changed": 1},
        "https://help/p2": {"changed": 1},
        "https://help/p3": {"removed": 1},
    }
    listed = {(one["how"], one["page_url"]) for one in detail["chunks"]}
    assert ("removed", "https://help/p3") in listed
    assert len(detail["chunks"]) == 3
    assert dump.cause == "dump"
    # The dumps themselves, and the settings, by their beginnings.
    by_dump = compare(engine, "dump:d1d1", "d2d2")
    assert (by_dump.a.kind, by_dump.b.id) == ("dump", "d2" * 6)
    assert [one.name for one in by_dump.metrics] == ["3.rougeL_f of alpha/g1"]
    by_settings = compare(engine, "settings:aa11", "bb22")
    assert by_settings.n_pairs == 8
    assert by_settings.metrics[0].higher_is_better is True


def test_what_may_mean_several_things_is_listed(engine: Engine) -> None:
    snapshot(engine, "ab12" * 16, chunks())
    for settings in ("ab12cd", "ab12ce"):
        for model in ("alpha/g1", "alpha/g10"):
            evaluation(engine, settings_hash=settings, generation_model=model)
    with pytest.raises(NothingToCompareError) as several:
        compare(engine, "ab12", "ab12cd")
    assert several.value.several
    for named in ("settings:ab12cd", "settings:ab12ce", f"dump:{'ab12' * 16}"):
        assert named in str(several.value)
    with pytest.raises(NothingToCompareError, match="may mean 2 things"):
        compare(engine, "alpha/g", "alpha/g1")
    # A whole name beats the beginning of another.
    found = compare(engine, "alpha/g1", "alpha/g10")
    assert (found.a.id, found.b.id) == ("alpha/g1@ab12ce", "alpha/g10@ab12ce")
    assert compare(engine, "ab12cd", "alpha/g10@ab12cd").n_pairs == 8
    # A dump on which nothing was measured is no side.
    with pytest.raises(NothingToCompareError, match="nothing measured of"):
        compare(engine, f"dump:{'ab12' * 16}", "ab12cd")


def test_every_difference_is_of_a_kind() -> None:
    assert cause_of("generation_model") == "model"
    assert cause_of("prompt_hash (2, scores)", "a", "b") == "prompt"
    assert cause_of("ragas_prompt_hash") == "prompt"
    assert cause_of("code_version (3, answers)", "1-a", "1-b") == "prompt"
    assert cause_of("code_version (3, answers)", "1-a", "2-a") == "code"
    assert cause_of("consistency_runs") == "settings"
