"""Bedrock, and Hugging Face's inference endpoints."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Quirk

QUIRKS = (
    Quirk(
        "a failed dependency passes",
        retried={424: "something behind the server failed (Bedrock, inference endpoints)"},
    ),
)
