"""xAI."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Quirk, family

QUIRKS = (
    Quirk(
        "Grok thinks",
        models=family(r"grok-(?:3-mini|4)(?!.*non-reasoning)"),
        thinks=True,
        in_address=False,
    ),
)
