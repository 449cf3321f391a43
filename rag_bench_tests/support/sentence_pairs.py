"""Pairs of sentences that a measure of texts must tell apart, and how well it does.

A pair is an answer and a gold sentence. It is *alike* where the answer is the gold sentence as a
model would give it back: with words left out, in another order, with words or endings changed, cut
short, or inside of an answer with its neighbours. It is *unlike* where the answer is another
sentence of the same page: on the subject, in the same words, and wrong. The area under the ROC
curve is the probability that an alike pair scores above an unlike one, ties counting half.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import regex
from sample_sentences import SENTENCES

from rag_bench.evaluation.metrics.judges.judge_labels import auc_of
from rag_bench.evaluation.text.sentences import sentences
from rag_bench.evaluation.text.text_scripts import SPACED, script_of

#: A measure that tells a language's sentences apart less well than this is not published for it.
LEAST_AREA = 0.95
FEWEST_UNITS = 6  # of a sentence, words or characters
FEWEST_LETTERS = 4  # of a word with an ending

Pair = tuple[str, str]
Scores = Callable[[Sequence[str], Sequence[str]], Sequence[Mapping[str, float | None]]]


def xquad_pages(path: Path, n_sentences: int = 300, seed: int = 0) -> list[list[str]]:
    """Return pages of gold sentences: those of a paragraph of XQuAD, drawn by the seed."""
    articles = json.loads(path.read_text("utf-8"))["data"]
    paragraphs = [p["context"] for article in articles for p in article["paragraphs"]]
    random.Random(seed).shuffle(paragraphs)
    pages: list[list[str]] = []
    for paragraph in paragraphs:
        page = [s for s in sentences(paragraph) if len(_units(s)) >= FEWEST_UNITS]
        if len(page) > 1:
            pages.append(page)
        if sum(map(len, pages)) >= n_sentences:
            break
    return pages


def sample_pages(language: str) -> list[list[str]]:
    """Return the made-up sentences of a language as one page."""
    return [SENTENCES[language]]


def alike(pages: Sequence[Sequence[str]], seed: int = 0) -> dict[str, list[Pair]]:
    """Return alike pairs by what was done to the gold sentence."""
    dice = random.Random(seed)
    found: dict[str, list[Pair]] = {}
    for page in pages:
        others = [unit for sentence in page for unit in _units(sentence)]
        for place, gold in enumerate(page):
            units = _units(gold)
            joint = " " if script_of(gold) is SPACED else ""
            half, third = len(units) // 2, max(1, len(units) // 3)
            gone = set(dice.sample(range(len(units)), third))
            bent = set(dice.sample(range(len(units)), half))
            changed = [dice.choice(others) if n in gone else u for n, u in enumerate(units)]
            answers = {
                "a third left out": joint.join(u for n, u in enumerate(units) if n not in gone),
                "halves changed round": joint.join(units[half:] + units[:half]),
                "a third changed": joint.join(changed),
                "half of it": joint.join(units[:half]),
                "beside two others": f"{page[place - 2]} {gold} {page[place - 1]}",
            }
            if joint:
                answers["half of the endings"] = joint.join(
                    _other_ending(u) if n in bent else u for n, u in enumerate(units)
                )
            for name, answer in answers.items():
                found.setdefault(name, []).append((answer, gold))
    return found


def unlike(pages: Sequence[Sequence[str]]) -> list[Pair]:
    """Return each gold sentence with every other one of its page as the answer."""
    return [(other, gold) for page in pages for gold in page for other in page if other != gold]


def areas(pages: Sequence[Sequence[str]], scores: Scores) -> dict[str, dict[str, float | None]]:
    """Return ``{measure: {change or "all": area}}``; None where the measure has no values."""
    pairs = alike(pages)
    wrong = scores(*zip(*unlike(pages), strict=True))
    right = {name: scores(*zip(*part, strict=True)) for name, part in pairs.items()}
    right["all"] = [row for part in list(right.values()) for row in part]
    found: dict[str, dict[str, float | None]] = {}
    for measure in wrong[0]:
        low = [row[measure] for row in wrong]
        found[measure] = {
            name: area([row[measure] for row in rows], low) for name, rows in right.items()
        }
    return found


def area(high: Sequence[float | None], low: Sequence[float | None]) -> float | None:
    """Return the area under the curve of values that should be high over ones that should not."""
    above = [value for value in high if value is not None]
    below = [value for value in low if value is not None]
    return auc_of(above, below) if above and below else None


def _other_ending(word: str) -> str:
    """Return a word of some length with its last letter off, as another form would be."""
    letters = regex.findall(r"\X", word)
    return "".join(letters[:-1]) if len(letters) >= FEWEST_LETTERS else word


def _units(sentence: str) -> list[str]:
    """Return what a sentence is made of: words, or characters where it has no spaces."""
    if script_of(sentence) is SPACED:
        return sentence.split()
    return [unit for unit in regex.findall(r"\X", sentence) if unit.strip()]
