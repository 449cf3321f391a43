"""Pictures of the dashboard: every tab by width, theme and language; those that the README shows.

    rag-bench demo                          # once: the store that is shown
    python docs/screenshots.py              # all into build/screenshots, with sheets to look at
    python docs/screenshots.py --readme     # those of the README, into docs/images

It starts `rag-bench dashboard` over the store of the environment, and headless Chromium: `chromium`
and `chromedriver` must be on the path. Pictures of the README are WebP of at most 150 kB each.
"""

from __future__ import annotations

import argparse
import base64
import io
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from rag_bench.dashboard.address import LANGUAGES, TABS
from rag_bench.settings import PROJECT_ROOT

sys.path.insert(0, str(PROJECT_ROOT / "rag_bench_tests" / "support"))

from folders import support_folders

sys.path.extend(support_folders())

from dashboard_browser import Dashboard, chromium

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTHS = (1440, 390)
#: Name of the picture, address, width, dark or light, and how much of the height is shown.
README = (
    ("overview", "?tab=overview", 1440, False, 1000),
    ("models", "?tab=models", 1440, False, 1100),
    ("topics-dark", "?tab=topics", 1440, True, 1120),
    ("phone", "?tab=overview", 390, True, 844),
)
_TALLEST = 12_000
_MOST_BYTES = 150_000
_IMAGES = PROJECT_ROOT / "docs" / "images"


@contextmanager
def served() -> Iterator[str]:
    """Run the dashboard over the store of the environment; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = "import sys; from rag_bench.cli import main; sys.argv[0] = 'rag-bench'; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "dashboard", "--port", str(port)], stdout=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except httpx.TransportError:
                if process.poll() is not None:
                    raise SystemExit("`rag-bench dashboard` did not start.") from None
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def window(url: str, width: int, dark: bool) -> Iterator[Dashboard]:
    """A browser of one width and theme."""
    with tempfile.TemporaryDirectory() as place, chromium(Path(place), width, dark=dark) as browser:
        yield Dashboard(browser, url)


def picture(page: Dashboard, query: str, height: int | None = None) -> Image:
    """Return a view as a picture; by default of its whole height."""
    from PIL import Image

    page.open(query)
    page.drawn()
    whole = min(_TALLEST, page.run("return document.documentElement.scrollHeight"))
    area = {"x": 0, "y": 0, "width": page.run("return innerWidth"), "height": height or whole}
    taken = page.browser.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": {**area, "scale": 1}, "captureBeyondViewport": True}
    )
    return Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")


def all_of_them(url: str, into: Path, tabs: Sequence[str]) -> None:
    """Write every tab in both widths, themes and languages, and a sheet of each width and theme."""
    into.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        for dark in (False, True):
            with window(url, width, dark) as page:
                for lang in LANGUAGES:
                    name = f"{width}-{'dark' if dark else 'light'}-{lang}"
                    taken = [picture(page, f"?tab={tab}&lang={lang}") for tab in tabs]
                    for tab, one in zip(tabs, taken, strict=True):
                        one.save(into / f"{tab}-{name}.png")
                    sheet(taken).save(into / f"sheet-{name}.png")
                    print(into / f"sheet-{name}.png")


def sheet(pictures: Sequence[Image], width: int = 480) -> Image:
    """Return pictures beside each other, made small."""
    from PIL import Image

    small = [one.resize((width, one.height * width // one.width)) for one in pictures]
    made = Image.new("RGB", (width * len(small), max(one.height for one in small)), "white")
    for n, one in enumerate(small):
        made.paste(one, (n * width, 0))
    return made


def of_the_readme(url: str) -> None:
    """Write the pictures of the README, in both languages.

    Raises:
        SystemExit: one is larger than a README should load.
    """
    _IMAGES.mkdir(parents=True, exist_ok=True)
    for name, query, width, dark, height in README:
        with window(url, width, dark) as page:
            for lang in LANGUAGES:
                place = _IMAGES / f"dashboard-{name}-{lang}.webp"
                one = picture(page, f"{query}&lang={lang}", height)
                one.save(place, quality=80, method=6)
                print(place, place.stat().st_size)
                if place.stat().st_size > _MOST_BYTES:
                    raise SystemExit(f"{place} is larger than {_MOST_BYTES} bytes")


def main() -> None:
    """Write what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--readme", action="store_true", help="those of the README only")
    parser.add_argument("--into", type=Path, default=PROJECT_ROOT / "build" / "screenshots")
    parser.add_argument("--tabs", nargs="+", choices=TABS, default=TABS)
    given = parser.parse_args()
    with served() as url:
        if given.readme:
            of_the_readme(url)
        else:
            all_of_them(url, given.into, given.tabs)


if __name__ == "__main__":
    main()
