"""Metrics of your own: plain functions, called for each question with what they ask for."""

import re

NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def numbers_backed(answer: str, contexts: list[str]) -> float | None:
    """Return the share of the answer's numbers that its contexts hold; None: it has no number."""
    said = NUMBER.findall(answer)
    if not said:
        return None
    known = {number for text in contexts for number in NUMBER.findall(text)}
    return sum(number in known for number in said) / len(said)


numbers_backed.scale = (0, 1)  # optional: gives bounds for missing cases


async def length(answer: str, reference_answer: str | None = None) -> dict[str, float | None]:
    """Return the answer's length in words, and in lengths of the reference if there is one."""
    words = len(answer.split())
    wanted = len(reference_answer.split()) if reference_answer else 0
    return {"words": words, "of_reference": words / wanted if wanted else None}
