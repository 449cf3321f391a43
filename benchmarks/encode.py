"""Encode speed: our path against bare sentence-transformers, same texts, same process.

    python benchmarks/encode.py [--questions 600] [--passages 60] [--rounds 3]

Prints texts per second of both and the ratio ours / bare (above 1: ours is faster). The texts
are random words of a help desk, mostly Russian; rounds alternate, the best counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from rag_bench.retrieval.encoder import load_encoder
from rag_bench.retrieval.identity import encoder_folder
from rag_bench.settings import get_settings

WORDS = (
    "стипендия общежитие деканат экзамен пересдача справка перевод кафедра расписание студент "
    "заявление документы оплата договор библиотека пропуск консультация практика диплом сессия "
    "как где когда можно получить подать восстановить продлить если после до на в для schedule "
    "dormitory scholarship deadline"
)


def sentences(n: int, low: int, high: int, seed: int) -> list[str]:
    """Return n texts of ``low`` to ``high`` words, more short ones than long ones."""
    random = np.random.default_rng(seed)
    lengths = low + (random.beta(1.2, 3.0, n) * (high - low)).astype(int)
    return [" ".join(random.choice(WORDS.split(), length)) + "?" for length in lengths]


def best_of(rounds: int, runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least wall time of each run, in seconds; the runs take turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    return {name: min(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=600)
    parser.add_argument("--passages", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()

    settings = get_settings()
    started = time.perf_counter()
    encoder = load_encoder(settings)
    print(
        f"{encoder.name}, {encoder.dimension} dimensions, loaded in "
        f"{time.perf_counter() - started:.1f} s (building its folder included, if it was new)"
    )
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(encoder_folder(settings)))
    encoder.encode(sentences(8, 3, 20, 0))  # warm-up: the first pass allocates

    kinds = {
        "questions": [encoder.query_text(t) for t in sentences(arguments.questions, 3, 20, 1)],
        "passages": [encoder.passage_text(t) for t in sentences(arguments.passages, 40, 220, 2)],
    }
    for kind, texts in kinds.items():

        def bare(texts: list[str] = texts) -> object:
            return model.encode(
                texts, batch_size=settings.encoder_batch_size, normalize_embeddings=True
            )

        def ours(texts: list[str] = texts) -> object:
            return encoder.encode(texts)

        batch = encoder.encode(texts)
        difference = float(np.abs(batch.vectors - np.asarray(bare())).max())
        seconds = best_of(arguments.rounds, {"bare": bare, "ours": ours})
        rates = {name: len(texts) / value for name, value in seconds.items()}
        print(
            f"{kind:9} n={len(texts)}, {batch.n_tokens.mean():.0f} tokens: "
            f"bare sentence-transformers {rates['bare']:.1f}/s, ours {rates['ours']:.1f}/s, "
            f"ratio {rates['ours'] / rates['bare']:.2f} (largest difference {difference:.1e})"
        )


if __name__ == "__main__":
    main()
