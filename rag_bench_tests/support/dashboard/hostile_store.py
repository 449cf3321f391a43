"""Addresses that nobody means well with, and a store whose every text is of that kind."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from urllib.parse import quote

from sqlalchemy import Engine, text

from rag_bench.dashboard.address import PARAMETERS

#: Would be run, loaded, drawn or reversed by what does not escape it.
MARKUP = (
    "<script>window.ran=1</script><img src=x onerror=window.ran=2>"
    "<svg/onload=window.ran=3><a href='javascript:window.ran=4'>x</a>"
    "![](http://elsewhere.example/p.png) [x](javascript:window.ran=5) $$\\frac{1}{2}$$ \\(x^2\\) "
    "{{7*7}} ${7*7} %(x)s {0} `code` <!-- \u202eабв שלום 🙂👩‍🏫 </td></table></div></style>"
)
LONG = "Очень длинный вопрос? " * 5_000  # 100,000 characters, twice as many bytes
#: No place to break it at, written from the right, then signs of several code points each.
WORD = "Щ" * 3_000 + "\u202eабв" + "שלום" * 500 + "🙂👩‍🏫" * 300 + "<b>ж</b><br>" * 50
MODEL = "acme/a \"quoted' <b>моd</b>/with spaces, жук & $$x$$"
JUDGE = "acme/судья <i>№1</i>/v1"
#: Values that a parameter of an address may be given.
VALUES = (
    *("-1", "0", "99999999999999999999", "1e309", "NaN", "٣", "null", "undefined"),
    *("' or 1=1 --", '"; drop table rag_bench.evaluation; --', "%", "_", "\\", "a" * 5_000),
    *("<script>window.ran=6</script>", "javascript:window.ran=7", "%00", "\x00", "\u202e", "🙂"),
    *("../../etc/passwd", "${7*7}", "{0}", "%(x)s", "run:", "evaluation:0", "[e-mail]~1", "~0"),
)
_TEXTS = (
    "update rag_bench.dataset_item set question = :words || item_id, reference_answer = :words",
    "update rag_bench.dataset_item set question = :long where position = 1",
    "update rag_bench.evaluation_case set answer = :words where answer is not null",
    "update rag_bench.dataset_item set question = :wide where position = 2",
    "update rag_bench.evaluation_case set answer = :wide where case_id = (select max(case_id) from "
    "rag_bench.evaluation_case where answer is not null)",
    "update rag_bench.evaluation_case set answer = '' where case_id = (select min(case_id) from "
    "rag_bench.evaluation_case where answer is not null)",
    "update rag_bench.evaluation_case set scores = scores || jsonb_build_object("
    "'reasoning_rubric_e2e_quality', cast(:words as text)) where scores ? 'rubric_e2e_quality'",
    "update rag_bench.evaluation_case set error_detail = :words where error_code is not null",
    "update rag_bench.evaluation_case set scores = scores || jsonb_build_object('keywords', "
    "jsonb_build_array(cast(:words as text)), 'name', cast(:words as text), 'sample_questions', "
    "jsonb_build_array(cast(:words as text))) where scores ? 'sample_questions'",
    "update rag_bench.chunk set text = :words || text, page_url = page_url || :words",
    "update rag_bench.dataset set name = :words",
    "update rag_bench.evaluation set user_id = :words, git_commit = :words",
    # Nothing was measured by it, as where all its calls failed.
    "update rag_bench.evaluation set metrics = (select jsonb_object_agg(key, value || "
    '\'{"value": null, "ci_low": null, "ci_high": null, "n_scored": 0}\') '
    "from jsonb_each(metrics)) where id = (select max(id) from rag_bench.evaluation "
    "where tier = '3' and kind = 'scores')",
    "update rag_bench.evaluation set generation_model = :model "
    "where generation_model = 'simulator/sim-weak'",
    "update rag_bench.evaluation set benchmark_judge_model = :judge "
    "where benchmark_judge_model = 'simulator/sim-judge-sharp'",
)


def make_hostile(engine: Engine) -> None:
    """Put such texts wherever a store keeps words, and such names wherever models are named."""
    given = {"words": MARKUP, "long": LONG, "wide": WORD, "model": MODEL, "judge": JUDGE}
    with engine.begin() as connection:
        for statement in _TEXTS:
            wanted = {name: one for name, one in given.items() if f":{name}" in statement}
            connection.execute(text(statement.replace("\\:", ":")), wanted)


#: What the pages are made of; whatever else is there came from the store or the address.
_TAGS = """
a b br button caption code datalist del details div em figcaption figure form h1 h2 h3 h4 i input
ins label li nav ol option p pre progress section select small span strong summary table tbody td
th thead tr ul
"""
TAGS = frozenset(_TAGS.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS:
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or name in ("style", "src", "srcdoc", "formaction"):
                self.found.append(f"{name}={value}")
            if name == "href" and not (value or "").startswith("?"):
                self.found.append(f"href={value}")


def strange(html: str) -> list[str]:
    """Return what of a page's HTML is not of the page: tags, events, addresses elsewhere."""
    reader = _Reader()
    reader.feed(html)
    return reader.found


def marked_up(figure: object) -> list[str]:
    """Return texts of a plot in which plotly would read tags that are not ours."""
    found: list[str] = []

    def look(name: str, value: object) -> None:
        if isinstance(value, dict):
            for inner, one in value.items():
                look(inner, one)
        elif isinstance(value, list):
            for one in value:
                look(name, one)
        elif isinstance(value, str) and name != "hovertemplate" and "<" in value:
            found.append(value)

    look("", json.loads(figure.to_json()))  # type: ignore[attr-defined]
    return found


def addresses(tab: str, number: int) -> list[str]:
    """Return addresses of a tab, each with one impossible value for all that it may say; so that
    the tabs together meet every value. ``number``: of the tab.
    """
    made = []
    for value in VALUES[number % 6 :: 6]:
        for names in (_LISTS, _SINGLE):
            made.append(f"?tab={tab}&" + "&".join(f"{name}={quote(value)}" for name in names))
    return made


#: What opens one thing of many, and what is said of a list, besides the language.
_SINGLE = ("settings", "case", "evaluation", "run", "draw", "annotator", "a", "b", "topic", "judge")
_LISTS = tuple(
    name for name in PARAMETERS if name not in ("unmask", "__theme", *_SINGLE[1:5], "a", "b")
)
