"""A model is called changed in the Launchpad: its key, and a click."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser_ui import PAGE_SECONDS, Page, Ui, until

from rag_bench.assets.service.changed_models import JOB

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]
FIRST, MODEL = "simulator/extractive", "simulator/sim-judge-noisy"
_RUN_SECONDS = 90
# Of this job alone: the sensor of dumps starts runs of its own meanwhile.
RUNS = """query($job: String!) {
  runsOrError(filter: {pipelineName: $job}, limit: 1) { ... on Runs { results { runId status } } }
}"""
LOG = """query($run: ID!) {
  logsForRun(runId: $run) { ... on EventConnection { events { ... on MessageEvent { message } } } }
}"""


def test_a_model_is_marked_as_changed(empty_ui: Ui, browser: Chrome) -> None:
    page = Page(browser, empty_ui, f"/locations/rag_bench/jobs/{JOB}/playground")
    page.shows(f"model: {FIRST}", "measure_now: false", "Launch Run")
    editor = "document.querySelector('.CodeMirror').CodeMirror"
    browser.execute_script(
        f"{editor}.setValue({editor}.getValue().replace(arguments[0], arguments[1]))", FIRST, MODEL
    )
    page.shows(f"model: {MODEL}")
    page.click("Launch Run")

    def ended() -> str | None:
        found = empty_ui.query(RUNS, job=JOB)["runsOrError"]["results"]
        return str(found[0]["runId"]) if found and found[0]["status"] == "SUCCESS" else None

    run_id = until("its end", PAGE_SECONDS + _RUN_SECONDS, ended)
    events = empty_ui.query(LOG, run=run_id)["logsForRun"]["events"]
    said = " ".join(event.get("message", "") for event in events)
    assert f"{MODEL} is revision 1 from now on. Nothing is started" in said
