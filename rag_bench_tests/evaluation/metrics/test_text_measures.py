"""Every published measure of texts tells a language's gold sentences apart, or is withheld."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_sentences import SENTENCES
from sentence_pairs import LEAST_AREA, alike, area, areas, sample_pages, unlike, xquad_pages

from rag_bench.evaluation.metrics.text_overlap import NAMES, text_overlaps
from rag_bench.evaluation.text.text_scripts import script_of


def check(pages: list[list[str]]) -> None:
    withheld = {name for page in pages for gold in page for name in script_of(gold).withheld}
    found = areas(pages, text_overlaps)
    assert set(found) == set(NAMES)
    for measure, row in found.items():
        for change, value in row.items():
            if measure in withheld:
                assert value is None, (measure, change)
            else:
                assert value is not None
                assert value >= LEAST_AREA, (measure, change, value)


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_made_up_sentences(language: str) -> None:
    check(sample_pages(language))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_sentences_of_xquad(xquad: Path, language: str) -> None:
    check(xquad_pages(xquad / f"xquad.{language}.json", n_sentences=120))


def test_the_bar_is_one_that_measures_fail() -> None:
    """Words between spaces do not tell Chinese sentences apart: each is one word."""

    def spaced(answers, references):  # type: ignore[no-untyped-def]
        pairs = zip(answers, references, strict=True)
        return [{"shared": float(bool({*a.split()} & {*r.split()}))} for a, r in pairs]

    assert areas(sample_pages("zh"), spaced)["shared"]["all"] < 0.7


def test_the_area_by_hand() -> None:
    # Of 3 x 2 pairs 4 are above, 1 ties, 1 is below: (4 + 1/2) / 6.
    assert area([3.0, 2.0, 1.0], [2.0, 0.5]) == pytest.approx(4.5 / 6)
    assert area([None, 3.0], [None, 1.0]) == 1.0
    assert area([None], [1.0]) is None


def test_alike_pairs_keep_their_gold_and_unlike_ones_do_not() -> None:
    pages = [["Один два три четыре пять шесть.", "Семь восемь девять десять сто двести."]]
    made = alike(pages)
    assert made["halves changed round"][0][0] == "четыре пять шесть. Один два три"
    assert made["half of it"][1][0] == "Семь восемь девять"
    assert all(len(pairs) == 2 for pairs in made.values())
    assert all(answer != gold for pairs in made.values() for answer, gold in pairs)
    assert unlike(pages) == [(pages[0][1], pages[0][0]), (pages[0][0], pages[0][1])]
