"""What this process has hashed as prompts: by a hash their texts, to be stored beside results."""

from __future__ import annotations

from collections.abc import Mapping

MEASURED_PROMPTS = (
    "generation_answer",
    "production_judge",
    "reply_direct",
    "reply_reasoned",
    "rubric_answer_correctness",
    "rubric_answer_relevance",
    "rubric_e2e_quality",
    "rubric_faithfulness",
)
"""The prompts that the settings hash holds. Those of RAGAS, of the tier judge and of every rubric
that is not named here enter the hash of their own inputs only: a change there leaves all other
results valid. So a new rubric is not named here."""

_NOTED: dict[str, Mapping[str, str]] = {}


def note(hashed: str, texts: Mapping[str, str]) -> str:
    """Remember the texts, by name, that a hash is of; returns the hash."""
    _NOTED.setdefault(hashed, dict(texts))
    return hashed


def noted(hashed: str | None) -> Mapping[str, str] | None:
    """Return the texts behind a hash; None if this process has not hashed them."""
    return _NOTED.get(hashed or "")
