"""OpenAI: its reasoning models, its open ones, and what its accounts say."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Marks, Quirk, family

QUIRKS = (
    Quirk(
        "reasoning models refuse max_tokens and any temperature but their own",
        models=r"(?:^|/)(?:o[1-9]|gpt-(?:[5-9]|1\d))(?![\d])(?:[-.:]|$)",
        body={"temperature": None},
        max_tokens_field="max_completion_tokens",
        in_address=False,
    ),
    Quirk(
        "reasoning models think",
        models=family(r"o[1-9](?!\d)|gpt-(?:[5-9]|1\d)(?!\d)|gpt-oss"),
        thinks=True,
        in_address=False,
    ),
    Quirk(
        "gpt-oss writes in channels; the answer is the one called final",
        thinking=(
            Marks(
                r"(?:<\|start\|>\s*assistant\s*)?<\|channel\|>\s*(?:analysis|commentary)\b",
                r"<\|channel\|>\s*final\b[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>",
            ),
            # Without its special tokens the names of role and channel stand in one word.
            Marks(r"analysis(?=\S)(?=.*?assistantfinal)", r"assistantfinal", lone=False),
        ),
    ),
    Quirk(
        "an account without money", hopeless=("insufficient_quota", "billing_hard_limit_reached")
    ),
)
