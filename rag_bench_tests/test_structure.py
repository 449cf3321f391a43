"""A newcomer finds things: no module is long, no folder crowded."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from folders import support_folders

from rag_bench.settings import PROJECT_ROOT

MOST_LINES = 400
MOST_MODULES = 20
ROOTS = ("rag_bench", "rag_bench_tests", "benchmarks")


def modules() -> Iterator[Path]:
    for root in ROOTS:
        for path in sorted((PROJECT_ROOT / root).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield path.relative_to(PROJECT_ROOT)


def test_no_module_is_long() -> None:
    lines = {
        str(path): len((PROJECT_ROOT / path).read_text(encoding="utf-8").splitlines())
        for path in modules()
    }
    assert len(lines) > 100
    assert {path: n for path, n in lines.items() if n > MOST_LINES} == {}


def test_no_folder_is_crowded() -> None:
    folders = Counter(str(path.parent) for path in modules() if path.name != "__init__.py")
    assert {folder: n for folder, n in folders.items() if n > MOST_MODULES} == {}


def test_no_two_modules_of_tests_have_one_name() -> None:
    """Their folders are no packages: pytest would collect one of the two, and fail the other."""
    names = Counter(path.name for path in modules() if path.name.startswith("test_"))
    assert {name: n for name, n in names.items() if n > 1} == {}


def test_tests_find_all_that_they_share() -> None:
    options = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = options["tool"]["pytest"]["ini_options"]["pythonpath"]
    assert sorted(str(PROJECT_ROOT / one) for one in declared) == sorted(support_folders())
