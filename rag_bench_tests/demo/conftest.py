"""The project's own corpus and the traffic that is generated from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from rag_bench.demo.corpus import Corpus, Phrasing, read_corpus, read_phrasings
from rag_bench.demo.traffic import Exchange, generate_traffic
from rag_bench.settings import PROJECT_ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    return PROJECT_ROOT / "data"


@pytest.fixture(scope="session")
def corpus(data_dir: Path) -> Corpus:
    return read_corpus(data_dir)


@pytest.fixture(scope="session")
def phrasings(data_dir: Path, corpus: Corpus) -> Sequence[Phrasing]:
    return read_phrasings(data_dir, corpus)


@pytest.fixture(scope="session")
def traffic(corpus: Corpus, phrasings: Sequence[Phrasing]) -> Sequence[Exchange]:
    return generate_traffic(corpus, phrasings)
