"""Where what tests share lies: for processes that tests start, and for programs that use it."""

from __future__ import annotations

from pathlib import Path

SUPPORT = Path(__file__).parent


def support_folders() -> list[str]:
    """Return every folder of modules that tests share, this one first."""
    return [str(SUPPORT), *sorted({str(module.parent) for module in SUPPORT.glob("*/*.py")})]
