"""The page "May I release?" says what command, graph and dashboard say, in both languages."""

from __future__ import annotations

import re

import pytest

from rag_bench.evaluation.paired.reproduced import LEVEL
from rag_bench.evaluation.paired.words import (
    ANEW,
    CANNOT_TELL,
    GOT_WORSE,
    MAY_I_RELEASE,
    NO_WORSE,
    WHAT_TO_DO,
)
from rag_bench.languages.translated import sentence
from rag_bench.reporting.compared.gate import Gated
from rag_bench.settings import PROJECT_ROOT, Settings

PAGES = ("docs/may_i_release.md", "docs/may_i_release.ru.md")


def rows(page: str) -> dict[str, list[str]]:
    """The tables' rows by what stands bold in their first cell."""
    text = (PROJECT_ROOT / page).read_text(encoding="utf-8")
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if (name := re.match(r"\| \*\*(.+?)\*\*", line)) and len(cells) > 2:
            found[name[1]] = cells[1:]
    return found


@pytest.mark.parametrize("page", PAGES)
def test_the_words_of_the_page_are_those_of_the_code(page: str) -> None:
    found = rows(page)
    assert found.keys() == {*MAY_I_RELEASE, GOT_WORSE, NO_WORSE, CANNOT_TELL}
    for outcome, answer in MAY_I_RELEASE.items():
        assert found[outcome][0].startswith(answer)
    if page == PAGES[0]:
        for word, todo in WHAT_TO_DO.items():
            assert found[word][-1].rstrip(" |") == todo


@pytest.mark.parametrize("page", PAGES)
def test_what_to_do_in_another_world_is_that_of_the_code(page: str) -> None:
    text = (PROJECT_ROOT / page).read_text(encoding="utf-8")
    found = dict(re.findall(r"^\| .*\(`(\w+)`\) \| (.+) \|$", text, re.MULTILINE))
    assert found.keys() == ANEW.keys()
    for cause, todo in ANEW.items():
        if page == PAGES[0]:
            assert found[cause] == todo
        else:
            said = sentence(todo, "ru").partition(": ")[2] or sentence(todo, "ru")
            assert re.findall(r"`[^`]+`", found[cause]) == re.findall(r"`[^`]+`", said)
            assert found[cause].endswith("спросить снова") is said.endswith("спросите снова.")
    level = f"{LEVEL:.1%}".replace("%", " %")
    assert (level if page == PAGES[0] else level.replace(".", ",")) in text


def test_the_gate_answers_in_these_words() -> None:
    passed = Gated([], {})
    assert next(iter(passed.lines())) == f"The gate: passed. {MAY_I_RELEASE['passed']}"
    assert passed.as_json()["may_i_release"] == MAY_I_RELEASE["passed"]


@pytest.mark.parametrize("page", PAGES)
def test_what_the_page_names_is_there(page: str) -> None:
    text = (PROJECT_ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"RAG_BENCH_([A-Z_]+)", text))
    assert {"GATE", "GATE_MAX_CALLS", "GATE_MAX_COST_USD"} <= named
    assert {name.lower() for name in named} <= Settings.model_fields.keys()
    for path in re.findall(r"\]\(([\w./]+?)(?:#[^)]*)?\)", text):
        assert (PROJECT_ROOT / "docs" / path).exists(), path
