from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from rag_bench.errors import RagBenchError
from rag_bench.hashing import text_hash
from rag_bench.progress import listening
from rag_bench.retrieval import embed
from rag_bench.retrieval.embed import embed_texts
from rag_bench.retrieval.encoder import EncodedBatch, Encoder, Progress, load_encoder
from rag_bench.retrieval.identity import encoder_identity
from rag_bench.settings import Settings
from rag_bench.store.vectors import coverage, fetch_matrix

TEXTS = ["привет", "как дела?", "очень длинный вопрос студента", "привет", "hello"]


@pytest.fixture
def tiny_settings(tiny_model: Path, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, encoder=str(tiny_model))


def never_loaded() -> Encoder:
    raise AssertionError("the encoder was loaded although nothing was missing")


def test_only_what_is_missing_is_encoded(engine: Engine, tiny_settings: Settings) -> None:
    identity = encoder_identity(tiny_settings)
    first = embed_texts(engine, lambda: load_encoder(tiny_settings), identity, TEXTS)
    assert (first.n_texts, first.n_distinct, first.n_encoded, first.n_reused) == (5, 4, 4, 0)
    assert (first.n_truncated, first.truncated_share) == (1, 0.25)

    second = embed_texts(engine, never_loaded, identity, reversed(TEXTS))
    assert (second.n_encoded, second.n_reused, second.n_truncated) == (0, 4, 1)

    third = embed_texts(
        engine, lambda: load_encoder(tiny_settings), identity, [*TEXTS, "новый вопрос"]
    )
    assert (third.n_encoded, third.n_reused) == (1, 4)

    encoder = load_encoder(tiny_settings)
    stored = fetch_matrix(engine, identity.key, [text_hash(value) for value in TEXTS])
    np.testing.assert_allclose(stored, encoder.encode(TEXTS).vectors, atol=2e-6)


def test_two_runs_that_miss_the_same_texts_encode_them_once(
    engine: Engine, tiny_settings: Settings
) -> None:
    identity = encoder_identity(tiny_settings)
    encoding, waits, told = threading.Event(), threading.Event(), []

    class Slow(Encoder):
        """Encodes when the other run is known to wait."""

        def encode(self, texts: Sequence[str], progress: Progress | None = None) -> EncodedBatch:
            encoding.set()
            assert waits.wait(60)
            return super().encode(texts, progress)

    def slowly() -> Encoder:
        return Slow(load_encoder(tiny_settings)._model, identity)

    def listener(label: str, done: int, total: int) -> None:
        told.append(label)
        waits.set()

    with ThreadPoolExecutor(1) as pool, listening(listener):
        first = pool.submit(embed_texts, engine, slowly, identity, TEXTS)
        assert encoding.wait(60)
        second = embed_texts(engine, never_loaded, identity, [*TEXTS])
        assert first.result().n_encoded == 4
    assert (second.n_encoded, second.n_reused) == (0, 4)
    assert told == ["waiting for another run that encodes texts"]


def test_nothing_to_embed(engine: Engine, tiny_settings: Settings) -> None:
    report = embed_texts(engine, never_loaded, encoder_identity(tiny_settings), [])
    assert (report.n_texts, report.n_encoded, report.truncated_share) == (0, 0, 0.0)


def test_progress_counts_missing_texts(
    engine: Engine, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "SAVE_EVERY", 2)
    identity = encoder_identity(tiny_settings)
    seen: list[tuple[int, int]] = []
    embed_texts(
        engine,
        lambda: load_encoder(tiny_settings),
        identity,
        TEXTS,
        lambda done, total: seen.append((done, total)),
    )
    assert seen == [(2, 4), (4, 4)]


class Interrupted(Encoder):
    """An encoder whose process ends while it works on the second block."""

    blocks = 0

    def encode(self, texts: list[str], progress: Progress | None = None) -> EncodedBatch:  # type: ignore[override]
        self.blocks += 1
        if self.blocks == 2:
            raise KeyboardInterrupt
        return super().encode(texts, progress)


def test_a_broken_off_run_keeps_what_it_encoded(
    engine: Engine, tiny_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embed, "SAVE_EVERY", 3)
    identity = encoder_identity(tiny_settings)
    loaded = load_encoder(tiny_settings)
    with pytest.raises(KeyboardInterrupt):
        embed_texts(engine, lambda: Interrupted(loaded._model, identity), identity, TEXTS)
    assert coverage(engine, identity.key, [text_hash(value) for value in TEXTS]) == (3, 4)
    again = embed_texts(engine, lambda: loaded, identity, TEXTS)
    assert (again.n_encoded, again.n_reused) == (1, 3)


def test_another_encoder_than_expected_is_refused(
    engine: Engine, tiny_settings: Settings, tiny_model: Path, tmp_path: Path
) -> None:
    other = Settings(home=tmp_path, encoder=str(tiny_model), encoder_max_tokens=5)
    with pytest.raises(RagBenchError, match="not the one expected"):
        embed_texts(engine, lambda: load_encoder(other), encoder_identity(tiny_settings), TEXTS)
    assert coverage(engine, encoder_identity(other).key, [text_hash(value) for value in TEXTS]) == (
        0,
        4,
    )
