from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.evaluation.metrics.similarity import vector_similarities
from rag_bench.retrieval.encoder import Encoder, load_encoder
from rag_bench.retrieval.identity import encoder_folder, encoder_identity
from rag_bench.retrieval.search import top_k
from rag_bench.retrieval.sentence_model import SentenceModel, load_folder
from rag_bench.settings import Settings

TEXTS = [
    "Как восстановить студенческий билет?",
    "стипендия",
    "Общежитие предоставляется иногородним студентам на время обучения. " * 20,
    "How do I book a consultation with the dean's office?",
    "",
    "Пересдача экзамена проводится по расписанию деканата. " * 5,
    "?",
]


#: Components of one text's vector in batches of other sizes, which processors round otherwise.
SAME = 2e-6


def test_vectors_are_unit_float32_in_the_order_given(default_encoder: Encoder) -> None:
    batch = default_encoder.encode(TEXTS)
    assert batch.vectors.shape == (len(TEXTS), 384)
    assert batch.vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(batch.vectors, axis=1), 1.0, atol=1e-6)
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = default_encoder.encode([TEXTS[index] for index in order])
    np.testing.assert_allclose(shuffled.vectors, batch.vectors[order], atol=SAME)
    np.testing.assert_array_equal(shuffled.n_tokens, batch.n_tokens[order])


def test_a_text_alone_gives_the_same_vector(default_encoder: Encoder) -> None:
    together = default_encoder.encode(TEXTS)
    alone = np.concatenate([default_encoder.encode([text]).vectors for text in TEXTS])
    np.testing.assert_allclose(alone, together.vectors, atol=SAME)
    found = vector_similarities(list(alone), list(together.vectors))
    assert {scores["semantic_similarity"] for scores in found} == {1.0}


def test_the_same_as_sentence_transformers_itself(default_encoder: Encoder) -> None:
    """It is loaded without them, for the time that this takes."""
    settings = Settings()
    folder = encoder_folder(settings)
    bare = SentenceModel(SentenceTransformer(str(folder)))
    texts = [*TEXTS, "стипендия 🎓 \u200b\ufeff x\u0000y\ttab", "слово " * 600]
    theirs = Encoder(bare, encoder_identity(settings)).encode(texts)
    ours = default_encoder.encode(texts)
    np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=2e-6)
    np.testing.assert_array_equal(ours.n_tokens, theirs.n_tokens)
    np.testing.assert_array_equal(ours.truncated, theirs.truncated)
    vectors = bare.model.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(ours.vectors, vectors, atol=2e-6)
    tokens = Encoder(bare, encoder_identity(settings)).encode_tokens(texts)
    for mine, its in zip(default_encoder.encode_tokens(texts), tokens, strict=True):
        np.testing.assert_allclose(mine, its, atol=5e-6)


