"""What models of many makers do."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Marks, Quirk

QUIRKS = (
    Quirk(
        "a name that says that it thinks",
        models=r"(?i:thinking(?!.*non)|(?<!non-)reason(?:er|ing))",
        thinks=True,
        in_address=False,
    ),
    Quirk(
        "thinking in tags",
        thinking=(
            # DeepSeek R1, Qwen, QwQ, GLM, MiniMax, Phi, Nemotron, Kimi K2, and most others.
            Marks(r"<think>", r"</think>"),
            Marks(r"<thinking>", r"</thinking>"),
            Marks(r"<thoughts?>", r"</thoughts?>"),  # EXAONE, Gemini's OpenAI face
            Marks(r"<reason(?:ing)?>", r"</reason(?:ing)?>"),
            Marks(r"<reflection>", r"</reflection>"),
            Marks(r"<scratchpad>", r"</scratchpad>"),
        ),
    ),
)
