"""The pages on labels, judges and datasets: their commands run, those named in passing exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from command_line import RagBench
from labelled_world import MODELS, labelled_world
from sqlalchemy import Engine

from rag_bench.cli.app import app
from rag_bench.settings import PROJECT_ROOT

PAGES = [
    PROJECT_ROOT / "docs" / f"{name}{ending}"
    for name in ("labels", "judges", "datasets")
    for ending in (".md", ".ru.md")
]
FIRST = next(iter(MODELS))


def blocks(page: Path) -> list[list[str]]:
    fenced = r"^```(\w*)\n(.*?)^```"
    found = re.findall(fenced, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for kind, block in found if kind in ("", "bash") for line in block.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("rag-bench ")]


def named(page: Path) -> list[list[str]]:
    """Commands in the running text, which a line's end may part."""
    fenced = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
    text = fenced.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"`rag-bench ([^`]+)`", text)
    return [shlex.split(" ".join(one.split())) for one in found]


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and what stands behind its name."""
    made: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and rest[0] in getattr(made, "commands", {}):
        made = made.commands[rest.pop(0)]
    return made, rest


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_is_there_with_its_options(page: Path) -> None:
    commands = [*blocks(page), *named(page)]
    assert commands
    for words in commands:
        found, rest = command_of(words)
        assert rest != words, f"{words}: there is no such command"
        if hasattr(found, "commands"):
            assert not rest, f"{words}: there is no such command"
        options = {name for one in found.params for name in (*one.opts, *one.secondary_opts)}
        for word in rest:
            if word.startswith("-") and len(word) > 1:
                assert word.partition("=")[0] in options, f"{words}: no option {word}"


@pytest.mark.parametrize("name", ["labels", "judges", "datasets"])
def test_both_languages_run_the_same(name: str) -> None:
    english, russian = (blocks(PROJECT_ROOT / "docs" / f"{name}{e}") for e in (".md", ".ru.md"))
    if name == "datasets":  # the Russian page is shorter
        assert all(one in english for one in russian)
    else:
        assert english == russian


def test_the_five_steps_run(
    rag_bench: RagBench, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCHMARK_RUN_AUTHOR", "ann")
    world = labelled_world(engine, 120, [FIRST])
    steps = blocks(PROJECT_ROOT / "docs" / "labels.md")
    assert [words[1] for words in steps] == [
        "evaluations",
        "draw",
        "next",
        "agreement",
        "corrected",
    ]
    for words in steps:
        # The page's evaluation is somebody's twelfth.
        mine = [str(world.answers[FIRST]) if word == "12" else word for word in words]
        ended = rag_bench(*mine)
        assert ended.code == 0, (words, ended)
    [drawn] = [json.loads(line) for line in rag_bench("label", "draws", "--json").out.splitlines()]
    assert drawn["n_cases"] == 100


def test_what_the_page_says_of_files_works(
    rag_bench: RagBench, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCHMARK_RUN_AUTHOR", "ann")
    world = labelled_world(engine, 60, [FIRST])
    answers = str(world.answers[FIRST])
    assert rag_bench("label", "draw", answers, "--size", "40").code == 0
    sheet = tmp_path / "sheet.csv"
    assert rag_bench("label", "sheet", "1", "-o", sheet).code == 0
    # As Russian Excel saves it.
    text = sheet.read_text(encoding="utf-8-sig").replace(",,ann,", ",4,ann,")
    sheet.write_bytes(("sep=,\r\n" + text).encode("cp1251"))
    assert rag_bench("label", "import", sheet).out.startswith("40 labels stored.")
    assert rag_bench("label", "import", sheet).out.startswith("0 labels stored, 40 were there")
    planned = rag_bench("label", "plan", answers, "--more", "50", "--within", "0.2")
    assert planned.code == 0, planned
    assert "corrected mean to ±0.2" in planned.out
    listed = rag_bench("label", "evaluations", "--metric", "predicted_show", "--json")
    assert (listed.code, listed.out) == (0, "")
    refused = rag_bench("label", "corrected", "--run", "nowhere", "--json")
    assert (refused.code, refused.out) == (0, "")
    shown = rag_bench("label", "corrected", "--metric", "ragas_faithfulness", "--json")
    assert shown.code == 0, shown
