"""The dashboard as a person opens it: every tab, populated and empty; links, keys, back, forth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from dashboard_browser import Dashboard, chromium
from local_provider import served
from small_world import World
from sqlalchemy import Engine

from rag_bench.dashboard.address import TABS, View
from rag_bench.dashboard.page import figures
from rag_bench.settings import Settings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
#: Of each tab: words that only its content has, in English and Russian, and its least plots.
CONTENT = {
    "overview": ("What got worse since last time", "Что стало хуже с прошлого раза", 0),
    "runs": ("A metric over time", "Метрика во времени", 1),
    "models": ("Who wins how often", "Кто кого чаще обходит", 4),
    "judges": ("Agreement between judges", "Согласие между судьями", 1),
    "gates": ("Confusion matrix", "Матрица ошибок", 3),
    "compare": ("Measured again: before → after", "Измерено повторно: было → стало", 0),
    "questions": ("Questions of the dataset", "Вопросы набора", 0),
    "utilization": ("Would more questions find more?", "Найдут ли новые вопросы больше?", 3),
    "topics": ("Map of the gaps", "Карта пробелов", 1),
    "domain": ("Typical of questions without an answer", "Характерны для вопросов без ответа", 1),
}
TAB = "return document.querySelector(`.rb-tabs a[href*='tab=${arguments[0]}']`).textContent"
PRESS = """
    const pressed = new KeyboardEvent('keydown', {key: arguments[0], bubbles: true});
    document.body.dispatchEvent(pressed);
"""
#: How far the marks of plots with intervals stand from their values, in pixels.
AWAY = """
    const plots = [...document.querySelectorAll('.js-plotly-plot')].filter(
        e => e.offsetParent && e.data.some(trace => trace.error_x));
    return plots.flatMap(plot => {
        const axis = plot._fullLayout.xaxis, left = plot.getBoundingClientRect().left;
        const due = plot.data.flatMap(trace => trace.x.filter(x => x !== null)).map(
            x => left + axis._offset + axis.c2p(x));
        return [...plot.querySelectorAll('.scatterlayer .points path')].map((mark, n) => {
            const box = mark.getBoundingClientRect();
            return Math.abs((box.left + box.right) / 2 - due[n]);
        });
    });
"""
#: A view of each tab with what may be chosen on it.
LINKS = (
    "?tab=overview&lang=ru",
    "?tab=runs&sort=oldest&status=succeeded&kind=3",
    "?tab=runs&evaluation={evaluation}&lang=ru",
    "?tab=models&rows=triples&lang=ru",
    "?tab=judges",
    "?tab=gates&judge=simulator/sim-gate-strict&lang=ru",
    "?tab=compare",
    "?tab=questions&filter=low&sort=worst",
    "?tab=questions&case={case}&lang=ru",
    "?tab=utilization&filter=never&kind=page",
    "?tab=topics&sort=largest&lang=ru",
    "?tab=domain",
)
EMPTY = {
    "utilization": "This was not analysed yet",
    "topics": "This was not analysed yet",
    "domain": "This was not analysed yet",
    "runs": "Nothing here was measured",
    "compare": "Nothing was measured twice yet",
}

FAILED = {
    "overview": "Measurements that failed: 1",
    "runs": "LLM_FAILED 3",
    "compare": "Nothing was measured twice yet",
    "utilization": "This was not analysed yet",
    "topics": "This was not analysed yet",
    "domain": "This was not analysed yet",
}

NEW_PLOT = """
    const {data, layout} = JSON.parse(arguments[0]);
    const place = document.createElement('div');
    place.style.width = arguments[1] + 'px';
    document.body.append(place);
    return Plotly.newPlot(place, data, {...layout, autosize: true}, {responsive: true});
