"""Lists of words that tell a name from what is none, each a file of `words/`."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def words(name: str) -> frozenset[str]:
    """Return a list of words, in small letters.

    - ``first_names``: in Latin letters: English ones, Russian ones in the usual spellings, common
      ones of Asia and Africa. Left out are those that are rather words of a sentence: May, Will,
      Grant, Art.
    - ``doubtful_first_names``: those that are English words too; only a Russian surname bears them
      out.
    - ``no_surnames``: what, behind a first name in small letters, begins the rest of the sentence.
    - ``openers``: words and abbreviations that stand before somebody's name and a comma.
    - ``things``: what, capitalised in a pair of words, makes it no person's name.
    - ``titles``: Russian words before a surname, which say who is meant.
    """
    file = Path(__file__).with_name("words") / f"{name}.txt"
    return frozenset(file.read_text(encoding="utf-8").split())
