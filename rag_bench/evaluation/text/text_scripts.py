"""What can be measured in which script: declared once, by the script of the reference.

A measure of words needs words. Where a script does not mark them, the measure is withheld with a
reason, and is not computed on whole clauses as if they were words. The script is that of the
reference, so all answers to one question are measured in one way, whatever they are written in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import regex

#: A script matters to a text that has this share of its letters in it; fewer are a name or two.
LEAST_SHARE = 0.1

Tokenizer = Literal["13a", "zh", "char"]

_WORD_MEASURES = ("rouge1_f", "rouge2_f", "rougeL_f", "bleu")


@dataclass(frozen=True)
class Script:
    """How texts of one kind of script are measured.

    Attributes:
        name: how it is called in results.
        bleu_tokenizer: sacrebleu's name of what makes words for BLEU; None: there is none.
        withheld: ``{measure: why it is not published}``; these have no value, and no error.
    """

    name: str
    bleu_tokenizer: Tokenizer | None
    withheld: Mapping[str, str] = field(default_factory=dict)


SPACED = Script("words between spaces", "13a")
HAN = Script("Chinese", "zh")
# MeCab would make words of Japanese, by a dictionary that is another package; characters need none.
KANA = Script("Japanese", "char")
UNSPACED = Script(
    "words without spaces",
    None,
    dict.fromkeys(
        _WORD_MEASURES,
        "the reference's script does not mark where a word ends, and this measures words",
    ),
)
SCRIPTS = (SPACED, HAN, KANA, UNSPACED)

Language = Literal["ru", "en"]
_LETTER = regex.compile(r"\p{L}")
# Unicode's class of letters between which only a dictionary can break a line: Thai, Lao, Khmer,
# Burmese, Shan, Tai. Javanese and Balinese are written without spaces too.
_UNSPACED = regex.compile(r"(?=\p{L})[\p{lb=SA}\p{Javanese}\p{Balinese}]")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")
_HAN = regex.compile(r"\p{Han}")


def script_of(reference: str) -> Script:
    """Return how a reference, and every answer to its question, is measured.

    Of a text in several scripts the first of these with `LEAST_SHARE` of the letters decides:
    those without spaces, kana, Han. A text without letters has words between spaces.
    """
    letters = len(_LETTER.findall(reference))
    least = max(1.0, LEAST_SHARE * letters)
    for script, pattern in ((UNSPACED, _UNSPACED), (KANA, _KANA), (HAN, _HAN)):
        if len(pattern.findall(reference)) >= least:
            return script
    return SPACED


def marks_words(text: str) -> bool:
    """Tell whether a text has no letter of a script that is written without spaces."""
    return not _UNSPACED.search(text)


def russian_or_english(text: str) -> Language:
    """Return ``ru`` if at least half of a text's Cyrillic and Latin letters are Cyrillic, else
    ``en``; a text without any letter counts as Russian.
    """
    text = text.lower()
    cyrillic = sum("а" <= letter <= "я" or letter == "ё" for letter in text)
    latin = sum("a" <= letter <= "z" for letter in text)
    return "ru" if cyrillic >= latin else "en"
