"""The terms of a text for a search by words: the words that measures count, cut to their stems.

A term is a word of `text_folding.words` (so ё is е), stemmed by its own script: a Cyrillic word by
Snowball's Russian stemmer, a Latin one by the English one, whatever stands around it. A word with
a digit is a code and stays, as does a word of another script or of two. No word is left out for
being frequent: the weights of a search say that.

Where a script does not mark its words `text_scripts` decides. Han characters and kana are a term
each, as they are a word each for ROUGE. A run of Thai, Lao, Khmer or Burmese is no word, and a
search for whole clauses would find nothing but copies; so it has no terms.
"""

from __future__ import annotations

from collections.abc import Iterable

import regex

from rag_bench.evaluation.text.text_folding import words
from rag_bench.evaluation.text.text_scripts import marks_words

#: What the terms of a text depend on: these rules, and the stemmer's release, which is pinned.
#: Raise the first number when a rule changes; a test fails when one did and this did not.
TERMS_VERSION = "1-snowball-3.1.0"

_CYRILLIC = regex.compile(r"(?:\p{Cyrillic}\p{M}*)+")
_LATIN = regex.compile(r"(?:\p{Latin}\p{M}*)+")


def terms(text: str) -> list[str]:
    """Return the terms of a text in order, repeats included."""
    return terms_of([text])[0]


def terms_of(texts: Iterable[str]) -> list[list[str]]:
    """Return `terms` of each text; words that come again are stemmed once."""
    import Stemmer

    # Made anew, as a stemmer must not be used by two threads at once; it takes microseconds.
    russian, english = Stemmer.Stemmer("russian"), Stemmer.Stemmer("english")
    known: dict[str, str] = {}

    def stem(word: str) -> str:
        if _CYRILLIC.fullmatch(word):
            return str(russian.stemWord(word))
        if _LATIN.fullmatch(word):
            return str(english.stemWord(word))
        return word if marks_words(word) else ""

    found = []
    for text in texts:
        row = words(text)
        for word in row:
            if word not in known:
                known[word] = stem(word)
        found.append([term for word in row if (term := known[word])])
    return found
