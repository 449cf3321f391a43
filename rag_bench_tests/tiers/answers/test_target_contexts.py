"""Which chunks an assistant means, by every way in which it may name them."""

from __future__ import annotations

import pytest

from rag_bench.llm.reading.target_reply import Named
from rag_bench.store.snapshots import ChunkRecord
from rag_bench.tiers.answers.targets.target_contexts import Resolver

PAGE = "https://uni.example/help/spravka"
OTHER = "https://uni.example/help/hostel"
RULES = "Справку об обучении выдаёт деканат в течение трёх рабочих дней после заявки."
PRICE = "Справка бесплатна; за срочность взимается плата по прейскуранту университета."
HOSTEL = "Заявление на место в общежитии подают до первого сентября через личный кабинет."
CHUNKS = [
    ChunkRecord("h-rules", 0, 11, PAGE, RULES),
    ChunkRecord("h-price", 1, 12, PAGE, PRICE),
    ChunkRecord("h-hostel", 2, "a-13", OTHER, HOSTEL),
]
CHANGED = "Справку об обучении выдаёт деканат в течение трёх дней, если подать заявку"


def resolve(reference: str | None = None, text: str | None = None) -> tuple[str, list[str], object]:
    [found] = Resolver(CHUNKS, 0.5).resolve([Named(reference, text)])
    return found.by, [chunk.chunk_hash for chunk in found.chunks], found.page


@pytest.mark.parametrize(
    ("reference", "text", "by", "chunks"),
    [
        ("h-price", None, "hash", ["h-price"]),
        ("12", None, "id", ["h-price"]),
        ("a-13", "что угодно", "id", ["h-hostel"]),
        # Numbers of its own that are ids here, too.
        ("12", RULES, "text", ["h-rules"]),
        ("12", CHANGED, "similarity", ["h-rules"]),
        ("11", CHANGED, "id", ["h-rules"]),
        (None, RULES.upper(), "text", ["h-rules"]),
        (None, "выдаёт деканат в течение трёх рабочих дней", "text", ["h-rules"]),
        (None, f"# Справки\n{RULES}\n\n{PRICE}", "text", ["h-rules", "h-price"]),
        (None, CHANGED, "similarity", ["h-rules"]),
        (PAGE, CHANGED, "similarity", ["h-rules"]),
        (PAGE, RULES, "text", ["h-rules"]),
        ("unknown", RULES, "text", ["h-rules"]),
        (None, "h-price", "hash", ["h-price"]),
        (None, "12", "id", ["h-price"]),
    ],
)
def test_found(reference: str | None, text: str | None, by: str, chunks: list[str]) -> None:
    found = resolve(reference, text)
    assert found[:2] == (by, chunks)


@pytest.mark.parametrize(
    "address",
    [
        PAGE,
        f"{PAGE}/",
        f"{PAGE}#section",
        PAGE.replace("https", "http"),
        PAGE.replace("uni", "www.uni"),
        PAGE.replace("uni", "UNI"),
    ],
)
def test_a_page_is_known_by_any_spelling_of_its_address(address: str) -> None:
    assert resolve(address) == ("page", [], PAGE)
    assert resolve(None, address) == ("page", [], PAGE)


def test_another_page_is_another() -> None:
    assert resolve("https://uni.example/help/spravka?id=2") == ("nothing", [], None)
    # The text is of another page than the one that is named: only the name is believed.
    assert resolve(PAGE, HOSTEL) == ("page", [], PAGE)


def test_what_is_nowhere_is_kept_as_it_was_said() -> None:
    text = "В библиотеке можно взять пять книг на две недели и продлить их на сайте."
    resolver = Resolver(CHUNKS, 0.5)
    [found] = resolver.resolve([Named("x-1", text)])
    assert found.by == "nothing"
    assert found.rows() == [{"by": "nothing", "reference": "x-1", "text": text}]
    [fragment] = found.fragments([])
    assert (fragment.chunk_hash, fragment.text) == ("", text)
    [nameless] = resolver.resolve([Named("x-1")])
    assert nameless.rows() == [{"by": "nothing", "reference": "x-1"}]
    assert nameless.fragments([]) == []


def test_a_judge_reads_what_the_assistant_read() -> None:
    resolver = Resolver(CHUNKS, 0.5)
    [alike] = resolver.resolve([Named(None, CHANGED)])
    assert [f.text for f in alike.fragments([])] == [CHANGED]
    [row] = alike.rows()
    assert (row["chunk_hash"], row["text"]) == ("h-rules", CHANGED)
    assert 0.5 <= row["similarity"] < 1
    [same] = resolver.resolve([Named(None, RULES.lower())])
    assert "text" not in same.rows()[0]
    [page] = resolver.resolve([Named(PAGE)])
    assert [f.text for f in page.fragments(resolver.of_page(page.page))] == [RULES, PRICE]


def test_an_id_tells_equal_texts_of_two_pages_apart() -> None:
    twins = [*CHUNKS, ChunkRecord("h-twin", 3, 14, OTHER, RULES)]
    resolver = Resolver(twins, 0.5)
    for text in (RULES, CHANGED, "деканат в течение трёх рабочих дней"):
        [found] = resolver.resolve([Named("14", text)])
        assert (found.by, [chunk.chunk_hash for chunk in found.chunks]) == ("id", ["h-twin"])


def test_the_threshold_decides() -> None:
    [found] = Resolver(CHUNKS, 0.95).resolve([Named(None, CHANGED)])
    assert found.by == "nothing"
    assert found.similarity is not None
