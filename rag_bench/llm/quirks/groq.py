"""Groq."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Quirk

QUIRKS = (
    Quirk("a tier without a reserved place", retried={498: "no free capacity (Groq's flex tier)"}),
)
