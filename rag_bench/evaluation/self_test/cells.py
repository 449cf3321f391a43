"""Every published interval, test and estimator, each in the worlds that it is for."""

from __future__ import annotations

from rag_bench.evaluation.self_test import (
    of_differences,
    of_instruments,
    of_people,
    of_rankings,
    of_scores,
)
from rag_bench.evaluation.self_test.simulation import Cell


def all_cells() -> list[Cell]:
    """Return what is tried, in the order of the table."""
    return [
        *of_scores.cells(),
        *of_differences.cells(),
        *of_people.cells(),
        *of_rankings.cells(),
        *of_instruments.cells(),
    ]
