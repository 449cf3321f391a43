"""Addresses of views, and words in both languages."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rag_bench.dashboard
from rag_bench.dashboard.address import LANGUAGES, PARAMETERS, TABS, View
from rag_bench.reporting.compared.inputs import IN_WORDS
from rag_bench.settings import PROJECT_ROOT
from rag_bench.tiers.registry import tiers

HERE = Path(rag_bench.dashboard.__file__).parent
WORDS = tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))
PLACES = re.compile(r"\{(\w+)[^}]*\}")


def test_every_word_stands_in_both_languages_with_the_same_places() -> None:
    for key, said in WORDS.items():
        assert set(said) == set(LANGUAGES), key
        assert all(said.values()), key
        assert set(PLACES.findall(said["en"])) == set(PLACES.findall(said["ru"])), key


def test_every_word_that_is_asked_for_is_there() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in HERE.rglob("*.py"))
    asked = set(re.findall(r"""\bwords\(\s*["'](\w+)["']""", source))
    assert len(asked) > 100
    assert asked - set(WORDS) == set()


def test_no_word_is_left_over() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in HERE.rglob("*.py"))
    asked = set(re.findall(r"""["'](\w+)["']""", source))
    made = ("tab_", "verdict_", "role_", "language_", "status_", "filter_", "order_", "code_")
    made += ("made_", "answers_tier_", "gap_", "domain_", "word_", "short_", "colour_")
    made += (
        "gate_",
        "rates_",
        "tier_",
        "kind_",
        "call_",
        "draft_",
        "cause_",
        "chunk_",
        "place_",
        "label_how_",
        "label_transport_",
    )
    assert {
        k
        for k in WORDS
        if k not in asked
        and not k.startswith(made)
        and not k.endswith("_help")
        and not k.endswith("_unknown")
    } == set()


def test_what_can_differ_between_two_sides_and_every_step_has_words() -> None:
    assert {f"made_{name}" for name in IN_WORDS} - set(WORDS) == set()
    steps = [(tier.name, step.kind) for tier in tiers() for step in tier.steps]
    assert {f"tier_{tier}" for tier, _ in steps} - set(WORDS) == set()
    # RAGAS is called so in every language.
    assert {f"kind_{kind}" for _, kind in steps} - set(WORDS) == {"kind_ragas"}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(
    st.sampled_from(TABS),
    st.dictionaries(
        st.sampled_from([name for name in PARAMETERS if name != "lang"]),
        st.text("абв xyz09&=?+%#/<>\"'\\é🙂\t\n\u00a0\u200f", min_size=1, max_size=400)
        .map(str.strip)
        .filter(bool),
    ),
)
def test_a_link_is_the_whole_view(tab: str, values: dict[str, str]) -> None:
    view = View(tab, values)
    assert View.parse(view.link()) == view


@pytest.mark.parametrize(
    "query",
    [
        *("", "?", "?tab=", "?tab=<script>", "?lang=xx&page=-1", "?page=9999999999999999999"),
        *(
            "?page=٣",
            "?search=" + "x" * 5000,
            "?case=%00%0a",
            "?case=a%00b",
            "?case=\ud800x",
            "?a=%ff%fe",
            "?&&==&tab",
            "?tab=runs%00",
        ),
    ],
)
def test_an_impossible_address_is_a_view_all_the_same(query: str) -> None:
    view = View.parse(query)
    assert view.tab in TABS
    assert view.lang in LANGUAGES
    assert 1 <= view.page <= 100_000
    for value in view.values.values():
        assert len(value) <= 1000
        assert "\x00" not in value
        assert value.encode()


def test_plotly_is_of_the_release_that_gradio_draws() -> None:
    """A newer one may write what the older plotly.js in Gradio's files does not understand."""
    pytest.importorskip("gradio")
    from plotly.offline import get_plotlyjs_version

    assets = Path(str(files("gradio"))) / "templates" / "frontend" / "assets"
    [bundle] = assets.glob("PlotlyPlot-*.js")
    major, minor, _ = get_plotlyjs_version().split(".")
    assert re.search(rf"[\"'`]{major}\.{minor}\.\d+[\"'`]", bundle.read_text(encoding="utf-8"))


def test_pictures_that_pages_show_are_there_and_small() -> None:
    pages = [PROJECT_ROOT / name for name in ("README.md", "README.ru.md")]
    pages += (PROJECT_ROOT / "docs").glob("*.md")
    shown = {
        (page.parent / place).resolve()
        for page in pages
        for place in re.findall(r"[(\"]((?:docs/)?images/[^)\"]+)", page.read_text("utf-8"))
    }
    there = {place.resolve() for place in (PROJECT_ROOT / "docs" / "images").iterdir()}
    assert shown, "the README has pictures"
    assert shown == there
    sizes = [place.stat().st_size for place in there]
    assert max(sizes) < 150_000
    assert sum(sizes) < 600_000
