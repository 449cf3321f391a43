"""Scores by a benchmark judge; each rubric is declared in its prompt's file."""

from __future__ import annotations

from rag_bench.evaluation.rubrics import RUBRICS

METRICS = tuple(rubric.metric for rubric in RUBRICS.values())
