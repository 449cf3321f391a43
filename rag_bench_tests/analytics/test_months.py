"""Month by month, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rag_bench.analytics.months import by_month
from rag_bench.analytics.traffic import Asked

ASKED = [
    Asked("1", "a", "Да.", user_id=1, month="2025-10"),
    Asked("2", "b", "Ответ не найден.", user_id=2, month="2025-09"),
    Asked("3", "c", "Да.", user_id=3, month="2025-09"),
    Asked("4", "d", None, user_id=4),
]


def test_questions_chunks_and_similarity_of_each_month() -> None:
    found = np.array([[0, 1], [1, 2], [1, 3], [4, 5]])
    first, second = by_month(ASKED, found, np.array([0.9, 0.5, 0.7, 0.1]))
    assert (first["month"], first["questions"], first["used_chunks"]) == ("2025-09", 2, 3)
    assert first["with_answers_rate"]["value"] == 0.5
    assert first["mean_best_similarity"]["value"] == pytest.approx(0.6)
    assert (second["month"], second["questions"], second["used_chunks"]) == ("2025-10", 1, 2)
    assert second["mean_best_similarity"]["ci_low"] is None, "one user tells no interval"


def test_without_times_there_is_no_month() -> None:
    assert by_month(ASKED[3:]) == []
    assert "used_chunks" not in by_month(ASKED)[0]
