"""The thinking that some models write before their answer, cut off: what is left is the reply.

Servers that parse it give it in a field of its own (``reasoning_content``, ``reasoning``); those
that do not leave it in the text, in the marks of the model's family. A thinking that were read as
the answer would be scored, cite fragments, and hide a refusal.

The rules, the same for every kind of marks:

* Only what stands at the very beginning is thinking. Marks further on are part of the answer.
* A closing mark without an opening one before it ends a thinking that the server's prompt had
  opened, so all before it is thinking; not where the mark is quoted, or in a block of code.
* A thinking that is opened and not closed leaves no answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rag_bench.llm.config.known_quirks import QUIRKS

#: Flag of a case: thinking was cut off one of its replies.
THINKING_CUT = "thinking_cut"

# Of every kind the rule is the same, so a new family is a quirk of one line.
_FLAGS = re.IGNORECASE | re.DOTALL
_COMPILED = tuple(
    (re.compile(kind.opening, _FLAGS), re.compile(kind.closing, _FLAGS), kind.lone)
    for quirk in QUIRKS
    for kind in quirk.thinking
)

# What some models put around the answer that follows a thinking.
_FRAMES = tuple(
    re.compile(rf"{opening}(.*?)(?:{closing})?", _FLAGS)
    for quirk in QUIRKS
    for opening, closing in quirk.frames
)
# Marks of a turn's end that a server should have kept to itself.
_TURN_ENDS = re.compile(
    r"(?:\s*(?:<\|(?:im_end|eot_id|end|return|endoftext|end_of_text|end_of_turn"
    r"|END_OF_TURN_TOKEN|END_RESPONSE|user|observation)\|>|<end_of_turn>|<turn\|>"
    r"|<｜end▁of▁sentence｜>))+\s*\Z"
)
_QUOTES = "`'\"«“„‘"


@dataclass(frozen=True)
class Cut:
    """A reply taken apart.

    Attributes:
        answer: what is left of the text; the text as it came where nothing was cut.
        thinking: what was cut off, without its marks; None where nothing was, "" where a server
            sent the marks with nothing between them.
        closed: False where a thinking never ends, so that there is no answer.
    """

    answer: str
    thinking: str | None = None
    closed: bool = True


def cut_thinking(text: str) -> Cut:
    """Return a reply without its thinking and without what servers put round the answer."""
    rest, parts, found = text, [], False
    while True:
        step = _cut_once(rest)
        if step is None:
            break
        thinking, after = step
        found = True
        parts.append(thinking.strip())
        if after is None:
            return Cut("", "\n".join(filter(None, parts)), closed=False)
        rest = after
    answer = _TURN_ENDS.sub("", rest)
    if not found:
        return Cut(answer)
    return Cut(_unframed(answer.strip()), "\n".join(filter(None, parts)))


def _cut_once(text: str) -> tuple[str, str | None] | None:
    """Return a thinking at the beginning and what follows it (None: it is not closed)."""
    begin = len(text) - len(text.lstrip("\ufeff \t\r\n"))
    for opening, closing, _ in _COMPILED:
        start = opening.match(text, begin)
        if start is None:
            continue
        end = _closing_of(text, start.end(), opening, closing)
        if end is None:
            return text[start.end() :], None
        return text[start.end() : end.start()], text[end.end() :]
    if text[begin : begin + 1] == "{":
        return None  # JSON, which may speak of marks in its texts
    for opening, closing, lone in _COMPILED:
        if not lone:
            continue
        end = next((m for m in closing.finditer(text) if not _is_quoted(text, m)), None)
        if end is not None and opening.search(text, 0, end.start()) is None:
            return text[begin : end.start()], text[end.end() :]
    return None


def _closing_of(
    text: str, start: int, opening: re.Pattern[str], closing: re.Pattern[str]
) -> re.Match[str] | None:
    """Return the mark that closes a thinking: the one that fits where marks are nested, else the
    first, as a thinking may speak of its own marks.
    """
    ends = list(closing.finditer(text, start))
    for number, end in enumerate(ends, start=1):
        if sum(1 for _ in opening.finditer(text, start, end.start())) < number:
            return end
    return ends[0] if ends else None


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    """Tell whether a mark is spoken of: in a block of code, or right behind a quotation mark."""
    before = text[: mark.start()]
    line = before.rpartition("\n")[2]
    return (
        before.count("```") % 2 == 1
        or line.count("`") % 2 == 1
        or (before[-1:] != "" and before[-1] in _QUOTES)
    )


def _unframed(text: str) -> str:
    matches = (frame.fullmatch(text) for frame in _FRAMES)
    return next((match[1].strip() for match in matches if match), text)
