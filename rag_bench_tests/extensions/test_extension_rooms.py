"""Where declarations are looked for: this package, then the packages that the environment names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from rag_bench import extensions
from rag_bench.errors import ConfigurationError


def package(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_without_extensions_a_room_holds_what_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(extensions.VARIABLE, " , ")
    assert extensions.named() == ()
    (prompts,) = extensions.folders("llm.prompts")
    assert (prompts / "generation_answer.md").exists()


def test_modules_and_folders_of_extensions_follow_the_built_in_ones(
    on_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(
        on_path,
        {
            "rooms_a/__init__.py": "",
            "rooms_a/prompts/rubric_x.md": "",
            "rooms_a/metrics/__init__.py": "",
            "rooms_a/metrics/zeta.py": "NAME = 'zeta'",
            "rooms_a/metrics/alpha.py": "NAME = 'alpha'",
            "rooms_a/metrics/_helper.py": "raise RuntimeError('not a declaration')",
            "rooms_b/__init__.py": "",  # no room of any kind
            "rooms_c/metrics/__init__.py": "",  # a package without an __init__ of its own
            "rooms_c/metrics/more.py": "NAME = 'more'",
        },
    )
    monkeypatch.setenv(extensions.VARIABLE, "rooms_a, rooms_b,rooms_c, rooms_a")
    monkeypatch.setitem(extensions.ROOMS, "evaluation.text", "metrics")
    found = extensions.modules("evaluation.text")
    assert found[0].__name__.startswith("rag_bench.evaluation.text.")
    assert [module.__name__ for module in found if not module.__name__.startswith("rag_bench")] == [
        "rooms_a.metrics.alpha",
        "rooms_a.metrics.zeta",
        "rooms_c.metrics.more",
    ]
    assert extensions.folders("llm.prompts")[1:] == [on_path / "rooms_a" / "prompts"]


@pytest.mark.parametrize(
    ("files", "named", "said"),
    [
        ({}, "rooms_absent", ["'rooms_absent'", "PYTHONPATH"]),
        ({}, "not a name", ["'not a name'", "PYTHONPATH"]),
        ({"rooms_d/__init__.py": "import no_such_library"}, "rooms_d", ["no_such_lib", "Mend it"]),
        ({"rooms_e.py": ""}, "rooms_e", ["single module", "tiers"]),
        (
            {
                "rooms_f/__init__.py": "",
                "rooms_f/metrics/__init__.py": "",
                "rooms_f/metrics/bad.py": "\n1 / 0\n",
            },
            "rooms_f",
            ["'rooms_f'", "ZeroDivisionError", "bad.py, line 2", "Mend it"],
        ),
        (
            {
                "rooms_g/__init__.py": "",
                "rooms_g/metrics/__init__.py": "",
                "rooms_g/metrics/ends.py": "raise SystemExit(3)",
            },
            "rooms_g",
            ["'rooms_g'", "SystemExit", "ends.py"],
        ),
    ],
)
def test_what_cannot_be_loaded_is_named_with_what_to_do(
    on_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: Mapping[str, str],
    named: str,
    said: list[str],
) -> None:
    package(on_path, files)
    monkeypatch.setenv(extensions.VARIABLE, named)
    monkeypatch.setitem(extensions.ROOMS, "evaluation.text", "metrics")
    with pytest.raises(ConfigurationError) as caught:
        extensions.modules("evaluation.text")
    for words in [*said, extensions.VARIABLE]:
        assert words in str(caught.value)


def test_it_imports_nothing_heavy() -> None:
    heavy = ["dagster", "sqlalchemy", "numpy", "scipy", "torch", "openai", "httpx"]
    code = f"import sys, rag_bench.extensions; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
