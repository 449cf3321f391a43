"""Retrievers in the Dagster UI: the run's in the Launchpad, and the lab's partitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from browser_ui import Page, Ui

from rag_bench.retrievers import retrievers
from rag_bench.settings import Settings

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_the_launchpad_opens_with_the_retriever(empty_ui: Ui, browser: Chrome) -> None:
    page = Page(browser, empty_ui, "/locations/rag_bench/jobs/refresh/playground")
    page.shows("retriever: default", "top_k")


def test_every_retriever_is_a_partition_of_the_lab(empty_ui: Ui, browser: Chrome) -> None:
    page = Page(browser, empty_ui, "/assets/retrieval_lab?view=partitions")
    page.shows(*retrievers(Settings()))