@pytest.mark.once  # of imports
def test_loading_the_default_encoder_imports_torch_and_a_tokenizer_alone() -> None:
    code = (
        "import sys; from rag_bench.settings import Settings; "
        "from rag_bench.retrieval.encoder import load_encoder; "
        "load_encoder(Settings()).encode(['x']); "
        "print({'torch', 'transformers', 'sentence_transformers'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["{'torch'}"]


def test_a_cut_text_is_counted_and_read_to_the_limit(default_encoder: Encoder) -> None:
    assert default_encoder.max_tokens == 512
    long = default_encoder.passage_text("стипендия " * 600)
    batch = default_encoder.encode([long, default_encoder.passage_text("стипендия")])
    assert batch.truncated.tolist() == [True, False]
    assert batch.n_tokens[0] > 600
    longer = default_encoder.encode([long + "и ещё много других слов " * 50])
    np.testing.assert_allclose(longer.vectors, batch.vectors[:1], atol=SAME)
    assert longer.n_tokens[0] > batch.n_tokens[0]


def test_progress_reaches_all(tiny_model: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    encoder = tiny(tiny_model, tmp_path, encoder_batch_size=4)
    encoder.encode(TEXTS * 20, lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert len(seen) > 3
    assert seen[-1] == (140, 140)


def test_no_texts(default_encoder: Encoder) -> None:
    batch = default_encoder.encode([])
    assert batch.vectors.shape == (0, 384)
    assert batch.n_tokens.shape == batch.truncated.shape == (0,)


def test_a_russian_question_finds_its_answer_in_either_language(default_encoder: Encoder) -> None:
    passages = [
        "The library is open from 9 am to 8 pm on weekdays.",
        "Академическая стипендия назначается по итогам сессии без троек.",
        "Справку с места учёбы выдают в едином деканате.",
    ]
    questions = [
        "до скольки работает библиотека",
        "как получить степуху",
        "нужна справка что учусь",
    ]
    corpus = default_encoder.encode([default_encoder.passage_text(text) for text in passages])
    asked = default_encoder.encode([default_encoder.query_text(text) for text in questions])
    assert top_k(asked.vectors, corpus.vectors, 1).indices.ravel().tolist() == [0, 1, 2]


@pytest.mark.once  # half a minute on two idle cores
def test_retrieval_on_real_russian_questions(xquad: Path, default_encoder: Encoder) -> None:
    """The bar of the requirement: 240 chunks, 1,190 questions, one relevant chunk each."""
    chunks, questions, relevant = [], [], []
    for article in json.loads((xquad / "xquad.ru.json").read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for item in paragraph["qas"]:
                questions.append(default_encoder.query_text(item["question"]))
                relevant.append(len(chunks))
            chunks.append(default_encoder.passage_text(paragraph["context"]))
    assert (len(chunks), len(questions)) == (240, 1190)
    corpus, asked = default_encoder.encode(chunks), default_encoder.encode(questions)
    found = top_k(asked.vectors, corpus.vectors, len(chunks)).indices
    ranks = 1 + np.argmax(found == np.array(relevant)[:, None], axis=1)
    assert (ranks == 1).mean() >= 0.89
    assert (1 / ranks).mean() >= 0.93


def tiny(folder: Path, tmp_path: Path, **changes: object) -> Encoder:
    return load_encoder(Settings(home=tmp_path, encoder=str(folder), **changes))  # type: ignore[arg-type]


def _bare(encoder: Encoder) -> SentenceTransformer:
    assert isinstance(encoder._model, SentenceModel)
    model: SentenceTransformer = encoder._model.model
    return model


def test_any_local_folder(tiny_model: Path, tmp_path: Path) -> None:
    encoder = tiny(tiny_model, tmp_path)
    assert (encoder.name, encoder.dimension, encoder.max_tokens) == ("tiny", 16, 12)
    assert encoder.query_text("вопрос") == encoder.passage_text("вопрос") == "вопрос"
    batch = encoder.encode(["привет", "очень длинный вопрос студента"])
    assert batch.n_tokens.tolist() == [8, 28]
    assert batch.truncated.tolist() == [False, True]
    np.testing.assert_allclose(
        batch.vectors,
        _bare(encoder).encode(
            ["привет", "очень длинный вопрос студента"], normalize_embeddings=True
        ),
        atol=2e-6,
    )


def test_a_smaller_limit_cuts_earlier_and_is_another_address(
    tiny_model: Path, tmp_path: Path
) -> None:
    encoder = tiny(tiny_model, tmp_path, encoder_max_tokens=6)
    assert encoder.key != tiny(tiny_model, tmp_path).key
    batch = encoder.encode(["привет", "приветствие", "при"])
    assert batch.truncated.tolist() == [True, True, False]
    np.testing.assert_allclose(batch.vectors[0], batch.vectors[1], atol=2e-6)  # both "прив"
    with pytest.raises(ConfigurationError, match="at most 12"):
        tiny(tiny_model, tmp_path, encoder_max_tokens=13)


def test_broken_weights_are_an_error_and_not_a_vector(tiny_model: Path, tmp_path: Path) -> None:
    import torch

    identity = tiny(tiny_model, tmp_path).identity
    encoder = Encoder(load_folder(tiny_model, "tiny"), identity)  # not the one that stays loaded
    with torch.no_grad():
        _bare(encoder)[0].auto_model.embeddings.word_embeddings.weight.fill_(float("nan"))
    with pytest.raises(RagBenchError, match="not finite"):
        encoder.encode(["привет"])
