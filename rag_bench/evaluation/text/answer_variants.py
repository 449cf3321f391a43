"""The same answer perturbed: longer without saying more, formatted, or cut in half.

What a judge should not care about (length, style), and a worse answer that is hard to tell from
the whole one. Deterministic; Russian and English.
"""

from __future__ import annotations

import re

#: Sentences that assert nothing, before and after an answer, by language (Russian: True).
FILLERS: dict[bool, tuple[str, str]] = {
    True: (
        "Спасибо за ваш вопрос, рад на него ответить.",
        "Надеюсь, ответ получился понятным. Если захочется что-то уточнить, просто напишите об "
        "этом ещё раз. Спасибо, что обратились, и хорошего вам дня.",
    ),
    False: (
        "Thank you for your question, I am glad to answer it.",
        "I hope that this answer is clear. If you would like to clarify anything, just write "
        "about it once more. Thank you for asking, and have a nice day.",
    ),
}
#: Shorter answers have no half that is clearly worse.
FEWEST_WORDS = 6

_CYRILLIC = re.compile(r"[а-яё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)
# After a word of some length only: "каб. А-212" and "Dr. Smith" are not two sentences.
_SENTENCE_END = re.compile(r"(?<=\w{4}[.!?…])\s+(?=[«\"“]?[A-ZА-ЯЁ])")


def is_russian(*texts: str) -> bool:
    """Tell the language by the first text with letters; without any it counts as Russian."""
    for text in texts:
        cyrillic, latin = len(_CYRILLIC.findall(text)), len(_LATIN.findall(text))
        if cyrillic or latin:
            return cyrillic >= latin
    return True


def padded(answer: str, question: str = "") -> str:
    """Return the answer between sentences without content, in its own language.

    ``question`` tells the language of an answer without letters ("25").
    """
    before, after = FILLERS[is_russian(answer, question)]
    return f"{before} {_ended(answer)} {after}"


def without_padding(text: str) -> str | None:
    """Return the answer that `padded` was given (with an end mark), or None if nothing pads it."""
    for before, after in FILLERS.values():
        if text.startswith(f"{before} ") and text.endswith(f" {after}"):
            return text[len(before) + 1 : -len(after) - 1]
    return None


def styled(answer: str) -> str:
    """Return the same words, in the same order, as Markdown.

    Of several sentences the first becomes a heading and the others a list; each item's first
    words are bold. One sentence becomes a list of one.
    """
    sentences = _SENTENCE_END.split(" ".join(answer.split()))
    lines = [f"### {sentences.pop(0)}", ""] if len(sentences) > 1 else []
    for sentence in sentences:
        words = sentence.split()
        bold = " ".join(words[:2])
        lines.append(" ".join([f"- **{bold}**", *words[2:]]))
    return "\n".join(lines)


def first_half(answer: str) -> str | None:
    """Return the first half of the answer's words, or None if it has fewer than `FEWEST_WORDS`."""
    words = answer.split()
    return " ".join(words[: len(words) // 2]) if len(words) >= FEWEST_WORDS else None


def _ended(answer: str) -> str:
    answer = answer.strip()
    return answer if answer.endswith((".", "!", "?", "…", "»", '"')) else f"{answer}."
