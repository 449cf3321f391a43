"""BERTScore against a second implementation, in numpy, on Russian and English texts."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_bench.errors import CaseError, ConfigurationError
from rag_bench.retrieval.identity import encoder_identity
from rag_bench.retrieval.weights_hash import weights_hash
from rag_bench.settings import Settings
from rag_bench.tiers.answers.bertscore import BertScore, BertScorer, bertscore_model
from rag_bench.tiers.users_metrics.custom_metrics import open_measures

PAIRS = [
    ("Стипендию перечисляют 25-го числа.", "Стипендия приходит 25-го числа каждого месяца."),
    ("Гостей пускают с 9 до 21 часа по паспорту.", "Комната стоит 940 рублей в месяц."),
    ("Students may borrow six books.", "Students may borrow six books for 30 days."),
    ("The reading room is closed on Sunday.", "Стипендия приходит 25-го числа каждого месяца."),
    ("Да.", "Первая пересдача проходит с 10 по 20 февраля, вторую принимает комиссия."),
]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return Settings(bertscore_model="encoder", bertscore_layers=7)


@pytest.fixture(scope="module")
def scorer(settings: Settings) -> BertScorer:
    model = bertscore_model(settings)
    assert model
    return BertScorer(model)


def scores(scorer: BertScorer, pairs: list[tuple[str, str]]) -> list[tuple[float, float, float]]:
    found = scorer.score(pairs)
    assert all(isinstance(one, BertScore) for one in found)
    return [(s.precision, s.recall, s.f1) for s in found if isinstance(s, BertScore)]


class Plain:
    """The definition, in words: each token's best cosine on the other side, averaged."""

    def __init__(self, folder: Path, layer: int) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.model: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.layer = layer

    def tokens(self, text: str) -> np.ndarray:
        import torch

        with torch.no_grad():
            inputs = self.tokenizer(text, return_tensors="pt")
            states = self.model(**inputs, output_hidden_states=True).hidden_states
        vectors: np.ndarray = states[self.layer][0].numpy().astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def score(self, answer: str, reference: str) -> tuple[float, float, float]:
        ours, theirs = self.tokens(answer), self.tokens(reference)
        # The frame's two tokens may be matched, but have no weight of their own.
        precision = float(np.mean([max(float(u @ v) for v in theirs) for u in ours[1:-1]]))
        recall = float(np.mean([max(float(u @ v) for u in ours) for v in theirs[1:-1]]))
        return precision, recall, 2 * precision * recall / (precision + recall)


def test_the_same_as_a_plain_implementation(settings: Settings, scorer: BertScorer) -> None:
    model = bertscore_model(settings)
    assert model
    plain = Plain(model.folder, 7)
    for found, (answer, reference) in zip(scores(scorer, PAIRS), PAIRS, strict=True):
        assert found == pytest.approx(plain.score(answer, reference), abs=2e-6)
    f1 = [found[2] for found in scores(scorer, PAIRS)]
    assert f1[0] > f1[1]
    assert f1[2] > f1[3]
    # An answer that says little is precise and recalls little, and the other way round.
    ((p, r, _),) = scores(scorer, [PAIRS[4]])
    ((p_back, r_back, _),) = scores(scorer, [(PAIRS[4][1], PAIRS[4][0])])
    assert (p_back, r_back) == pytest.approx((r, p), abs=1e-6)


@pytest.mark.parametrize("text", ["Комната стоит 940 рублей.", "Six books for 30 days."])
def test_identical_texts_score_one(scorer: BertScorer, text: str) -> None:
    assert scores(scorer, [(text, text)]) == [pytest.approx((1, 1, 1), abs=1e-6)]
    assert max(scores(scorer, [(text, text)])[0]) <= 1


def test_a_score_does_not_depend_on_the_others_or_their_order(scorer: BertScorer) -> None:
    together = scores(scorer, PAIRS)
    assert scores(scorer, PAIRS) == together
    backwards = scores(scorer, PAIRS[::-1])[::-1]
    alone = [scores(scorer, [pair])[0] for pair in PAIRS]
    assert backwards == together
    for one, same in zip(alone, together, strict=True):
        assert one == pytest.approx(same, abs=2e-6)


def test_a_text_without_tokens_is_an_error_and_a_long_one_is_flagged(scorer: BertScorer) -> None:
    long = "Стипендию перечисляют 25-го числа каждого месяца. " * 100
    blank, cut, whole = scorer.score([("   ", "Да."), (long, "Да."), ("Да.", "Да.")])
    assert isinstance(blank, CaseError)
    assert blank.code == "METRIC_ERROR"
    assert "the answer has no token" in blank.detail
    assert isinstance(cut, BertScore)
    assert cut.truncated
    assert isinstance(whole, BertScore)
    assert not whole.truncated


def test_nothing_is_wanted_unless_a_model_is_named() -> None:
    assert bertscore_model(Settings()) is None


def test_a_model_folder_by_path_is_the_same_model_and_needs_no_network(
    settings: Settings, scorer: BertScorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = bertscore_model(settings)
    assert ours
    # A T5 to whom goes by the path; the model in it is a BERT.
    folder = tmp_path / "my-t5-models" / "scibert"
    shutil.copytree(ours.folder, folder)
    model = bertscore_model(settings.model_copy(update={"bertscore_model": str(folder)}))
    assert model
    assert (model.name, model.layers) == ("scibert", 7)
    assert model.weights == weights_hash(ours.folder, tmp_path)
    # The encoder is named by the weights as they were published, not by the folder made of them.
    assert ours.weights == encoder_identity(settings).weights != model.weights

    tried: list[Any] = []

    def cut(*arguments: Any, **_: Any) -> None:
        tried.append(arguments)
        raise OSError("the network is cut")

    monkeypatch.setattr(socket.socket, "connect", cut)
    monkeypatch.setattr(socket, "getaddrinfo", cut)
    assert scores(BertScorer(model), PAIRS) == scores(scorer, PAIRS)
    assert tried == []


def test_layers(settings: Settings) -> None:
    def layers(n: int | None) -> int:
        model = bertscore_model(settings.model_copy(update={"bertscore_layers": n}))
        assert model
        return model.layers

    assert layers(None) == 9  # of 12
    assert layers(12) == 12
    with pytest.raises(ConfigurationError, match="has 12 layers"):
        layers(13)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (None, "there is no model"),
        ('{"model_type": "t5", "num_layers": 6, "is_encoder_decoder": true}', "no encoder"),
        ("{}", "no encoder"),
        ('{"model_type": "bert", "num_hidden_layers": 2}', "cannot be loaded"),
    ],
)
def test_a_folder_that_cannot_score(tmp_path: Path, config: str | None, words: str) -> None:
    if config:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(ConfigurationError, match="RAG_BENCH_BERTSCORE_MODEL") as caught:
        open_measures(Settings(bertscore_model=str(tmp_path))).scorer  # noqa: B018
    assert words in str(caught.value)
