"""axe-core on a page: what keeps people out who see, hear or point otherwise."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dashboard_browser import Dashboard

_RUN = """
    const done = arguments[arguments.length - 1];
    axe.run(document, {resultTypes: ['violations']}).then(
        found => done(found.violations), error => done(String(error)));
"""
#: What is asked to be absent.
GRAVE = ("serious", "critical")


@cache
def _source() -> str:
    pytest.importorskip("playwright", reason="axe-playwright-python is not installed")
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def faults(page: Dashboard) -> list[dict[str, Any]]:
    """Return what axe finds on the page as it is shown, grave or not."""
    page.browser.set_script_timeout(120)
    page.browser.execute_script(_source())
    found = page.browser.execute_async_script(_RUN)
    assert isinstance(found, list), found
    return found


def grave(page: Dashboard) -> list[str]:
    """Return the serious and critical faults in words: rule, place, what is wrong."""
    return [
        f"{fault['id']}: {node['html'][:200]} ({node['failureSummary'].splitlines()[1:]})"
        for fault in faults(page)
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]
