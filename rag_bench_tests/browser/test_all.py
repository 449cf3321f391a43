"""A new installation, one click: everything is materialized, and there is a leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from browser_ui import N_CELLS, N_GENERATORS, PAGE_SECONDS, Page, Ui, until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.long(minutes=5), pytest.mark.browser, pytest.mark.timeout(1200)]
_ALL_SECONDS = 900  # for a hang; it takes about two minutes
BACKFILLS = """{
  partitionBackfillsOrError(limit: 1) {
    ... on PartitionBackfills {
      results { id status runs(limit: 50) { id status } }
    }
  }
}"""


def newest_backfill(ui: Ui) -> dict[str, Any] | None:
    found = ui.query(BACKFILLS)["partitionBackfillsOrError"]["results"]
    return dict(found[0]) if found else None


def test_materialize_all_of_an_empty_instance(empty_ui: Ui, browser: Chrome) -> None:
    page = Page(browser, empty_ui, "/asset-groups")
    page.click("Materialize all…")
    page.shows("All partitions")
    page.click("Launch backfill")
    until("a backfill", PAGE_SECONDS, lambda: newest_backfill(empty_ui))

    def ended() -> dict[str, Any] | None:
        found = newest_backfill(empty_ui)
        return found if found and found["status"].startswith(("COMPLETED", "FAIL")) else None

    backfill = until("its end", _ALL_SECONDS, ended)
    words = (backfill, empty_ui.log.read_text()[-3000:])
    assert backfill["status"] == "COMPLETED_SUCCESS", words
    assert {run["status"] for run in backfill["runs"]} == {"SUCCESS"}, words

    page = Page(browser, empty_ui, "/assets/leaderboard?view=events")
    page.shows("n_combinations", "simulator/sim-strong")
    page = Page(browser, empty_ui, "/assets/tier3_ragas_scores?view=partitions")
    page.shows(f"Materialized ({N_CELLS})")
    page = Page(browser, empty_ui, "/assets/tier2_custom_metrics?view=partitions")
    page.shows(f"Materialized ({N_GENERATORS})")
    Page(browser, empty_ui, "/overview/backfills").shows("Manually launched", "Success")
