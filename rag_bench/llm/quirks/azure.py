"""Azure's endpoints."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Advice, Quirk

QUIRKS = (
    Quirk(
        "the API's version stands in the query",
        advice=(
            Advice(
                r"api[-_]version",
                """add {prefix}EXTRA_QUERY='{"api-version": "…"}' with a version it has""",
            ),
        ),
    ),
)
