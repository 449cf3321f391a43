"""Families of open models: whose names think, and how they write it."""

from __future__ import annotations

from rag_bench.llm.config.quirk import Marks, Quirk, family

_THINK = {
    "Qwen": r"qwq|qvq|qwen-?3(?:\.\d)?(?!\d)(?!.*(?:instruct|coder|max|vl-embed|embed))",
    "Mistral": r"magistral",
    "GLM": r"glm-(?:4\.[5-9]|z1|[5-9])",
    "Kimi": r"kimi-k2-thinking",
    "MiniMax": r"minimax-m\d",
    "Phi": r"phi-4-(?:mini-)?reasoning",
    "Nemotron": r"nemotron",
    "EXAONE": r"exaone-deep",
    "ERNIE": r"ernie-x1",
    "Hunyuan": r"hunyuan-t1",
    "Seed": r"seed-oss",
    "SmolLM": r"smollm3",
}
_MARKS = {
    "Seed": Marks(r"<seed:think>", r"</seed:think>"),
    "LongCat": Marks(r"<longcat_think>", r"</longcat_think>"),
    "Mistral": Marks(r"\[THINK\]", r"\[/THINK\]"),
    "Kimi": Marks(r"◁think▷", r"◁/think▷"),
    "OpenThinker": Marks(r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),  # Sky-T1
    "Command A": Marks(r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),
    "Apertus": Marks(r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    "Granite": Marks(  # in words
        r"(?:\*\*)?Here(?: i|')s my thought process:?(?:\*\*)?",
        r"(?:\*\*)?Here(?: i|')s my response:?(?:\*\*)?",
        lone=False,
    ),
    "Open WebUI": Marks(r"<details\s+type=\"reasoning\"[^>]*>", r"</details>", lone=False),
}
# What some put around the answer that follows a thinking.
_FRAMES = {
    "Hunyuan": (r"<answer>", r"</answer>"),
    "ERNIE": (r"<response>", r"</response>"),
    "OpenThinker": (r"<\|begin_of_solution\|>", r"<\|end_of_solution\|>"),
    "Command A": (r"<\|START_RESPONSE\|>", r"<\|END_RESPONSE\|>"),
}

QUIRKS = (
    *(
        Quirk(f"{name} thinks", models=family(names), thinks=True, in_address=False)
        for name, names in _THINK.items()
    ),
    *(Quirk(f"{name}'s thinking in the text", thinking=(marks,)) for name, marks in _MARKS.items()),
    *(Quirk(f"{name} frames its answer", frames=(frame,)) for name, frame in _FRAMES.items()),
)
