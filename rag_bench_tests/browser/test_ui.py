"""What a person sees and does in the Dagster UI, in a real browser against the real processes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from browser_ui import GENERATORS, N_CELLS, PAGE_SECONDS, Page, Ui, processes_of, until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.long(minutes=2), pytest.mark.browser, pytest.mark.timeout(240)]
GROUPS = (
    *("source", "embeddings", "datasets", "retrieval", "generation"),
    *("end_to_end", "judges", "model_lab", "reports"),
)
_RUN_SECONDS = 90
SHOW = "[Show Markdown]"


def newest_run(ui: Ui) -> dict[str, Any]:
    found = ui.query("{runsOrError(limit: 1){... on Runs{results{runId status}}}}")
    return dict(found["runsOrError"]["results"][0])


def test_the_graph_is_shown_by_group(ui: Ui, browser: Chrome) -> None:
    Page(browser, ui, "/asset-groups").shows(*GROUPS)


def test_a_grid_of_generators_and_judges_is_shown(ui: Ui, browser: Chrome) -> None:
    page = Page(browser, ui, "/assets/tier2_scores?view=partitions")
    page.shows(
        "Materialized (2)", f"Missing ({N_CELLS - 2})", *GENERATORS, "simulator/sim-judge-lenient"
    )


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
    # It starts at once: a sweep has recorded all that the board reads, topics that there are none
    # of as well, so that nothing is asked about missing inputs.
    run = until("a run", PAGE_SECONDS, lambda: (r := newest_run(ui))["runId"] != before and r)
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
    assert until("the plot", PAGE_SECONDS, lambda: browser.execute_script(script)) > 300


def test_it_stops_with_all_its_processes(ui: Ui) -> None:
    """Last: it ends the UI."""
    assert len(processes_of(ui.home)) >= 5
    ui.process.send_signal(signal.SIGTERM)
    assert ui.process.wait(60) == 0
    assert not processes_of(ui.home)
