"""What a request asks: the delimited values in its last user message, as any model would see them.

The simulator shares no code with the prompts: it reads the wire, like a foreign server.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_FRAGMENT = re.compile(r'<fragment id="(\d+)">(.*?)</fragment>', re.DOTALL)
_FIELDS = (
    *("question", "context", "answer", "reference_answer", "chunk", "page"),
    *("answer_a", "answer_b"),
)
_FIELD = re.compile(rf"<({'|'.join(_FIELDS)})>(.*?)</\1>", re.DOTALL)


@dataclass(frozen=True)
class Sections:
    """The values of a prompt; a missing one is empty. Fragment numbers are those of the prompt."""

    question: str = ""
    answer: str = ""
    reference_answer: str = ""
    chunk: str = ""
    page: str = ""
    answer_a: str = ""
    answer_b: str = ""
    fragments: tuple[tuple[int, str], ...] = ()

    @property
    def context(self) -> str:
        """All fragments as one text."""
        return "\n".join(text for _, text in self.fragments)


def read_sections(messages: Sequence[Mapping[str, Any]]) -> Sections:
    """Read the last user message; without any delimiter, all of it is the question."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return _read(message_text(message))
    return Sections()


def message_text(message: Mapping[str, Any]) -> str:
    """Return a message's text; of content parts, those of type ``text``."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return ""


@lru_cache(maxsize=4_096)
def _read(text: str) -> Sections:
    values = {name: value.strip() for name, value in _FIELD.findall(text)}
    if not values:
        return Sections(question=text.strip())
    context = values.pop("context", "")
    fragments = tuple(
        (int(number), fragment.strip()) for number, fragment in _FRAGMENT.findall(context)
    )
    if context and not fragments:
        fragments = ((1, context),)
    return Sections(**values, fragments=fragments)
