"""A Russian page is Russian: no sentence of ours in English, in text, help, tables or plots."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from dashboard_pages import Shown, shown
from small_world import World

from rag_bench.dashboard.address import TABS

pytestmark = pytest.mark.timeout(600)
#: Four words of English in a row. Names of models, metrics, settings and files have signs in them.
SENTENCE = re.compile(r"(?<![\w/`_.-])[A-Za-z]{2,}(?:[ ,]+[a-z]{2,}(?![\w/_=-])){3,}")
#: Words of others, or code: what models and users write, keys, commands.
OTHERS = {"code", "pre", "option", "script", "style", "textarea", "kbd"}
OTHERS_CLASSES = {"rb-text"}


class Reader(HTMLParser):
    """Collects the words of a page that are ours, and what is said at the pointer."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._open: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in ("br", "input", "img", "hr", "wbr", "meta", "link"):
            classes = set((given.get("class") or "").split())
            self._open.append((tag, tag in OTHERS or bool(classes & OTHERS_CLASSES)))
        self.said += [given[name] or "" for name in ("title", "aria-label") if given.get(name)]

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            if self._open.pop()[0] == tag:
                break

    def handle_data(self, data: str) -> None:
        if not any(others for _, others in self._open):
            self.said.append(data)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from texts(one)


def english(page: Shown, known: set[str]) -> list[str]:
    """What is English on a page, without texts of the store."""
    reader = Reader()
    reader.feed(page.html)
    said = [" ".join(text.split()) for text in reader.said]
    for figure in page.figures:
        said += texts(json.loads(figure.to_json()))
    found = {text for text in said if SENTENCE.search(text)}
    # A text may be cut, or stand among words of ours.
    for one in sorted(known, key=len, reverse=True):
        found = {text.replace(one, "…") for text in found if not one.startswith(text.rstrip("…"))}
    return sorted(text for text in found if SENTENCE.search(text))


@pytest.fixture(scope="module")
def words_of_others(populated: World) -> set[str]:
    """Texts that models, judges and users wrote, and the names of datasets."""
    rows = populated.rows(
        "select answer as text from rag_bench.evaluation_case where answer is not null "
        "union select name from rag_bench.dataset union select text from rag_bench.chunk "
        "union select question from rag_bench.dataset_item"
    )
    return {" ".join(str(row["text"]).split()) for row in rows if str(row["text"]).strip()}


@pytest.mark.parametrize("tab", TABS)
def test_no_tab_says_anything_in_english(
    populated: World, words_of_others: set[str], tab: str
) -> None:
    page = shown(populated.engine, f"?tab={tab}&lang=ru")
    assert english(page, words_of_others) == []


def test_nor_does_an_evaluation_or_a_question(populated: World, words_of_others: set[str]) -> None:
    newest = populated.rows(
        "select max(id) as id, tier, kind from rag_bench.evaluation group by 2, 3 order by 2, 3"
    )
    for row in newest:
        page = shown(populated.engine, f"?tab=runs&lang=ru&evaluation={row['id']}")
        assert english(page, words_of_others) == [], (row["tier"], row["kind"])
    [case] = populated.rows(
        "select min(case_id) as id from rag_bench.evaluation_case c join rag_bench.evaluation e "
        "on e.id = c.evaluation_id where e.tier = '3' and e.kind = 'answers'"
    )
    page = shown(populated.engine, f"?tab=questions&lang=ru&case={case['id']}")
    assert english(page, words_of_others) == []


def test_nor_does_a_comparison_and_kinds_have_russian_names(
    populated: World, words_of_others: set[str]
) -> None:
    pairs = populated.rows(
        "select min(id) as a, max(id) as b from rag_bench.evaluation where tier = '3' and "
        "kind = 'scores' group by generation_model, benchmark_judge_model having count(*) > 1"
    )
    pages = [
        shown(populated.engine, f"?tab=compare&lang=ru&a={pair['a']}&b={pair['b']}")
        for pair in pairs[:2]
    ]
    assert [english(page, words_of_others) for page in pages] == [[]] * len(pages)
    pages += [shown(populated.engine, f"?tab={tab}&lang=ru") for tab in ("runs", "compare")]
    ours = re.compile(r"(?<![\w/_:-])(answers|scores|metrics|contexts per answer)(?![\w_=-])")
    assert [ours.findall(page.text) for page in pages] == [[]] * len(pages)


def test_the_search_itself_finds_english() -> None:
    page = Shown('<p title="a judge that nobody checked">cannot connect to the server</p>')
    assert len(english(page, set())) == 2
    assert english(Shown("<p>модель <code>the one of all</code> лучше</p>"), set()) == []
    assert english(Shown("<p>simulator/sim-a rubric_e2e_quality hit_rate@5</p>"), set()) == []
