"""A text's sentences, to be numbered and judged one by one.

Rather too few than too many: two sentences taken for one are judged together, while half of a
sentence ("В 2020 г.") claims nothing that could be judged. Russian and English abbreviations are
known; scripts without spaces or capitals end at their own marks.
"""

from __future__ import annotations

import regex

from rag_bench.evaluation.text.text_folding import words

# Closing quotes and brackets, and citations, belong to the sentence that they end.
_CLOSING = r"(?:[\"'»”’)\]）」』】]|\s*\[\d{1,2}(?:\s*[,;–-]\s*\d{1,2})*\])*"
_END = regex.compile(
    rf"(?P<mark>[.!?…]+){_CLOSING}(?=\s)|[。！？｡।॥؟۔።]+{_CLOSING}\s*|[.!?…]+{_CLOSING}(?=\p{{Han}})"
)
# What a new sentence starts with; a small letter goes on with the old one.
_START = regex.compile(r"[\s\"'«“‘„(\[（「『【—–•*-]*[\p{Lu}\p{Lt}\p{Lo}\p{Nd}]")
_CAPITAL = regex.compile(r"[\s\"'«“‘„(\[—–-]*\p{Lu}")
_LAST_WORD = regex.compile(r"([\p{L}\p{M}\p{Nd}]+(?:[.-][\p{L}\p{M}\p{Nd}]+)*)\.+$")
_LIST_NUMBER = regex.compile(r"\s*[(]?(?:\p{Nd}{1,3}|\p{L})(?:[.]\p{Nd}{1,3})*[.)]+\s*$")
_SECTION = regex.compile(r"\p{Nd}+(?:\.\p{Nd}+)+$")

# Stand before what they are of, so no sentence ends with them.
_NEVER_LAST = frozenset(
    """
    адм акад англ ауд букв влад вып гг гл гос дер дир доб доц зав зам изд им инж инст искл каб кв
    комн корп лат лит мкр моб напр нач нем обл оф пер пл пом пос пр просп проф разд ред рис рус св
    сл см соавт соотв ср стр табл тел ул универ ф-т факс франц чел эл эт юр
    adm al approx apt assoc ave blvd ca capt cf ch cmdr col comdr dept dr ed eds eq esp est
    ext feat fig figs gen gov hon inst lt maj mr mrs ms mt no nos op pl pp pres prof
    pt rd rep rev sec sen sgt st tel univ viz vol vols vs
    jan feb mar apr jun jul aug sep sept oct nov dec
    """.split()  # noqa: SIM905 (a list of 150 quoted words is no easier to read)
)
# Often end a sentence, and the next then starts with a capital.
_MAYBE_LAST = frozenset(
    [
        "руб",
        "коп",
        "мин",
        "сек",
        "час",
        "тыс",
        "млн",
        "млрд",
        "др",
        "пр",
        "проч",
        "etc",
        "inc",
        "ltd",
        "co",
        "corp",
        "jr",
        "sr",
    ]
)
# "и т. д.", "и т. п.": the whole of it may end a sentence, its letters alone do not.
_AND_SO_ON = regex.compile(r"(?i)\bи\s+т\.?\s*[дп]\.$|\bн\.\s*э\.$")


def sentences(text: str) -> list[str]:
    """Return the sentences of a text in order, each as it stands; [] for a text without words.

    Lines end sentences. A numbering ("2.", "а)") and a bare word in front ("Да.") are part of the
    sentence that follows, as they claim nothing by themselves.
    """
    found: list[str] = []
    for line in text.splitlines():
        pieces = _split(line)
        held = ""
        for position, piece in enumerate(pieces):
            piece = f"{held} {piece}".strip()
            if len(words(piece)) < 2 and position + 1 < len(pieces):
                held = piece
                continue
            held = ""
            if words(piece):
                found.append(piece)
            elif found and piece:
                found[-1] = f"{found[-1]} {piece}"
    return found


def _split(line: str) -> list[str]:
    pieces, start = [], 0
    for match in _END.finditer(line):
        piece = line[start : match.end()]
        if match["mark"] and not _ends(piece, match["mark"], line[match.end() :]):
            continue
        pieces.append(piece.strip())
        start = match.end()
    pieces.append(line[start:].strip())
    return [piece for piece in pieces if piece]


def _ends(piece: str, mark: str, rest: str) -> bool:
    """Tell whether a sentence ends here; ``rest`` begins with white space."""
    if not _START.match(rest):
        return not rest.strip()
    if mark != ".":
        return True
    plain = piece.rstrip("\"'»”’)]")
    if _LIST_NUMBER.match(plain):
        return False
    if _AND_SO_ON.search(plain):
        return bool(_CAPITAL.match(rest))
    word = _LAST_WORD.search(plain)
    if word is None:
        return True
    last = word[1].casefold()
    if _SECTION.search(last):  # "п. 5.2. Правил"
        return False
    if (len(last) == 1 and last.isalpha()) or last in _NEVER_LAST or "." in last:
        return False  # initials, "т. е.", "г.", "e.g."
    return bool(_CAPITAL.match(rest)) if last in _MAYBE_LAST else True