"""


def dashboard(engine: Engine, url: str = "127.0.0.1") -> object:
    pytest.importorskip("gradio")
    from rag_bench.dashboard.serving import local

    return local(engine, Settings(), url)


@pytest.fixture(scope="module")
def page(populated: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with (
        served(dashboard(populated.engine), lifespan="on") as url,
        chromium(tmp_path_factory.mktemp("profile")) as browser,
    ):
        yield Dashboard(browser, f"{url}/")


def test_every_tab_in_both_languages(page: Dashboard) -> None:
    assert set(CONTENT) == set(TABS)
    page.open()
    for language in (0, 1):
        for tab, words in CONTENT.items():
            link = page.run(
                TAB,
                tab,
            )
            page.click(link)
            assert words[language] in page.text(), tab
            assert page.drawn() >= words[2], tab
            assert page.run("return document.documentElement.lang") == ("en", "ru")[language]
        page.click(("Русский", "English")[language])
    assert page.problems() == []


def test_marks_of_several_series_stand_at_their_values(page: Dashboard) -> None:
    page.open("?tab=gates")
    assert page.drawn() >= 3
    away = page.run(AWAY)
    assert len(away) >= 8
    assert max(away) < 1


@pytest.mark.parametrize("width", [1300, 360])
def test_long_labels_are_whole_in_every_kind_of_plot(page: Dashboard, width: int) -> None:
    """In the width of a phone's page too, in scripts of several widths; and long ones are found."""
    names = ["Документы в магистратуру", "宿舍申请需要什么文件", "lilliput-instruct"]
    names.append("M" * (24 if width > 1000 else 12))
    value = {"value": 12345.5, "ci_low": -12000.25, "ci_high": 90000.0}
    at = [f"2026-03-{day:02}T10:00:00" for day in (1, 12, 30)]
    made = [
        figures.bars(names, {"судья": [value] * 4, "judge": [value] * 4}, "качество ответа ↑"),
        figures.heat(names, names, [[0.25] * 4] * 4, [["0.25"] * 4] * 4),
        figures.points({"front": [(n * 1e5, n * 1e4, names[n]) for n in range(4)]}, "USD", "очки"),
        figures.columns(names, {"a": [1, 2, 3, 4]}, "тема", "доля вопросов"),
        figures.columns(names, {"a": [1e6, 2, 3, 4]}, "вопросов", "", lying=True),
        figures.lines({"a": [(one, 1e-5 * n) for n, one in enumerate(at)]}, "месяц", "USD"),
    ]
    page.open("?tab=models")
    page.drawn()
    page.run("document.body.replaceChildren()")
    for figure in made:
        assert figure is not None
        page.run(NEW_PLOT, figure.to_json(), width)
    assert page.cut_labels() == []
    broken = json.loads(made[0].to_json()) if made[0] else {}
    broken["layout"]["margin"]["l"] = 20
    page.run(NEW_PLOT, json.dumps(broken), width)
    assert set(names) <= set(page.cut_labels()), "what is cut is found"


def test_links_of_all_views_open_them_in_a_new_server(
    page: Dashboard, populated: World, tmp_path: Path
) -> None:
    [row] = populated.rows(
        "select e.id, c.case_id from rag_bench.evaluation e join rag_bench.evaluation_case c "
        "on c.evaluation_id = e.id where e.tier = '3' and e.kind = 'answers' limit 1"
    )
    links = [one.format(evaluation=row["id"], case=row["case_id"]) for one in LINKS]
    assert {View.parse(link).tab for link in links} == set(TABS)
    seen = {}
    for link in links:
        page.open(link)
        seen[page.run("return location.search")] = page.words()
    with (
        served(dashboard(populated.engine), lifespan="on") as url,
        chromium(tmp_path / "fresh") as browser,
    ):
        again = Dashboard(browser, f"{url}/")
        for link, words in seen.items():
            again.open(link)
            assert again.words() == words, link
        assert again.problems() == []


