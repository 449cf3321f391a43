"""Every known fault names the tests that would catch it, and those exist."""

from __future__ import annotations

import ast
import re

from rag_bench.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "known_faults.md"
TESTS = PROJECT_ROOT / "rag_bench_tests"
_ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \| (.+) \|$", re.MULTILINE)


def rows() -> list[tuple[int, list[str]]]:
    text = PAGE.read_text(encoding="utf-8")
    return [(int(row[1]), re.findall(r"`([^`]+::[^`]+)`", row[4])) for row in _ROW.finditer(text)]


def functions(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


def test_all_24_stand_there_with_tests_that_exist() -> None:
    assert [number for number, _ in rows()] == list(range(1, 25))
    for number, tests in rows():
        assert tests, f"fault {number} names no test"
        for test in tests:
            path, name = test.split("::")
            assert (TESTS / path).is_file(), f"fault {number}: there is no {path}"
            assert name in functions(path), f"fault {number}: {path} has no {name}"
