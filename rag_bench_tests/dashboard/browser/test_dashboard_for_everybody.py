"""Nobody is kept out: axe-core finds no grave fault, the keyboard reaches everything, visibly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe import grave
from dashboard_browser import Dashboard, chromium
from local_provider import served
from small_world import World

from rag_bench.dashboard.address import TABS
from rag_bench.dashboard.serving import local
from rag_bench.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
#: Parts of views that the tabs themselves do not show.
MORE = (
    "?tab=runs&evaluation={evaluation}",
    "?tab=questions&case={case}",
    "?tab=models&rows=triples",
    "?tab=questions&rows=users",
)
FOCUS = """
    const one = document.activeElement, style = getComputedStyle(one);
    return [one.tagName, one.textContent.trim().slice(0, 40), style.outlineStyle !== 'none'
        && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== 'none'];
"""
FADED = """
    const made = document.createElement('p');
    made.style = 'color: #bbb; background: #fff';
    made.textContent = 'hardly to be read';
    document.querySelector('.rb-page').append(made);
"""


@pytest.fixture(scope="module")
def address(populated: World) -> Iterator[str]:
    pytest.importorskip("gradio")
    app = local(populated.engine, Settings(), "127.0.0.1")
    with served(app, lifespan="on") as url:
        yield url


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_no_grave_fault(
    address: str, populated: World, tmp_path: Path, width: int, dark: bool
) -> None:
    [row] = populated.rows(
        "select e.id, c.case_id from rag_bench.evaluation e join rag_bench.evaluation_case c "
        "on c.evaluation_id = e.id where e.tier = '3' and e.kind = 'answers' limit 1"
    )
    views = [f"?tab={tab}" for tab in TABS]
    views += [one.format(evaluation=row["id"], case=row["case_id"]) for one in MORE]
    with chromium(tmp_path / "profile", width, dark=dark) as browser:
        page = Dashboard(browser, f"{address}/")
        found = []
        for view in views:
            page.open(view)
            page.drawn()
            found += [f"{view}: {fault}" for fault in grave(page)]
            found += [f"{view}: {label} is cut" for label in page.cut_labels()]
        assert found == []
        page.run(FADED)
        assert grave(page), "what is hardly to be read is found"


def test_the_keyboard_reaches_all_and_is_seen(address: str, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    with chromium(tmp_path / "keys") as browser:
        page = Dashboard(browser, f"{address}/")
        page.open("?tab=models")
        page.drawn()
        reached = []
        for _ in range(40):
            browser.switch_to.active_element.send_keys(Keys.TAB)
            tag, text, seen = page.run(FOCUS)
            if tag == "BODY":
                break
            assert seen, f"where the keyboard is cannot be seen: {tag} {text}"
            reached.append((tag, text))
        order = [text for tag, text in reached if tag == "A"]
        names = page.run(
            "return [...document.querySelectorAll('.rb-tabs a')].map(a => a.textContent)"
        )
        assert order[1 : 1 + len(names)] == names, (
            "after the language come the tabs, in their order"
        )
        kinds = {tag for tag, _ in reached}
        assert {"A", "SELECT", "SUMMARY", "BUTTON"} <= kinds, "links, choices, help and CSV"
