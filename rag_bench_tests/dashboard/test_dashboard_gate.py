"""The gate's verdict on Overview and Compare: what command and API say, and nothing is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dashboard_pages import Shown, shown
from judged_twice import AFTER, BEFORE, COMMAND, NEW, OLD, QUALITY, bridged, gold, scored
from sqlalchemy import Engine, text

from rag_bench.evaluation.paired.words import ANEW, WORLD_CHANGED
from rag_bench.releases.deciding import decide_by_stored
from rag_bench.reporting.compared.gate import gate
from rag_bench.reporting.compared.pinned import pin, unpin
from rag_bench.reporting.compared.policy import DEFAULT_RULES, read_policy
from rag_bench.settings import PROJECT_ROOT
from rag_bench.store.releases import verdicts

RULES = PROJECT_ROOT / "docs/examples/gate.toml"


@pytest.fixture(autouse=True)
def no_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_BENCH_GATE", raising=False)


def two_runs(engine: Engine, by: float = -1.5, judge: str = OLD) -> tuple[int, int]:
    data = gold(engine)
    a = scored(engine, data, OLD, 0.0, BEFORE)
    return a, scored(engine, data, judge, by, AFTER)


def rows_of(page: Shown, name: str) -> list[dict[str, str]]:
    return page.tables[name]


def same_figures(row: dict[str, str], one: dict[str, Any]) -> None:
    assert (row["measure"], row["the gate"], row["verdict"], row["class"]) == (
        one["metric"],
        one["outcome"],
        one["verdict"],
        one["class"],
    )
    for title, name in (
        ("baseline", "a"),
        ("release", "b"),
        ("difference", "difference"),
        ("margin", "margin"),
        ("p (Holm)", "p_adjusted"),
    ):
        assert float(row[title]) == one[name], title
    low, high = (float(end) for end in row["95 % interval"].split(" … "))
    assert (low, high) == pytest.approx((one["ci_low"], one["ci_high"]), abs=6e-4)


def test_without_a_baseline_the_page_says_what_to_do(engine: Engine) -> None:
    two_runs(engine)
    page = shown(engine, "?tab=overview")
    assert "May I release?" in page.text
    assert "rag-bench baseline pin newest" in page.text
    assert "gate-1" not in page.tables
    assert "Можно ли выпускать?" in shown(engine, "?tab=overview&lang=ru").text


@pytest.mark.parametrize(("by", "word"), [(-1.5, "Do not release."), (0.5, "You may release.")])
def test_the_overview_says_what_the_gate_says_and_asks_nobody(
    engine: Engine, by: float, word: str
) -> None:
    two_runs(engine, by)
    pin(engine, f"settings:{BEFORE}", who="Anna", why="released on Monday")
    found = decide_by_stored(engine, AFTER, DEFAULT_RULES)
    assert found is not None
    page = shown(engine, f"?tab=overview&settings={AFTER}")
    assert word in page.text
    assert "nothing was asked again" in page.text
    assert "released on Monday" in page.text
    assert "rubric_e2e_quality alone decides" in page.text
    [row], [one] = rows_of(page, "gate-1"), found.as_json()["models"][0]["metrics"]
    same_figures(row, one)
    with engine.connect() as connection:
        for table in ("llm_call", "release_verdict"):
            query = text(f"select count(*) from rag_bench.{table}")
            assert connection.execute(query).scalar_one() == 0
    # The baseline's own settings hold nothing that is new; unpinned, there is nothing to hold.
    same = shown(engine, f"?tab=overview&settings={BEFORE}")
    assert "nothing is new" in same.text
    unpin(engine)
    assert "rag-bench baseline pin newest" in shown(engine, "?tab=overview").text


def test_what_the_job_said_stands_with_what_asking_again_cost(engine: Engine) -> None:
    two_runs(engine)
    pin(engine, f"settings:{BEFORE}", why="released")
    found = decide_by_stored(engine, AFTER, DEFAULT_RULES)
    assert found is not None
    said = found.as_json()
    [model] = said["models"]
    # As the job stores it: asked again, and held then.
    model["outcome"], model["metrics"][0]["outcome"] = "held", "held"
    model["again"] |= {"asked": True, "cases": 12, "price": {"calls": 48, "cost_usd": 0.25}}
    verdicts.append(engine, AFTER, "held", said)
    page = shown(engine, f"?tab=overview&settings={AFTER}")
    assert "Do not release yet." in page.text
    assert "Before it was asked again: failed." in page.text
    assert "48 calls for about 0.2500 USD" in page.text
    assert "At most" not in page.text, "verdicts of earlier versions do not say it"
    assert "nothing was asked again" not in page.text
    model["again"]["price"] |= {"most_calls": 84, "most_usd": 0.5}
    verdicts.append(engine, AFTER, "held", said)
    told = shown(engine, f"?tab=overview&settings={AFTER}")
    assert "At most 84 calls for 0.5000 USD." in told.text
    assert "Не больше: вызовов 84, 0.5000 USD." in shown(
        engine, f"?tab=overview&settings={AFTER}&lang=ru"
    ).text.replace("0,5000", "0.5000")
    # Held against another baseline since, it says nothing of this one any more.
    pin(engine, f"settings:{BEFORE}", why="released once more")
    assert "nothing was asked again" in shown(engine, f"?tab=overview&settings={AFTER}").text


def test_scores_that_nobody_checked_are_marked_by_metric(engine: Engine) -> None:
    a, b = two_runs(engine)
    pin(engine, f"settings:{BEFORE}", why="released")
    for link in (f"?tab=compare&a={a}&b={b}", f"?tab=overview&settings={AFTER}"):
        page = shown(engine, link)
        assert "Nobody has compared the scores by this metric of beta/j1" in page.html, link
        assert f"(судьи: {OLD})" in shown(engine, f"{link}&lang=ru").html


def test_an_old_side_that_is_no_longer_itself_is_told(engine: Engine) -> None:
    two_runs(engine)
    pin(engine, f"settings:{BEFORE}", why="released")
    found = decide_by_stored(engine, AFTER, DEFAULT_RULES)
    assert found is not None
    said = found.as_json()
    [model] = said["models"]
    price = {"calls": 48, "most_calls": 84, "cost_usd": 0.25, "most_usd": 0.5}
    model["again"] |= {"asked": True, "cases": 12, "price": price}
    model["again"]["old_side"] = {"asked": True, "cases": 148, "why_not": None, "price": price}
    known = "Known: alpha/g1 is answered for by g1-2026-06 now, by g1-2026-01 then."
    model["again"]["reproduction"] = {
        "world_changed": True,
        "scores": [],
        "known": [],
        "in_words": [WORLD_CHANGED, known, ANEW["model"]],
    }
    verdicts.append(engine, AFTER, "failed", said)
    page = shown(engine, f"?tab=overview&settings={AFTER}").text
    for line in (WORLD_CHANGED, known, ANEW["model"]):
        assert line in page
    assert "all other questions of the old side were asked again as well" in page
    assert "148; 48 calls" in page
    russian = shown(engine, f"?tab=overview&settings={AFTER}&lang=ru").text
    assert "изменился мир" in russian
    assert "за alpha/g1 теперь отвечает g1-2026-06, а тогда — g1-2026-01" in russian
    assert "остальные вопросы старой стороны" in russian
    assert "The world has changed" not in russian


def test_a_release_that_cannot_be_held_says_why(engine: Engine) -> None:
    two_runs(engine)
    pin(engine, f"evaluation:{scored(engine, gold(engine), OLD, 0.0, 'cc' * 8)}", why="one")
    page = shown(engine, f"?tab=overview&settings={AFTER}")
    assert "Traceback" not in page.text
    assert "May I release?" in page.text


def test_compare_says_what_the_command_says_by_the_rules_of_the_file(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    a, b = two_runs(engine)
    monkeypatch.setenv("RAG_BENCH_GATE", str(RULES))
    found = gate_json(engine, a, b)
    page = shown(engine, f"?tab=compare&a={a}&b={b}")
    rows = {row["measure"]: row for row in rows_of(page, "gate")}
    assert set(rows) == {one["metric"] for one in found["metrics"]} | set(found["missing"])
    for one in found["metrics"]:
        same_figures(rows[one["metric"]], one)
    missing = next(iter(found["missing"]))
    assert "not measured" in rows[missing]["why"]
    assert f"rag-bench gate {a} {b} --policy gate.toml" in page.text
    wrong = tmp_path / "rules.toml"
    wrong.write_text("[critical]\n", encoding="utf-8")
    monkeypatch.setenv("RAG_BENCH_GATE", str(wrong))
    assert "no metric decides" in shown(engine, f"?tab=compare&a={a}&b={b}").text


def gate_json(engine: Engine, a: int, b: int) -> dict[str, Any]:
    from rag_bench.reporting.compared.gate import gated
    from rag_bench.reporting.compared.opening import open_side

    sides = (open_side(engine, str(a), "a"), open_side(engine, str(b), "b"))
    return gated(engine, *sides, read_policy(RULES)).as_json()


def test_two_judges_are_marked_or_told_how_to_link(engine: Engine) -> None:
    a, b = two_runs(engine, judge=NEW)
    query = f"?tab=compare&a={a}&b={b}"
    assert COMMAND in shown(engine, query).text
    assert f"свяжите их командой {COMMAND}" in shown(engine, f"{query}&lang=ru").text
    bridged(engine)
    page = shown(engine, query)
    assert "across a bridge" in page.html
    assert f"{QUALITY}" in rows_of(page, "gate")[0]["measure"]
    same_figures(
        rows_of(page, "gate")[0],
        gate(engine, str(a), str(b), DEFAULT_RULES).as_json()["metrics"][0],
    )
    assert "по мосту" in shown(engine, f"{query}&lang=ru").html
