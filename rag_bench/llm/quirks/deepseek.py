"""DeepSeek."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Ending, Quirk, family

QUIRKS = (
    Quirk(
        "reasoning models",
        models=family(r"deepseek-(?:reasoner|r\d)|r1"),
        thinks=True,
        in_address=False,
    ),
    Quirk("an account without money", hopeless=("insufficient_balance",)),
    Quirk(
        "an overloaded server ends replies", endings={"insufficient_system_resource": Ending.broken}
    ),
)
