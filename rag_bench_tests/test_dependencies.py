"""What is declared is used: a dependency that nothing imports is one more to keep."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from typing import Any

from rag_bench.settings import PROJECT_ROOT

#: Needed, and imported by others than us.
INDIRECT = {
    "dagster-webserver": "the UI, started as a command",
    "dagster-postgres": "named in the instance's settings",
    "psycopg2-binary": "dagster-postgres drives PostgreSQL by it",
    "langchain-community": "a module that ragas imports is missing in later ones",
    "instructor": "ragas imports it",
    "pandas": "bertopic and ragas give data frames",
    "python-multipart": "FastAPI reads uploaded files by it",
}


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    return found


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~ ;]", one, maxsplit=1)[0]) for one in requirements}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported() -> set[str]:
    """The top-level packages that the project's code imports."""
    found = set()
    for path in (PROJECT_ROOT / "rag_bench").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Call) and node.args:  # import_module("torch"), find_spec
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value.partition(".")[0])
    return found


def distributions_of(packages: set[str]) -> set[str]:
    where = packages_distributions()
    return {normal(one) for package in packages for one in where.get(package, [])}


def test_every_dependency_is_imported() -> None:
    extras = project()["optional-dependencies"]
    declared = names(project()["dependencies"])
    declared |= set().union(*(names(extras[name]) for name in extras if name != "dev"))
    unused = declared - distributions_of(imported()) - set(INDIRECT)
    assert unused == set(), "take it out, or say in INDIRECT who needs it"
