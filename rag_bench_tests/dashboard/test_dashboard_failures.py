"""A store in which everything failed: no figure is made up, and the cause stands in words."""

from __future__ import annotations

import pytest
from dashboard_pages import shown
from sqlalchemy import Engine, text

from rag_bench.dashboard.address import TABS


def test_it_says_that_it_failed_and_why(failed: Engine) -> None:
    overview = shown(failed, "?tab=overview")
    assert "Measurements that failed: 1" in overview.text
    for tab in ("overview", "models", "questions"):
        page = shown(failed, f"?tab={tab}")
        assert "Models were measured, but none has a usable result" in page.text
        assert "?tab=runs&amp;status=failed" in page.html
    [row] = shown(failed, "?tab=runs").tables["evaluations"]
    assert row["status"] == "failed"
    assert row["errors"] == "LLM_FAILED 3"
    page = shown(failed, f"?tab=runs&evaluation={row['evaluation']}")
    assert "check the key" in page.text.lower()
    assert page.tables["errors"][0]["cases"] == "3"


def test_a_value_that_nothing_has_is_empty(failed: Engine) -> None:
    [row] = shown(failed, "?tab=runs").tables["evaluations"]
    page = shown(failed, f"?tab=runs&evaluation={row['evaluation']}")
    [metric] = page.tables["metrics"]
    assert metric["now"] == ""
    assert "0/3" in page.html


NEVER_ANSWERED = """
    insert into rag_bench.llm_call (key, role, provider, base_url, model, replicate, request,
        status, error_code, prompt_tokens, cost_usd)
    values ('a', 'generation', 'acme', '-', 'dumb', 0, '{}', 'error', 'TIMEOUT', null, null),
        ('b', 'generation', 'acme', '-', 'silent', 0, '{}', 'ok', null, null, 0)
"""


def test_tokens_that_no_reply_tells_are_no_zero(failed: Engine) -> None:
    with failed.begin() as connection:
        connection.execute(text(NEVER_ANSWERED))
    dumb, silent = shown(failed, "?tab=overview").tables["cost"]
    assert (dumb["model"], dumb["calls"], dumb["failed"]) == ("acme/dumb", "0", "1")
    for row in (dumb, silent):
        assert (row["tokens in"], row["tokens out"]) == ("", "")
    assert (dumb["USD"], float(silent["USD"])) == ("", 0.0), "a price of 0 is known"


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("tab", TABS)
def test_every_tab_says_what_to_do(failed: Engine, tab: str, lang: str) -> None:
    page = shown(failed, f"?tab={tab}&lang={lang}")
    assert page.text.strip()
    assert "could not be shown" not in page.text
    assert "Не удалось показать" not in page.text


@pytest.mark.parametrize(
    "query",
    [
        "?tab=runs&evaluation=999999",
        "?tab=runs&evaluation=1e9",
        "?tab=runs&run=nothing",
        "?tab=compare&a=1&b=2",
        "?tab=compare&a='&b=%25",
        "?tab=overview&settings=nothing",
        "?tab=questions&case=nothing&search=%27%3B--",
        "?tab=gates&judge=nobody&page=99999",
    ],
)
def test_a_link_to_what_is_not_there(failed: Engine, query: str) -> None:
    page = shown(failed, query)
    assert page.text.strip()
    assert "could not be shown" not in page.text


def test_words_of_others_are_no_markup(failed: Engine) -> None:
    page = shown(failed, "?tab=runs&model=<img src=x onerror=alert(1)>&search=<script>")
    assert "<img" not in page.html
    assert "<script" not in page.html
