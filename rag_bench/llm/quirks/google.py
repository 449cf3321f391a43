"""Gemini and Gemma."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Marks, Quirk, family

QUIRKS = (
    Quirk(
        "Gemini thinks from 2.5 on",
        models=family(r"gemini-(?:2\.5|[3-9])(?!.*lite)"),
        thinks=True,
        in_address=False,
    ),
    Quirk(
        "Gemma's channels",
        thinking=(
            Marks(r"<\|channel>\s*(?:thought|thinking|analysis)\b", r"<channel\|>"),  # Gemma 4
        ),
    ),
)
