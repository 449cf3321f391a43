"""Rerankers of this machine: scores once made are kept, ties stay in order, faults have a code."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine, text

from rag_bench.errors import CaseError, ConfigurationError, ErrorCode
from rag_bench.retrieval.rerankers.local import LocalReranker
from rag_bench.retrieval.rerankers.opening import local_content, open_local
from rag_bench.retrieval.rerankers.pairs import Candidates, Scores, failures, reordered
from rag_bench.retrieval.search import TopK
from rag_bench.retrievers import CrossEncoder, LateInteraction
from rag_bench.settings import Settings
from rag_bench_tests.retrieval.rerankers.tiny_cross_encoder import (
    build_cross_encoder,
    without_head_weights,
)

QUESTIONS = ["когда сессия", "где общежитие", "when does it open"]
PASSAGES = ["сессия в мае", "общежитие на горе", "it opens at ten", "столовая"]


class ByLength:
    """Scores by the number of letters that question and passage differ in; NaN at a bad word."""

    at_once = 2

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def scores(
        self, questions: Sequence[str], places: Sequence[Sequence[int]], passages: Sequence[str]
    ) -> list[np.ndarray]:
        found = []
        for question, row in zip(questions, places, strict=True):
            own = [(question, passages[place]) for place in row]
            self.pairs += own
            found.append(
                np.array(
                    [np.nan if "bad" in p else -abs(len(q) - len(p)) / 3 for q, p in own], float
                )
            )
        return found


def reranker(engine: Engine, scorer: ByLength, key: str = "a") -> LocalReranker:
    return LocalReranker("by length", {"kind": key}, engine, lambda: scorer)


def values(found: Sequence[Scores]) -> list[list[float]]:
    return [own.tolist() for own in found if not isinstance(own, CaseError)]


def test_a_pair_is_scored_once_whoever_asks(engine: Engine) -> None:
    scorer = ByLength()
    first = reranker(engine, scorer).rerank(["один", "два"], [[0, 1], [1]], ["а", "пять"])
    assert values(first) == [[-1.0, 0.0], [pytest.approx(-0.333333, abs=0)]]
    assert len(scorer.pairs) == 3
    # Another search finds others, in another order; only what is new is scored.
    second = reranker(engine, scorer).rerank(["два", "один"], [[2, 1], [1, 0]], ["а", "пять", "б"])
    assert scorer.pairs[3:] == [("два", "б")]
    assert values(second) == [[-0.666667, -0.333333], [0.0, -1.0]]

    def unopened() -> ByLength:
        raise AssertionError("nothing is missing, so nothing is loaded")

    again = LocalReranker("same", {"kind": "a"}, engine, unopened)
    assert values(again.rerank(["один"], [[0]], ["а"])) == [[-1.0]]
    reranker(engine, scorer, "b").rerank(["один"], [[0]], ["а"])
    assert len(scorer.pairs) == 5  # another reranker's scores are its own


def test_equal_texts_are_one_pair(engine: Engine) -> None:
    scorer = ByLength()
    found = reranker(engine, scorer).rerank(["один"], [[0, 1, 2]], ["же", "два", "же"])
    assert len(scorer.pairs) == 2
    assert values(found) == [[-0.666667, -0.333333, -0.666667]]


def test_what_is_no_number_fails_its_question_alone_and_is_not_kept(engine: Engine) -> None:
    scorer = ByLength()
    rerank = reranker(engine, scorer).rerank
    found = rerank(["один", "два", "три"], [[0], [0, 1], [0]], ["а", "bad"])
    assert values(found) == [[-1.0], [-0.666667]]
    error = found[1]
    assert isinstance(error, CaseError)
    assert (error.code, error.retryable) == (ErrorCode.METRIC_ERROR, False)
    assert "not finite" in error.detail
    n = len(scorer.pairs)
    assert list(failures(rerank(["два"], [[0, 1]], ["а", "bad"]))) == [0]
    assert len(scorer.pairs) == n + 2
    with engine.connect() as connection:
        query = text("select count(*) from rag_bench.rerank_score")
        assert connection.execute(query).scalar() == 2


def test_progress_counts_questions(engine: Engine) -> None:
    seen: list[tuple[int, int]] = []
    reranker(engine, ByLength()).rerank(
        ["а", "б", "в"], [[0]] * 3, ["г"], lambda *step: seen.append(step)
    )
    assert seen == [(2, 3), (3, 3)]


def test_the_new_order_and_ties() -> None:
    found = TopK(np.array([[4, 2, 7], [1, 3, -1], [5, 6, -1]]), np.zeros((3, 3)))
    candidates = Candidates.of(found, ["а", "б", "в"], [str(n) for n in range(8)])
    assert candidates.places == [[4, 2, 7], [1, 3], [5, 6]]
    scores: list[Scores] = [
        np.array([0.5, 0.9, 0.5]),
        CaseError(ErrorCode.TIMEOUT, "no"),
        np.array([0.1, 0.2]),
    ]
    best = reordered(candidates, scores, 2)
    assert best.indices.tolist() == [[2, 4], [-1, -1], [6, 5]]
    assert best.scores.tolist() == [[0.9, 0.5], [0, 0], [0.2, 0.1]]
    assert list(failures(scores)) == [1]
    assert reordered(candidates, scores, 9).indices.tolist()[0] == [2, 4, 7]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_cross_encoder(tmp_path / "tiny")


def open_it(engine: Engine, folder: Path | str, home: Path, **more: int) -> LocalReranker:
    spec = CrossEncoder(kind="cross_encoder", model=str(folder), **more)
    return open_local(spec, engine, Settings(home=home))


def test_a_cross_encoder_from_a_folder(engine: Engine, folder: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = open_it(engine, folder, tmp_path, batch_size=2).rerank(
        QUESTIONS, [[0, 1, 2, 3]] * 3, PASSAGES
    )
    # A second implementation: each pair alone, through transformers.
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    for question, own in zip(QUESTIONS, found, strict=True):
        assert isinstance(own, np.ndarray)
        with torch.inference_mode():
            theirs = [
                float(model(**tokenizer(question, passage, return_tensors="pt")).logits[0, 0])
                for passage in PASSAGES
            ]
        assert own == pytest.approx(theirs, abs=3e-6)
        assert len(set(own.tolist())) == len(PASSAGES)  # it tells them apart


def test_its_address_is_that_of_its_weights_and_cut(
    folder: Path, tmp_path: Path, engine: Engine
) -> None:
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(folder, elsewhere)
    (elsewhere / "README.md").write_text("about", encoding="utf-8")
    other = build_cross_encoder(tmp_path / "other", seed=1)
    key = open_it(engine, folder, tmp_path).key
    assert open_it(engine, elsewhere, tmp_path, batch_size=7).key == key
    assert open_it(engine, other, tmp_path).key != key
    assert open_it(engine, folder, tmp_path, max_tokens=8).key != key


def test_the_cut_is_that_of_the_table(folder: Path, tmp_path: Path, engine: Engine) -> None:
    long = "столовая открыта " * 20  # longer than the model reads
    [own] = open_it(engine, folder, tmp_path).rerank(["где"], [[0]], [long])
    [cut] = open_it(engine, folder, tmp_path, max_tokens=10).rerank(["где"], [[0]], [long])
    assert isinstance(own, np.ndarray)
    assert isinstance(cut, np.ndarray)
    assert own.tolist() != cut.tolist()
    with pytest.raises(ConfigurationError, match=r"max_tokens is 65, .* reads at most 64 tokens"):
        open_it(engine, folder, tmp_path, max_tokens=65).rerank(["где"], [[0]], [long])


def test_a_broken_folder(tmp_path: Path, engine: Engine) -> None:
    with pytest.raises(ConfigurationError, match="not a folder"):
        open_it(engine, tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds no model"):
        open_it(engine, tmp_path / "empty", tmp_path)
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "config.json").write_text('{"model_type": "bert"}', encoding="utf-8")
    (bad / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ConfigurationError, match="cannot be loaded"):
        open_it(engine, bad, tmp_path).rerank(["а"], [[0]], ["б"])


def test_a_hub_name_that_is_not_here(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ConfigurationError, match=r"nobody/none.*local folder") as failed:
        open_it(engine, "nobody/none", tmp_path)
    assert "encoder 'nobody" in str(failed.value)
    assert "RAG_BENCH_ENCODER" not in str(failed.value)


def test_a_wrong_head(tmp_path: Path, engine: Engine) -> None:
    def ask(folder: Path) -> None:
        open_it(engine, folder, tmp_path).rerank(["а"], [[0]], ["б"])

    with pytest.raises(ConfigurationError, match="gives 3 numbers for a pair"):
        ask(build_cross_encoder(tmp_path / "three", n_labels=3))
    with pytest.raises(ConfigurationError, match="no head that scores pairs: it is a BertModel"):
        ask(build_cross_encoder(tmp_path / "plain", head=False))
    lost = without_head_weights(build_cross_encoder(tmp_path / "lost"))
    with pytest.raises(ConfigurationError, match=r"weights lack classifier\.bias"):
        ask(lost)


def test_broken_weights_are_no_score(tmp_path: Path, engine: Engine) -> None:
    folder = build_cross_encoder(tmp_path / "nan", broken=True)
    found = open_it(engine, folder, tmp_path).rerank(QUESTIONS, [[0, 1]] * 3, PASSAGES)
    assert list(failures(found)) == [0, 1, 2]
    assert {error.code for error in failures(found).values()} == {ErrorCode.METRIC_ERROR}


def test_late_interaction_is_addressed_by_the_encoder(tmp_path: Path) -> None:
    spec = LateInteraction(kind="late_interaction")
    here = local_content(spec, Settings())
    assert here["kind"] == "late_interaction"
    assert local_content(spec, Settings(encoder_max_tokens=64)) != here


def test_token_vectors_outlive_their_reranker(engine: Engine) -> None:
    spec = LateInteraction(kind="late_interaction")
    first = open_local(spec, engine, Settings()).scorer
    assert open_local(spec, engine, Settings()).scorer is first
    assert open_local(spec, engine, Settings(encoder_max_tokens=64)).scorer is not first
