"""What a person sees and does in the Dagster UI, in a real browser against the real processes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from browser_ui import GENERATORS, Ui, processes_of, until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
GROUPS = (
    *("source", "embeddings", "datasets", "retrieval", "generation"),
    *("end_to_end", "judges", "model_lab", "reports"),
)
_PAGE_SECONDS = 30
_RUN_SECONDS = 90
SHOW = "[Show Markdown]"


class Page:
    """A page of the UI: everything is waited for by looking."""

    def __init__(self, browser: Chrome, ui: Ui, path: str) -> None:
        self.browser = browser
        browser.get(ui.url + path)

    def text(self) -> str:
        text = str(self.browser.execute_script("return document.body.innerText"))
        return text.replace("\u00a0", " ")

    def shows(self, *words: str) -> None:
        missing = list(words)

        def look() -> bool:
            text = self.text()
            missing[:] = [word for word in words if word not in text]
            return not missing

        try:
            until(f"{words}", _PAGE_SECONDS, look)
        except pytest.fail.Exception:
            pytest.fail(f"the page does not show {missing}:\n{self.text()[:2000]}")

    def click(self, words: str, nth: int = 0) -> None:
        """Click the n-th visible, enabled element whose text is just this."""
        script = """
            const [words, nth] = arguments;
            const found = [...document.querySelectorAll('button, a, [role=button], span')].filter(
                e => e.innerText && e.innerText.trim() === words && e.offsetParent && !e.disabled
                     && ![...e.children].some(c => c.innerText && c.innerText.trim() === words));
            if (found.length <= nth) return false;
            found[nth].scrollIntoView({block: 'center'});
            found[nth].click();
            return true;
        """
        until(
            f"something to click: {words!r}",
            _PAGE_SECONDS,
            lambda: self.browser.execute_script(script, words, nth),
        )


def newest_run(ui: Ui) -> dict[str, Any]:
    found = ui.query("{runsOrError(limit: 1){... on Runs{results{runId status}}}}")
    return dict(found["runsOrError"]["results"][0])


def test_the_graph_is_shown_by_group(ui: Ui, browser: Chrome) -> None:
    Page(browser, ui, "/asset-groups").shows(*GROUPS)


def test_a_grid_of_generators_and_judges_is_shown(ui: Ui, browser: Chrome) -> None:
    page = Page(browser, ui, "/assets/tier2_scores?view=partitions")
    page.shows("Materialized (2)", "Missing (10)", *GENERATORS, "simulator/sim-judge-lenient")


def test_a_cell_is_up_to_date_and_shows_its_metrics(ui: Ui, browser: Chrome) -> None:
    cell = "simulator%2Fsim-judge-sharp%7Csimulator%2Fsim-weak"
    page = Page(browser, ui, f"/assets/tier2_scores?view=partitions&partition={cell}")
    page.shows("rubric_faithfulness", "95 % interval", "1 to 5")
    assert "Unsynced" not in page.text()


def test_the_leaderboard_is_materialized_by_a_click(ui: Ui, browser: Chrome) -> None:
    before = newest_run(ui)["runId"]
    page = Page(browser, ui, "/assets/leaderboard?view=overview")
    page.shows("Which models to run")
    page.click("Materialize")
    run = until("a run", _PAGE_SECONDS, lambda: (r := newest_run(ui))["runId"] != before and r)
    ended = ("SUCCESS", "FAILURE", "CANCELED")
    until("its end", _RUN_SECONDS, lambda: newest_run(ui)["status"] in ended)
    ended_as = newest_run(ui)
    assert ended_as == {"runId": run["runId"], "status": "SUCCESS"}, ui.log.read_text()[-3000:]

    page = Page(browser, ui, "/assets/leaderboard?view=events")
    page.shows("n_combinations", run["runId"][:8], SHOW)
    # The board is there without a click; pictures are behind one.
    page.shows("e2e quality (1 to 5)", *GENERATORS, "behind the first", "accuracy", "Ordered by")
    page.click(SHOW)
    script = "return Math.max(0, ...[...document.images].map(image => image.naturalWidth))"
    assert until("the plot", _PAGE_SECONDS, lambda: browser.execute_script(script)) > 300


def test_it_stops_with_all_its_processes(ui: Ui) -> None:
    """Last: it ends the UI."""
    assert len(processes_of(ui.home)) >= 5
    ui.process.send_signal(signal.SIGTERM)
    assert ui.process.wait(60) == 0
    assert not processes_of(ui.home)
