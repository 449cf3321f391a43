"""What the tests of several tiers share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local_provider import LocalProvider

from rag_bench.simulator.answer_key import AnswerKey


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalProvider]:
    """The provider `x`, over HTTP; a test says how it behaves."""
    with LocalProvider(AnswerKey).serving() as serving:
        monkeypatch.setenv("PROVIDER_X_BASE_URL", serving.url)
        monkeypatch.setenv("PROVIDER_X_API_KEY", "sk-local")
        yield serving
