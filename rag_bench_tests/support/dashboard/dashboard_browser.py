"""Headless Chromium on the dashboard: what it shows, what it says in its console, whom it asks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser_ui import FLAGS, until

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

_SECONDS = 60
#: Nothing but this machine can be asked.
_ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost, EXCLUDE 127.0.0.1"
_READY = """
    return !!document.querySelector('#rb-header-data') && !document.body.dataset.rbLoading
        && document.querySelector('#rb-header-data').dataset.title === document.title
"""
_DRAWN = """
    const shown = [...document.querySelectorAll('[id^=rb-plot-]')].filter(e => e.offsetParent);
    const drawn = e => {
        const plot = e.querySelector('.js-plotly-plot .main-svg');
        return plot && plot.getBoundingClientRect().height > 80;
    };
    return shown.every(drawn) ? shown.length : -1
"""
#: Labels that reach out of their plot, and titles of axes that lie on labels.
_CUT = """
    const found = [];
    for (const plot of document.querySelectorAll('.js-plotly-plot')) {
        const box = plot.getBoundingClientRect();
        const boxes = query => [...plot.querySelectorAll(query)]
            .map(e => [e.textContent, e.getBoundingClientRect()]).filter(([, b]) => b.width);
        for (const [text, b] of boxes('.xtick text, .ytick text, .xtitle, .ytitle, .legendtext'))
            if (b.left < box.left - 1 || b.right > box.right + 1
                || b.top < box.top - 1 || b.bottom > box.bottom + 1) found.push(text);
        for (const side of ['x', 'y'])
            for (const [title, a] of boxes(`.${side}title`))
                for (const [text, b] of boxes(`.${side}tick text`))
                    if (b.left < a.right - 1 && b.right > a.left + 1
                        && b.top < a.bottom - 1 && b.bottom > a.top + 1)
                        found.push(`${title} on ${text}`);
    }
    return found
"""


class Dashboard:
    """One browser window. ``url``: of the page without its query."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser, self.url = browser, url

    def open(self, query: str = "") -> None:
        """Load the page anew at a view, as a copied link does."""
        self.browser.get(self.url + query)
        self.settled()

    def run(self, script: str, *given: Any) -> Any:
        return self.browser.execute_script(script, *given)

    def settled(self) -> None:
        until("the view", _SECONDS, lambda: self.run(_READY))

    def drawn(self) -> int:
        """Wait for all plots of the view; returns how many there are."""
        until("the plots", _SECONDS, lambda: self.run(_DRAWN) >= 0)
        return int(self.run(_DRAWN))

    def cut_labels(self) -> list[str]:
        """Return the labels of plots that nobody can read whole."""
        return list(self.run(_CUT))

    def text(self) -> str:
        return str(self.run("return document.body.innerText")).replace("\u00a0", " ")

    def words(self) -> str:
        """What stands around the plots, whose labels come when they are drawn."""
        script = "return [...document.querySelectorAll('.rb-page')].map(e => e.innerText).join()"
        return str(self.run(script))

    def click(self, text: str) -> None:
        """Follow the first link with this text."""
        script = """
            const link = [...document.querySelectorAll('a[data-go]')].find(
                a => a.textContent.trim() === arguments[0]);
            if (link) link.click();
            return !!link;
        """
        until(f"a link {text!r}", _SECONDS, lambda: self.run(script, text))
        self.settled()

    def problems(self) -> list[str]:
        """What the console says, failed requests, requests to other machines; since last asked.

        Of our pages: a browser has a page of its own when it starts.
        """
        found = [entry["message"] for entry in self.browser.get_log("browser")]
        own = f"http://{self.url.split('/')[2]}/"
        ours: set[str] = set()
        for entry in self.browser.get_log("performance"):
            message: Mapping[str, Any] = json.loads(entry["message"])["message"]
            given = message["params"]
            if message["method"] == "Network.requestWillBeSent":
                if not given["documentURL"].startswith(own):
                    continue
                ours.add(given["requestId"])
                address = given["request"]["url"]
                if not address.startswith((own, "data:", "blob:")):
                    found.append(f"asked {address}")
            elif given.get("requestId") not in ours:
                continue
            elif message["method"] == "Network.responseReceived":
                if given["response"]["status"] >= 400:
                    found.append(f"{given['response']['status']} {given['response']['url']}")
            # A stream that was read to its end is hung up by the page.
            elif message["method"] == "Network.loadingFailed" and not given.get("canceled"):
                found.append(f"failed: {given['errorText']}")
        return found


@contextmanager
def chromium(profile: Path, width: int = 1440, *, dark: bool = False) -> Iterator[Chrome]:
    """A headless Chromium with an empty profile, which can reach this machine only."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (binary and driver):
        pytest.skip("chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, _ONLY_HERE, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    size = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 600}
    theme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    try:
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [theme]})
        yield browser
    finally:
        browser.quit()
