"""One folding of texts: what the eye cannot tell apart is one text, in every comparison.

`visible` is a text as it looks; `fold` is what two texts are compared by; `words` are what
measures and near-duplicates count. Nothing else in the program folds texts by its own rules.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex

# Unicode's own list (soft hyphens, zero-width characters, byte-order and direction marks,
# variation selectors, fillers), control characters that are no white space, and two that programs
# leave in copied texts: annotation marks and the placeholder of an object.
INVISIBLE = r"\p{Default_Ignorable_Code_Point}\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufff9-\ufffc"
_INVISIBLE = regex.compile(f"[{INVISIBLE}]+")
# Python's own idea of white space, and the blank of Braille.
_WHITE = regex.compile(r"[\s\x1c-\x1f\u2800]+")

# NFKC would make letters of these, glued to what stands beside them: №408 is not no408.
_NUMBER_SIGN = "#"
_SIGNS = str.maketrans({"№": _NUMBER_SIGN, "™": "", "℠": ""})
# Keyboards without the sign: Nº 5, N° 5.
_NUMBER_SIGN_SPELT = regex.compile(r"(?<![\p{L}\p{N}])[Nn][º°](?=\s?\p{Nd})")
_BEFORE_NUMBER = regex.compile(rf"{_NUMBER_SIGN} (?=\p{{Nd}})")
# 10⁵ is not 105 and 1½ is not 11/2, while м² is written м2 as well.
_DIGIT_THEN_SMALL = regex.compile(r"(?<=\p{Nd})(?=\p{No})")

# Which mark a keyboard or an editor puts is no difference of texts. Before NFKC, which makes a
# space and a combining mark of a free-standing accent.
_PUNCTUATION = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-")
    | dict.fromkeys("«»“”„‟″‶〝〞〟＂", '"')
    | dict.fromkeys("‘’‚‛‹›ʼʻ′‵`´＇", "'")
)
_SIGN = regex.compile(f"([{''.join(map(chr, _SIGNS))}])")
# The two letters of a Russian text that people write with and without their marks; й is another
# letter than и. Bulgarian ѝ and Macedonian ѐ are the vowel under a grave stress.
_PLAIN_LETTERS = str.maketrans({"ё": "е", "ѝ": "и", "ѐ": "е"})
# Marks of other letters and scripts are part of the word: a vowel of Hindi is one.
_STRESS = regex.compile(r"(?<=[аеиоуыэюяіїє])[\u0300\u0301]+")

# Latin letters that look like Cyrillic ones, inside of a word that has Cyrillic ones beside them:
# slips of the keyboard. A word of another Latin letter is a name, and stays.
_LATIN_ALIKE, _CYRILLIC_ALIKE = "ABCEHKMOPTXYaceopxy", "АВСЕНКМОРТХУасеорху"
_ALIKE = str.maketrans(_LATIN_ALIKE, _CYRILLIC_ALIKE)
_MIXED = regex.compile(
    rf"(?=[{_LATIN_ALIKE}]*\p{{Cyrillic}})(?=\p{{Cyrillic}}*[{_LATIN_ALIKE}])"
    rf"(?<!\p{{L}})(?:\p{{Cyrillic}}|[{_LATIN_ALIKE}]|\p{{M}})++(?!\p{{L}})"
)

# Characters that are a word each, as nothing but a dictionary tells where a word of them ends.
_ALONE = r"\p{Han}\p{scx=Hira}\p{scx=Kana}"
# Letters and digits of any script with their combining marks; an underscore is Markdown's
# emphasis, not part of a word.
_WORD_OF = rf"(?=\p{{L}}|\p{{N}})[{_ALONE}]\p{{M}}*|(?:(?![{_ALONE}])[\p{{L}}\p{{N}}]\p{{M}}*)+"
_WORD = regex.compile(_WORD_OF)
_COMPOUND = regex.compile(rf"(?:{_WORD_OF})(?:-(?:{_WORD_OF}))*")


def visible(text: str) -> str:
    """Return a text as it looks: composed (NFC), one-spaced, without invisible characters.

    Case, typography and signs stay.
    """
    return _one_spaced(unicodedata.normalize("NFC", _INVISIBLE.sub("", text)))


def readable(text: str) -> str:
    """Return a text for people and patterns: NFKC but for signs, without invisible characters.

    So that patterns see full-width digits, and digits with something invisible between them.
    """
    parts = _SIGN.split(_INVISIBLE.sub("", text))
    return "".join(p if _SIGN.fullmatch(p) else unicodedata.normalize("NFKC", p) for p in parts)


def in_one_script(text: str) -> str:
    """Return a text with Latin letters that slipped into a Cyrillic word as what they look like.

    As long as before.
    """
    return _MIXED.sub(lambda word: word[0].translate(_ALIKE), text)


@lru_cache(maxsize=8_192)
def fold(text: str) -> str:
    """Return what a text is compared by; equal for texts that read the same.

    NFKC, case folded, one-spaced; without invisible characters and marks of stress on Cyrillic
    vowels; ё as е; Latin letters that slipped into a Cyrillic word as what they look like; one
    kind of dash, of quote and of apostrophe. ``№`` is a sign, and no part of
    the number behind it, with or without a space; a raised digit or a fraction is no part of the
    number before it. Folding a folded text changes nothing.
    """
    text = _NUMBER_SIGN_SPELT.sub(_NUMBER_SIGN, _INVISIBLE.sub("", text))
    text = text.translate(_SIGNS).translate(_PUNCTUATION)
    text = unicodedata.normalize("NFKC", _DIGIT_THEN_SMALL.sub(" ", text))
    # Again: NFKC makes fillers of fillers.
    text = in_one_script(_INVISIBLE.sub("", text))
    # İ is an i, whose own dot would come twice.
    text = text.casefold().replace("i\u0307", "i")
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN_LETTERS)
    text = _one_spaced(_STRESS.sub("", text).translate(_PUNCTUATION))
    return _BEFORE_NUMBER.sub(_NUMBER_SIGN, text)


def words(text: str) -> list[str]:
    """Return the words and numbers of a text in order, folded.

    Letters, digits and their combining marks make a word; every other character ends one. Han
    characters and kana are a word each. Scripts that write words without spaces (Thai, Lao,
    Khmer, Burmese) come in runs between spaces, which are no words: see `text_scripts`.
    """
    return _WORD.findall(fold(text))


def compounds(text: str) -> list[str]:
    """Return `words`, but those that a hyphen joins as one («ПИб-22»)."""
    return _COMPOUND.findall(fold(text))


def words_alone(text: str) -> str:
    """Return the words of a text between single spaces: what is left without punctuation."""
    return " ".join(words(text))


def has_words_in_a_row(text: str, part: str) -> bool:
    """Tell whether the words of ``part`` stand in ``text`` in a row; false if it has none."""
    wanted = words_alone(part)
    return bool(wanted) and f" {wanted} " in f" {words_alone(text)} "


def _one_spaced(text: str) -> str:
    return _WHITE.sub(" ", text).strip(" ")