def test_a_link_opens_the_same_view_in_a_new_server(
    page: Dashboard, populated: World, tmp_path: Path
) -> None:
    page.open("?tab=models&lang=ru")
    page.run(
        "const s = document.getElementById('rb-choice-b'); s.value = s.options[1].value;"
        "s.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    page.settled()
    query = page.run("return location.search")
    assert "b=simulator" in query
    seen = page.words()
    with (
        served(dashboard(populated.engine), lifespan="on") as url,
        chromium(tmp_path / "other") as browser,
    ):
        again = Dashboard(browser, f"{url}/")
        again.open(query)
        assert again.words() == seen


def test_back_and_forward_and_the_keys(page: Dashboard) -> None:
    page.open("?tab=questions")
    page.run("document.querySelector('#rb-questions tbody a').click()")
    page.settled()
    first = page.run("return location.search")
    page.run(PRESS, "ArrowRight")
    page.settled()
    second = page.run("return location.search")
    assert first != second
    page.run(PRESS, "p")
    page.settled()
    assert page.run("return location.search") == first
    before = page.words()
    for script, where in (("history.back()", second), ("history.forward()", first)):
        page.run(script)
        page.settled()
        assert page.run("return location.search") == where
    assert page.words() == before


def test_a_table_is_saved_as_csv_with_the_numbers_of_the_store(page: Dashboard) -> None:
    page.open("?tab=gates")
    page.run("document.querySelector('button[data-csv=gates]').click()")
    lines = page.run("return window.rbCsv").split("\r\n")
    assert lines[0].startswith("#,Production judge,accuracy ↑,precision ↑,recall ↑,f1_score ↑")
    assert len(lines) == 1 + page.run(
        "return document.querySelectorAll('#rb-gates tbody tr').length"
    )
    assert "simulator/sim-gate-balanced" in "".join(lines)


def test_a_phone_in_the_dark(populated: World, tmp_path: Path) -> None:
    with (
        served(dashboard(populated.engine), lifespan="on") as url,
        chromium(tmp_path / "phone", 390, dark=True) as browser,
    ):
        phone = Dashboard(browser, f"{url}/")
        for tab in ("overview", "models", "questions"):
            phone.open(f"?tab={tab}")
            assert phone.run("return document.documentElement.scrollWidth") <= 390, tab
            room = "return document.querySelector('.rb-page h2').getBoundingClientRect().left"
            assert phone.run(room) <= 24, tab
        assert phone.run("return document.body.classList.contains('dark')")
        assert phone.problems() == []


#: Of the highest row of a table's body, in lines of its text.
LINES = """
    const rows = [...document.querySelectorAll(arguments[0] + ' tr')];
    const size = parseFloat(getComputedStyle(rows[0].cells[0]).lineHeight);
    return Math.max(...rows.map(row => (row.offsetHeight - 13) / size));
"""
CUT = """
    return [...document.querySelectorAll(arguments[0] + ' .rb-long')].filter(
        one => one.scrollHeight > one.clientHeight + 1).length
"""


def test_rows_of_a_phone_are_low_and_their_texts_are_shown_whole_when_asked(
    populated: World, tmp_path: Path
) -> None:
    """A row is not as high as a column that is far beyond the edge."""
    with (
        served(dashboard(populated.engine), lifespan="on") as url,
        chromium(tmp_path / "phone", 390) as browser,
    ):
        phone = Dashboard(browser, f"{url}/")
        phone.open("?tab=utilization")
        where, button = "#rb-chunks tbody", "document.querySelector('.rb-wholes:not([hidden])')"
        assert phone.run(LINES, where) <= 3.2
        n_cut = phone.run(CUT, where)
        assert n_cut > 1
        # By a touch one row, by the button, which the keyboard reaches, all of them.
        touch = "const one = [...document.querySelectorAll('#rb-chunks .rb-long')].find("
        phone.run(touch + "e => e.scrollHeight > e.clientHeight + 1); one.click()")
        assert phone.run(CUT, where) == n_cut - 1
        assert phone.run(LINES, where) > 4
        phone.run(f"{button}.click()")
        assert phone.run(f"return {button}.getAttribute('aria-pressed')") == "true"
        assert phone.run(CUT, where) == 0
        phone.run(f"{button}.click()")
        assert phone.run(CUT, where) == n_cut - 1
        for tab in TABS:
            phone.open(f"?tab={tab}")
            assert phone.run(CUT, ".rb-page td.rb-num") == 0, "numbers are never cut"
            tall = [
                table
                for table in phone.run(
                    "return [...document.querySelectorAll('table')].map(t => t.id)"
                )
                if phone.run(LINES, f"[id='{table}'] thead") > 6
            ]
            assert tall == [], tab
        assert phone.problems() == []


def test_the_title_stands_apart_from_turned_names(page: Dashboard) -> None:
    page.open("?tab=models")
    page.drawn()
    page.run("document.body.replaceChildren()")
    names = ["0", "1", "2", "3–5", "6–10", "11–20", "21–50", "51–100", "101–200"]
    figure = figures.columns(names, {"a": range(9)}, "нашли вопросов", "чанки")
    assert figure is not None
    page.run(NEW_PLOT, figure.to_json(), 360)
    edges = """
        const of = query => [...document.querySelectorAll(query)].map(
            e => e.getBoundingClientRect());
        return of('.xtitle')[0].top - Math.max(...of('.xtick text').map(b => b.bottom));
    """
    assert page.run(edges) >= 5


def test_an_empty_store_says_what_to_do(engine: Engine, tmp_path: Path) -> None:
    with (
        served(dashboard(engine), lifespan="on") as url,
        chromium(tmp_path / "empty") as browser,
    ):
        empty = Dashboard(browser, f"{url}/")
        for tab in TABS:
            empty.open(f"?tab={tab}")
            text = empty.text()
            assert EMPTY.get(tab, "rag-bench demo") in text, tab
            assert "could not be shown" not in text, tab
        assert empty.problems() == []


def test_only_failures_are_shown_as_such(failed: Engine, tmp_path: Path) -> None:
    with (
        served(dashboard(failed), lifespan="on") as url,
        chromium(tmp_path / "failed") as browser,
    ):
        page = Dashboard(browser, f"{url}/")
        for tab in TABS:
            page.open(f"?tab={tab}")
            assert FAILED.get(tab, "none has a usable result") in page.text(), tab
            assert page.drawn() == 0, tab
        page.open("?tab=runs")
        page.run("document.querySelector('#rb-evaluations tbody a').click()")
        page.settled()
        assert "check the key" in page.text().lower()
        assert page.problems() == []


def test_every_tab_of_a_large_store(large: Engine, tmp_path: Path) -> None:
    with (
        served(dashboard(large), lifespan="on") as url,
        chromium(tmp_path / "large") as browser,
    ):
        page = Dashboard(browser, f"{url}/")
        for tab, (words, _, plots) in CONTENT.items():
            page.open(f"?tab={tab}")
            assert words in page.text(), tab
            assert page.drawn() >= plots, tab
            assert page.cut_labels() == [], tab
            rows = page.run("return document.querySelectorAll('.rb-page tbody tr').length")
            assert rows <= 1500, f"{tab}: no table above 500, no page of many of them"
        page.open("?tab=models&rows=triples")
        assert page.run("return document.querySelectorAll('#rb-triples tbody tr').length") == 100
        page.run("document.querySelector('.rb-pager a').click()")
        page.settled()
        first = "return document.querySelector('#rb-triples tbody td').textContent"
        assert page.run(first) == "101"
        assert page.problems() == []
