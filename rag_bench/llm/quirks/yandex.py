"""YandexGPT."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Ending, Quirk

QUIRKS = (
    Quirk(
        "words of its own for why a reply ended",
        endings={
            "alternative_status_final": Ending.whole,
            "truncated_final": Ending.cut,
            "alternative_status_truncated_final": Ending.cut,
            "alternative_status_content_filter": Ending.withheld,
            "alternative_status_partial": Ending.broken,
        },
    ),
)
