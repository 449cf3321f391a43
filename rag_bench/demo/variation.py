"""Write one question in many ways: slang, misspelling, case, punctuation, order."""

from __future__ import annotations

import re
from functools import cache

from rag_bench.demo import wording
from rag_bench.demo.dice import Dice

_WORD = re.compile(r"[^\W\d_]+")
_INNER_PUNCTUATION = re.compile(r"[,.:;()«»—!?]")
_GREETING = re.compile(
    r"^(?:здравствуйте|здраствуйте|добрый (?:день|вечер)|доброе утро|привет\w*)[!.,)\s]+", re.I
)
_ASKS = re.compile(
    r"\b(?:где|когда|как\w*|сколько|скок\w?|можно|что|чо|кто|кому|куда|откуда|почему|надо|нужн\w+|ли|"
    r"зачем|реально|when|where|how|what|who|why|can|is|do|does)\b",
    re.I,
)
MIN_LENGTH = 4  # the bot ignores shorter messages
_LONG = 60  # characters from which nobody adds a greeting and an ending to a variant


def vary(text: str, lang: str, dice: Dice, force: int = 0, inner: bool = False) -> str:
    """Return the text as some user might have typed it, in its own case (see ``recase``).

    ``force`` counts earlier attempts that gave a text already used: each makes changes likelier.
    ``inner``: a later part of a message, which has no greeting or ending of its own.
    """
    more = 1 + 0.5 * force
    changed = text
    if dice.chance(0.35 * more):
        changed = _swap_words(changed, lang, dice)
    if dice.chance(0.15 * more):
        changed = _reorder(changed, dice)
    if dice.chance(0.12 * more):
        changed = _drop_filler(changed, dice)
    changed = _without_greeting(changed) if inner else _surround(changed, lang, dice, more)
    changed = _repunctuate(changed, dice)
    if dice.chance(0.7):
        changed = changed.replace("ё", "е").replace("Ё", "Е")
    errors = dice.chance(0.32 * more) + dice.chance(0.07 * more)
    for _ in range(errors):
        changed = misspell(changed, lang, dice)
    changed = re.sub(r"\s+", " ", changed).strip()
    return changed if len(changed) >= MIN_LENGTH else text


def recase(text: str, dice: Dice) -> str:
    """Return the whole message in the case that a user, or the bot itself, leaves it in."""
    if dice.chance(0.55):  # the bot lower-cases about half
        return text.lower()
    if dice.chance(0.3):
        return text[0].upper() + text[1:]
    if dice.chance(0.02) and len(text) < _LONG:
        return text.upper()
    return text


@cache
def _slang(lang: str) -> tuple[re.Pattern[str], dict[str, tuple[str, ...]]]:
    words = wording.SLANG_EN if lang == "en" else wording.SLANG_RU
    by_length = sorted(words, key=lambda word: (-len(word), word))
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, by_length))})\b", re.I), words


def _swap_words(text: str, lang: str, dice: Dice) -> str:
    """Put one word or phrase into slang, or out of it."""
    pattern, words = _slang(lang)
    found = list(pattern.finditer(text))
    if not found:
        return text
    match = dice.pick(found)
    word = dice.pick(words[match.group().lower()])
    if match.group()[0].isupper():
        word = word[0].upper() + word[1:]
    return text[: match.start()] + word + text[match.end() :]


def _reorder(text: str, dice: Dice) -> str:
    """Move the first word or two to the end: Russian bears it."""
    end = re.search(r"[?!.)(]*$", text)
    tail = end.group() if end else ""
    body = text[: len(text) - len(tail)]
    words = body.split()
    if not 2 <= len(words) <= 7 or _INNER_PUNCTUATION.search(body):
        return text
    moved = 1 if len(words) < 4 or dice.chance(0.6) else 2
    return " ".join(words[moved:] + words[:moved]) + tail


def _drop_filler(text: str, dice: Dice) -> str:
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if word.lower() in wording.FILLERS_RU]
    if not places or len(words) < 4:
        return text
    del words[dice.pick(places)]
    return " ".join(words)


def _without_greeting(text: str) -> str:
    bare = _GREETING.sub("", text)
    return bare[0].lower() + bare[1:] if len(bare) >= MIN_LENGTH else text


def _surround(text: str, lang: str, dice: Dice, more: float) -> str:
    """Greet, start loosely or add an ending; long texts have that already."""
    english = lang == "en"
    short = len(text) < _LONG
    if dice.chance((0.13 if short else 0.03) * more):
        opening = dice.pick(wording.OPENINGS_EN if english else wording.OPENINGS_RU)
        if not text.lower().startswith(opening.split(",")[0].split("!")[0].strip().lower()):
            text = opening + text[0].lower() + text[1:]
    elif dice.chance(0.08 * more):
        starter = dice.pick(wording.STARTERS_EN if english else wording.STARTERS_RU)
        text = starter + text[0].lower() + text[1:]
    if dice.chance((0.12 if short else 0.03) * more):
        text = (text.rstrip("?!. ") or text) + dice.pick(
            wording.ENDINGS_EN if english else wording.ENDINGS_RU
        )
    return text


def _repunctuate(text: str, dice: Dice) -> str:
    if dice.chance(0.35):
        text = text.replace(",", "")
    if text.endswith("?"):
        if dice.chance(0.45):
            text = text.rstrip("?")
        elif dice.chance(0.12):
            text += dice.pick(("?", "??", "!", "!!"))
        elif dice.chance(0.08):
            text = text.rstrip("?") + " ?"
    elif text[-1].isalnum():
        if _ASKS.search(text) and dice.chance(0.25):
            text += "?"
        elif dice.chance(0.06):
            text += dice.pick(("??", "...", ")", "))", "(", "((", "!", "!!!", " ?", "."))
    if dice.chance(0.04):
        text = text.replace("«", '"').replace("»", '"').replace("—", "-")
    return text


@cache
def _neighbours(lang: str) -> dict[str, str]:
    rows = wording.NEIGHBOURS_EN if lang == "en" else wording.NEIGHBOURS_RU
    near: dict[str, str] = {}
    for row, keys in enumerate(rows):
        for place, key in enumerate(keys):
            near[key] = keys[max(place - 1, 0) : place] + keys[place + 1 : place + 2]
            for other in (row - 1, row + 1):
                if 0 <= other < len(rows) and place < len(rows[other]):
                    near[key] += rows[other][place]
    return near


def misspell(text: str, lang: str, dice: Dice) -> str:
    """Make one typing or spelling error in a word of four letters or more, if there is one."""
    words = [match for match in _WORD.finditer(text) if len(match.group()) >= MIN_LENGTH]
    if not words:
        return text
    match = dice.pick(words)
    word = match.group()
    at = 1 + dice.below(len(word) - 1)  # people get the first letter right
    return text[: match.start()] + _wrong(word, at, lang, dice) + text[match.end() :]


def _wrong(word: str, at: int, lang: str, dice: Dice) -> str:
    before, letter, after = word[:at], word[at], word[at + 1 :]
    kind = dice.weighted((30, 20, 20, 12, 14, 4))
    if kind == 0 and letter in wording.SOUND_ALIKES:
        return before + wording.SOUND_ALIKES[letter] + after
    if kind == 1:
        return before + after
    if kind == 2 and after:
        return before + after[0] + letter + after[1:]
    if kind == 3:
        return before + letter * 2 + after
    if kind == 5 and letter in wording.LOOK_ALIKES:
        return before + wording.LOOK_ALIKES[letter] + after
    near = _neighbours(lang).get(letter)
    return before + (dice.pick(near) if near else "") + after
