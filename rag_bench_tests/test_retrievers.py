"""The file of retrievers: what it declares, what is hashed of it, and how it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.retrievers import (
    DEFAULT,
    SHIPPED,
    HttpReranker,
    Retriever,
    rerankers,
    retriever_named,
    retrievers,
)
from rag_bench.settings import Settings


def of_file(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return Settings(retrievers=path)


def only(tmp_path: Path, body: str, more: str = "") -> Retriever:
    settings = of_file(tmp_path, f"[retrievers.mine]\n{body}\n{more}")
    return retrievers(settings)["mine"]


def test_the_shipped_file_has_five_with_default() -> None:
    found = retrievers(Settings())
    assert list(found) == [DEFAULT, "bm25", "hybrid", "hybrid_late", "dense_hnsw"]
    assert [one.name for one in found.values()] == list(found)
    assert found["hybrid_late"].reranks == rerankers(Settings())["late_interaction"]
    assert found["hybrid"].searches == ("dense_exact", "bm25")
    assert len({str(one.content()) for one in found.values()}) == 5
    assert SHIPPED.parent.name == "rag_bench"


@pytest.mark.parametrize(("word", "search"), [("exact", "dense_exact"), ("hnsw", "dense_hnsw")])
def test_default_is_what_the_settings_say(word: str, search: str) -> None:
    default = retriever_named(Settings(search=word), DEFAULT)
    assert (default.search, default.encoder, default.reranker) == (search, "", "")
    assert (default.top_k, default.threshold) == (None, None)


def test_a_file_of_ones_own_replaces_the_shipped(tmp_path: Path) -> None:
    settings = of_file(tmp_path, "[retrievers.'слова']\nsearch = 'bm25'")
    with pytest.raises(ConfigurationError, match="lower-case letters"):
        retrievers(settings)
    settings = of_file(tmp_path, '[retrievers.words-2]\nsearch = "bm25"\nbm25 = {k1 = 2}')
    assert list(retrievers(settings)) == [DEFAULT, "words-2"]
    assert retriever_named(settings, "words-2").bm25.k1 == 2
    with pytest.raises(ConfigurationError) as raised:
        retriever_named(settings, "hybrid")
    assert "no retriever 'hybrid'. There are: default, words-2" in str(raised.value)
    assert "mine.toml" in str(raised.value)


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_BENCH_RETRIEVERS", "")
    assert "hybrid" in retrievers(Settings())


def test_an_empty_file_leaves_default(tmp_path: Path) -> None:
    assert list(retrievers(of_file(tmp_path, ""))) == [DEFAULT]


def test_the_hash_is_of_content_and_of_nothing_else(tmp_path: Path) -> None:
    plain = only(tmp_path, 'search = "bm25"').content()
    # Read by no BM25 search, or by the run.
    for line in ("candidates = 7", 'encoder = "e"', "rrf_k = 9", "top_k = 4", "threshold = 0.5"):
        assert only(tmp_path, f'search = "bm25"\n{line}').content() == plain, line
    hybrid = only(tmp_path, 'search = "hybrid"').content()
    changed = [
        only(tmp_path, f'search = "hybrid"\n{line}').content()
        for line in (
            "candidates = 7",
            'encoder = "e"',
            "rrf_k = 9",
            "bm25 = {b = 0.5}",
            'fuse = ["dense_exact", "dense_hnsw"]',
        )
    ]
    assert len({str(one) for one in [plain, hybrid, *changed]}) == 7
    turned = only(tmp_path, 'search = "hybrid"\nfuse = ["bm25", "dense_exact"]').content()
    assert turned == hybrid
    # Parameters of BM25 are nothing to a search by vectors.
    assert only(tmp_path, 'search = "dense_exact"\nbm25 = {b = 0.5}').content() == {
        "search": "dense_exact"
    }


def test_a_reranker_is_hashed_by_what_it_is_and_has_no_secret(tmp_path: Path) -> None:
    def with_reranker(name: str, body: str) -> Retriever:
        return only(
            tmp_path, f'search = "bm25"\nreranker = "{name}"', f"[rerankers.{name}]\n{body}"
        )

    http = 'kind = "http"\nurl = "https://rank.example/v1/rerank"\nmodel = "m"'
    one = with_reranker("a", f'{http}\napi_key_variable = "RANK_KEY"')
    other = with_reranker("b", http)
    assert one.content() == other.content()
    assert isinstance(one.reranks, HttpReranker)
    assert one.reranks.api_key_variable == "RANK_KEY"
    assert "RANK_KEY" not in str(one.content())
    assert with_reranker("b", http.replace('"m"', '"n"')).content() != other.content()
    cross = with_reranker("c", 'kind = "cross_encoder"\nmodel = "folder"\nbatch_size = 4')
    assert cross.content()["reranker"] == {
        "kind": "cross_encoder",
        "model": "folder",
        "max_tokens": None,
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[retriever.a]", "there is no table 'retriever'. Allowed: retrievers, rerankers"),
        ("retrievers = 3", "retrievers: should hold tables [retrievers.NAME]"),
        ("[retrievers]\na = 3", "retrievers: 'a' should be a table [retrievers.a]"),
        ("[retrievers.a]\nx = = 1", "is no TOML"),
        ("[retrievers.a]", "[retrievers.a]: search: it is missing. Allowed: dense_exact, "),
        ("[retrievers.default]\nsearch = 'bm25'", "[retrievers.default]: 'default' is reserved"),
        (
            "[retrievers.a]\nsearch = 'bm52'",
            "[retrievers.a]: search: Input should be 'dense_exact', 'dense_hnsw', 'bm25' or "
            "'hybrid', not 'bm52'",
        ),
        ("[retrievers.a]\nsearch = 'bm25'\ntopk = 3", "there is no key 'topk'. Allowed: search, "),
        ("[retrievers.a]\nsearch = 'bm25'\nreranks = 3", "there is no key 'reranks'"),
        ("[retrievers.a]\nsearch = 'bm25'\nname = 'b'", "there is no key 'name'"),
        ("[retrievers.a]\nsearch = 'bm25'\ntop_k = 0", "top_k: Input should be greater than"),
        ("[retrievers.a]\nsearch = 'bm25'\ntop_k = '3'", "top_k: Input should be a valid integer"),
        ("[retrievers.a]\nsearch = 'bm25'\nthreshold = nan", "threshold: Input should be a finite"),
        (
            "[retrievers.a]\nsearch = 'bm25'\nbm25 = {k = 3}",
            "[retrievers.a.bm25]: there is no key 'k'. Allowed: k1, b, method",
        ),
        ("[retrievers.a]\nsearch = 'bm25'\nbm25.b = 2", "bm25.b: Input should be less than"),
        (
            "[retrievers.a]\nsearch = 'bm25'\nreranker = 'b'",
            "reranker: there is no [rerankers.b] in this file. There are: none",
        ),
        (
            "[retrievers.a]\nsearch = 'hybrid'\nfuse = ['bm25', 'splade']",
            "fuse.1: Input should be 'dense_exact', 'dense_hnsw' or 'bm25', not 'splade'",
        ),
        ("[retrievers.a]\nsearch = 'hybrid'\nfuse = ['bm25']", "two or more different ones"),
        ("[retrievers.a]\nsearch = 'hybrid'\nfuse = ['bm25', 'bm25']", "two or more different"),
        (
            "[retrievers.a]\nsearch = 'hybrid'\ncandidates = 5\ntop_k = 6",
            "top_k: 6 chunks cannot be chosen among 5 candidates",
        ),
        ("[rerankers.a]", "[rerankers.a]: kind: it is missing. Allowed: late_interaction, cross"),
        ("[rerankers.a]\nkind = 'x'", "kind: there is no 'x'. Allowed: late_interaction, cross"),
        ("[rerankers.a]\nkind = 'cross_encoder'", "[rerankers.a]: model: Field required"),
        ("[rerankers.a]\nkind = 'http'\nurl = 'ftp://x'", "[rerankers.a]: url: String should"),
        (
            "[rerankers.a]\nkind = 'http'\nurl = 'http://x'\nkey = 'secret'",
            "[rerankers.a]: there is no key 'key'. Allowed: kind, url, model, ",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        retrievers(of_file(tmp_path, text))
    assert said in str(raised.value)
    assert "RAG_BENCH_RETRIEVERS: " in str(raised.value)
    assert "mine.toml" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read .* Unset, the file"):
        retrievers(Settings(retrievers=tmp_path / "none.toml"))
