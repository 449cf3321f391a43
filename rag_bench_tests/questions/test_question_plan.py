"""Which questions are to be written: dealt evenly, by content, and paired with sense."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.hashing import chunk_hash
from rag_bench.questions.plan import deal, parse_types, with_second_chunks
from rag_bench.questions.writer import QuestionType
from rag_bench.store.snapshots import ChunkRecord

ALL = tuple(QuestionType)


def chunk(number: int, page: str = "", text: str = "") -> ChunkRecord:
    page, text = page or f"https://h/{number % 7}", text or f"Текст номер {number}"
    return ChunkRecord(chunk_hash(page, text), number, number, page, text)


CHUNKS = [chunk(number) for number in range(40)]


@pytest.mark.parametrize("per_chunk", [1, 2, 4, 6, 7])
def test_types_are_dealt_evenly_in_every_sample(per_chunk):
    wishes = deal(CHUNKS, ALL, per_chunk)
    assert len(wishes) == len({wish.item_id for wish in wishes}) == len(CHUNKS) * per_chunk
    for most in (1, 6, 13, 40, None):
        sample = deal(CHUNKS, ALL, per_chunk, most)
        assert sample == wishes[:most]
        counts = [Counter(wish.type for wish in sample)[kind] for kind in ALL]
        assert max(counts) - min(counts) <= 1
    of_chunk = Counter((wish.chunk.chunk_hash, wish.type) for wish in wishes)
    assert max(of_chunk.values()) == -(-per_chunk // len(ALL))


def test_order_and_ids_of_a_dump_do_not_matter_and_blank_chunks_ask_nothing():
    again = [
        ChunkRecord(c.chunk_hash, 99 - c.position, c.position + 900, c.page_url, c.text)
        for c in reversed(CHUNKS)
    ]
    blank = ChunkRecord("0" * 64, 1, 1, "https://h/0", " \n")
    ids = [wish.item_id for wish in deal(CHUNKS, ALL, 2)]
    assert [wish.item_id for wish in deal([*again, blank], ALL, 2)] == ids
    # The first of a sample are not the first of the dump.
    assert [w.chunk.position for w in deal(CHUNKS, ALL, 1, 5)] != [0, 1, 2, 3, 4]


def test_types_are_named_exactly():
    assert parse_types(["two_chunk", "simple"]) == (QuestionType.two_chunk, QuestionType.simple)
    for names, why in (
        ([], "none given"),
        (["simple", "hard"], "hard"),
        (["simple", "simple"], "twice"),
    ):
        with pytest.raises(ConfigurationError, match=why):
            parse_types(names)


def test_the_second_chunk_is_the_nearest_that_says_something_else_on_another_page():
    chunks = [
        chunk(0, "https://h/a", "Стипендия"),
        chunk(1, "https://h/a", "Общежитие"),  # nearest, on the same page
        chunk(2, "https://h/b", "стипендия!"),  # the same words
        chunk(3, "https://h/c", "Ещё о стипендии"),  # 0.99: the same said again
        chunk(4, "https://h/c", "Повышенная стипендия"),  # 0.9
        chunk(5, "https://h/d", "Столовая"),  # 0.1
    ]
    near = [1.0, 0.95, 0.5, 0.99, 0.9, 0.1]
    vectors = np.array([[c, (1 - c * c) ** 0.5] for c in near], dtype=np.float32)
    wishes = deal(chunks, [QuestionType.two_chunk])
    by_place = {w.chunk.position: w for w in with_second_chunks(wishes, chunks, vectors)}
    assert by_place[0].second is chunks[4]
    assert by_place[0].item_id.endswith(f"_two_chunk_{chunks[4].chunk_hash[:8]}")
    assert all(w.second and w.second is not w.chunk for w in by_place.values())
    # On one page only, its other chunk; alone, none.
    for kept, second in ((chunks[:2], chunks[1]), (chunks[:1], None)):
        wishes = deal(kept, [QuestionType.two_chunk])
        [found] = [
            w
            for w in with_second_chunks(wishes, kept, vectors[: len(kept)])
            if w.chunk.position == 0
        ]
        assert found.second is second
