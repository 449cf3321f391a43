"""Every figure on a tab is the store's, told by SQL; what is missing is empty and never 0."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from dashboard_pages import Shown, shown
from markupsafe import Markup
from plotly.io import from_json
from small_world import World

from rag_bench.dashboard.address import TABS
from rag_bench.dashboard.page.tables import digits_among, metric_cell, usd_cell
from rag_bench.dashboard.words import Words

pytestmark = pytest.mark.timeout(600)


METRICS = """
    select distinct on (generation_model, benchmark_judge_model, production_judge_model)
        concat_ws('|', generation_model, benchmark_judge_model, production_judge_model) as models,
        metrics
    from rag_bench.evaluation
    where tier = :tier and kind = :kind
        and (generation_model is null or settings_hash = :hash)
    order by generation_model, benchmark_judge_model, production_judge_model, id desc
"""
DUELS = """
    with s as (
        select distinct on (e.generation_model, c.case_id) e.generation_model as m, c.case_id,
            (c.scores ->> 'rubric_e2e_quality')::float as v
        from rag_bench.evaluation e
        join rag_bench.evaluation_case c on c.evaluation_id = e.id
        where e.tier = '3' and e.kind = 'scores' and e.benchmark_judge_model = :judge
            and e.settings_hash = :hash and c.repeat = 0
        order by 1, 2, e.id desc
    )
    select a.m as model, b.m as other, count(*) filter (where a.v > b.v) as won,
        count(*) filter (where a.v = b.v) as tied, count(*) filter (where a.v < b.v) as lost
    from s a join s b using (case_id)
    where a.m <> b.m and a.v is not null and b.v is not null
    group by 1, 2
"""


def newest(world: World) -> str:
    [row] = world.rows(
        "select settings_hash from rag_bench.evaluation where generation_model is not null "
        "order by id desc limit 1"
    )
    return str(row["settings_hash"])


def metrics(world: World, tier: str, kind: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """The newest metrics by models, under the settings that are shown."""
    found = world.rows(
        METRICS,
        tier=tier,
        kind=kind,
        hash=newest(world),
    )
    return {tuple(row["models"].split("|")): row["metrics"] for row in found}


def value(text: str) -> float | None:
    return None if text == "" else float(text)


def cell_of(row: dict[str, str], beginning: str) -> str:
    [found] = [text for name, text in row.items() if name.startswith(beginning)]
    return found


def column(page: Shown, table: str, name: str) -> list[str]:
    return [cell_of(row, name) for row in page.tables[table]]


def test_scores_of_models_and_their_order(populated: World) -> None:
    page = shown(populated.engine, "?tab=models")
    stored = metrics(populated, "3", "scores")
    rows = page.tables["models"]
    assert {row["Generation model"] for row in rows} == {models[0] for models in stored}
    seen = 0
    for row in rows:
        for (model, judge), found in stored.items():
            if model != row["Generation model"]:
                continue
            metric = found["rubric_e2e_quality"]
            [shown_as] = [text for name, text in row.items() if f" {judge}" in name]
            assert value(shown_as) == metric["value"]
            low, high = f"{metric['ci_low']:.2f}", f"{metric['ci_high']:.2f}"
            assert f"[{low}, {high}]" in page.html
            assert f"{metric['n_scored']}/{metric['n_expected']}" in page.html
            seen += 1
    assert seen == len(stored)


def test_who_wins_against_whom(populated: World) -> None:
    judge = "simulator/sim-judge-sharp"
    page = shown(populated.engine, f"?tab=models&judge={judge}")
    pairs = populated.rows(
        DUELS,
        judge=judge,
        hash=newest(populated),
    )
    expected = {(p["model"], p["other"]): (p["won"], p["tied"], p["lost"]) for p in pairs}
    found = {
        (row["model"], row["against"]): tuple(int(row[n]) for n in ("won", "tied", "lost"))
        for row in page.tables["wins"]
    }
    assert len(expected) > 3
    assert found == expected
    for row in page.tables["wins"]:
        total = int(row["common questions"])
        assert float(row["win rate"]) == pytest.approx(
            (int(row["won"]) + int(row["tied"]) / 2) / total
        )


def test_production_judges(populated: World) -> None:
    page = shown(populated.engine, "?tab=gates")
    stored = metrics(populated, "judge_pipeline", "scores")
    assert len(page.tables["gates"]) == len(stored) > 1
    for row in page.tables["gates"]:
        found = stored[row["Production judge"],]
        for name in ("accuracy", "precision", "recall", "f1_score", "avg_latency_ms"):
            assert value(cell_of(row, name)) == found[name]["value"], name
    for row in page.tables["confusion"]:
        found = stored[row["Production judge"],]
        assert int(cell_of(row, "bad, shown")) == found["false_positives"]["value"]
        assert int(cell_of(row, "good, hidden")) == found["false_negatives"]["value"]


def test_what_changed_is_in_the_overview_and_comparable(populated: World) -> None:
    page = shown(populated.engine, "?tab=overview&rows=all")
    rows = page.tables["changes"]
    assert rows, page.text[:3000]
    assert {row["verdict"] for row in rows} <= {"worse", "better", "cannot tell"}
    stored = metrics(populated, "3", "scores")
    checked = 0
    for row in rows:
        key = tuple(row["models"].split(" · "))
        if key in stored and row["measure"].startswith("rubric_e2e_quality"):
            assert value(row["now"]) == stored[key]["rubric_e2e_quality"]["value"]
            checked += 1
    assert checked > 1
    clear = [row for row in rows if row["verdict"] != "cannot tell"]
    short = shown(populated.engine, "?tab=overview")
    assert short.tables.get("changes", []) == clear
    [n_all] = re.findall(r"Show all (\d+) comparisons", short.text)
    assert int(n_all) >= len(rows)


def test_a_question_of_a_comparison_opens_as_it_was_answered_there(populated: World) -> None:
    pairs = populated.rows(
        "select min(id) as a, max(id) as b from rag_bench.evaluation where tier = '3' and "
        "kind = 'scores' group by generation_model, benchmark_judge_model having count(*) > 1"
    )
    opened = 0
    for pair in pairs:
        for a, b in ((pair["a"], pair["b"]), (pair["b"], pair["a"])):
            [row] = populated.rows(f"select settings_hash from rag_bench.evaluation where id = {b}")
            page = shown(populated.engine, f"?tab=compare&a={a}&b={b}&filter=different")
            links = re.findall(r"tab=questions&amp;settings=(\w+)&amp;case=", page.html)
            assert set(links) <= {row["settings_hash"]}
            assert len(links) == len(page.tables["cases"])
            assert f"tab=runs&amp;evaluation={a}" in page.html
            opened += len(links)
    assert opened


def test_evaluations_are_listed_with_their_status_and_errors(populated: World) -> None:
    page = shown(populated.engine, "?tab=runs&tier=3")
    stored = populated.rows("select id, status, errors from rag_bench.evaluation where tier = '3'")
    found = {int(row["evaluation"]): row for row in page.tables["evaluations"]}
    assert set(found) == {row["id"] for row in stored}
    for row in stored:
        assert found[row["id"]]["status"] == row["status"]
        for code, n in row["errors"].items():
            assert f"{code} {n}" in found[row["id"]]["errors"]


def test_an_evaluation_is_shown_whole(populated: World) -> None:
    [row] = populated.rows(
        "select id, metrics from rag_bench.evaluation where tier = '3' and kind = 'answers' "
        "order by id desc limit 1"
    )
    page = shown(populated.engine, f"?tab=runs&evaluation={row['id']}")
    found = {one["measure"]: one for one in page.tables["metrics"]}
    assert set(found) == set(row["metrics"])
    for name, metric in row["metrics"].items():
        assert value(found[name]["now"]) == metric["value"], name
    # What the second measurement was asked to do otherwise.
    differ = {one["what"]: (one["before"], one["now"]) for one in page.tables["differences"]}
    assert differ["contexts_per_answer"] == ("3", "1")


def test_questions_with_their_means(populated: World) -> None:
    page = shown(populated.engine, "?tab=questions")
    stored = populated.rows(
        "select c.case_id, avg((c.scores ->> 'rubric_e2e_quality')::float) as mean from (select "
        "distinct on (generation_model, benchmark_judge_model) id from rag_bench.evaluation where "
        "tier = '3' and kind = 'scores' and settings_hash = :hash order by generation_model, "
        "benchmark_judge_model, id desc) e join rag_bench.evaluation_case c on c.evaluation_id = "
        "e.id where c.repeat = 0 group by 1",
        hash=newest(populated),
    )
    expected = {row["case_id"]: row["mean"] for row in stored}
    found = {row["question"]: value(cell_of(row, "mean")) for row in page.tables["questions"]}
    assert set(found) == set(expected)
    for case, mean in expected.items():
        assert found[case] == (None if mean is None else pytest.approx(mean))


def test_one_question_across_models(populated: World) -> None:
    [row] = populated.rows(
        "select c.case_id from rag_bench.evaluation_case c join rag_bench.evaluation e on "
        "e.id = c.evaluation_id where e.tier = '3' and e.kind = 'answers' and e.settings_hash = "
        ":hash and c.answer is not null and length(c.answer) > 20 order by c.case_id limit 1",
        hash=newest(populated),
    )
    page = shown(populated.engine, f"?tab=questions&case={row['case_id']}")
    models = {models[0] for models in metrics(populated, "3", "answers")}
    assert all(model in page.text for model in models)
    assert {one["judge"] for one in page.tables["scores-3"]} == {
        judge for _, judge in metrics(populated, "3", "scores")
    }
    assert 'rel="next"' in page.html
    assert 'rel="prev"' not in page.html


def test_compared_as_by_the_command(populated: World) -> None:
    from rag_bench.reporting.compared.comparing import compare

    ids = populated.rows(
        "select id from rag_bench.evaluation where tier = '3' and kind = 'scores' and "
        "generation_model = 'simulator/sim-weak' and benchmark_judge_model = "
        "'simulator/sim-judge-sharp' order by id"
    )
    a, b = str(ids[0]["id"]), str(ids[-1]["id"])
    page = shown(populated.engine, f"?tab=compare&a={a}&b={b}")
    said = compare(populated.engine, a, b)
    found = {row["measure"]: row for row in page.tables["compared"]}
    assert set(found) == {one.name for one in said.metrics}
    for one in said.metrics:
        assert value(found[one.name]["difference"]) == one.comparison.difference.value
        assert found[one.name]["verdict"] == one.decision.word
    assert len(page.tables["cases"]) == len(said.worse)


def test_where_answers_fail_is_told_as_by_the_command(populated: World) -> None:
    from rag_bench.reporting.failing import failing

    page = shown(populated.engine, "?tab=models&judge=simulator/sim-judge-sharp")
    said = {
        (one.model, count.place): len(count.cases)
        for one in failing(populated.engine)
        if one.judge in ("simulator/sim-judge-sharp", None)
        for count in one.counts
    }
    found = {
        (row["model"], row["place"]): int(float(row["cases"])) for row in page.tables["failing"]
    }
    assert found == said


def test_analyses(populated: World) -> None:
    used = populated.rows(
        "select metrics, inputs -> 'result' as result from rag_bench.evaluation where tier = "
        "'analytics_utilization'"
    )[0]
    page = shown(populated.engine, "?tab=utilization")
    for row in page.tables["utilization"]:
        assert value(row["value"]) == used["metrics"][row["measure"].split(" ")[0]]["value"]
    chunks = populated.rows("select count(*) as n from rag_bench.chunk")[0]["n"]
    assert sum(int(row["chunks"]) for row in page.tables["use-counts"]) == chunks

    placed = sum(int(row["chunks"]) for row in page.tables["map"])
    assert placed == chunks

    topics = populated.rows(
        "select c.scores from rag_bench.evaluation_case c join rag_bench.evaluation e on e.id = "
        "c.evaluation_id where e.tier = 'analytics_topics'"
    )
    page = shown(populated.engine, "?tab=topics")
    counts = {row["scores"]["name"]: row["scores"]["question_count"] for row in topics}
    assert {row["topic"]: int(row["questions"]) for row in page.tables["topics"]} == counts

    domain = populated.rows(
        "select inputs -> 'result' as result from rag_bench.evaluation "
        "where tier = 'analytics_domain'"
    )[0]["result"]
    page = shown(populated.engine, "?tab=domain")
    words = {row["word"]: int(row["times"]) for row in page.tables["top-tokens-all"]}
    assert words == dict(domain["top_tokens_all"])


@pytest.mark.parametrize(
    ("view", "table"),
    [
        ("?tab=runs", "evaluations"),
        ("?tab=questions", "questions"),
        ("?tab=gates", "wrong-verdicts"),
        ("?tab=utilization", "chunks"),
        ("?tab=models&rows=triples", "triples"),
        ("?tab=overview&rows=all", "changes"),
    ],
)
def test_a_page_behind_the_last_is_the_last(populated: World, view: str, table: str) -> None:
    """A link may be older than a list that has become shorter."""
    behind = shown(populated.engine, f"{view}&page=9999")
    told = re.search(r"page (\d+) of (\d+)", behind.text)
    last = told[2] if told else "1"
    assert told is None or told[1] == last
    assert behind.tables[table]
    assert behind.tables[table] == shown(populated.engine, f"{view}&page={last}").tables[table]


def test_a_missing_value_is_empty(populated: World) -> None:
    page = shown(populated.engine, "?tab=models")
    # The offline models cost nothing that is known only where a price is; latency is known.
    prices = populated.rows(
        "select count(*) as n from rag_bench.llm_call where cost_usd is not null"
    )
    cells = column(page, "models", "USD per 1,000")
    assert all(text == "" for text in cells) == (prices[0]["n"] == 0)


@pytest.mark.parametrize("lang", ["en", "ru"])
@pytest.mark.parametrize("tab", TABS)
def test_every_tab_has_content_tables_and_json_figures(
    populated: World, tab: str, lang: str
) -> None:
    page = shown(populated.engine, f"?tab={tab}&lang={lang}")
    assert page.tables or tab == "compare", page.text
    assert 'rb-bad" role' not in page.html
    assert len(page.figures) <= 7
    for figure in page.figures:
        drawn = figure.to_json()
        assert json.loads(drawn)["data"]
        assert "NaN" not in drawn
        from_json(drawn)  # raises for what plotly's schema does not have


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        (
            {"value": 0.56789, "ci_low": 0.5, "ci_high": 0.6, "scale": [0, 1]},
            "0.568 [0.500, 0.600]",
        ),
        ({"value": 1.0, "ci_low": 0.9, "ci_high": 1.0, "scale": [1, 5]}, "1.00 [0.90, 1.00]"),
        ({"value": 56.984, "ci_low": None, "ci_high": None, "scale": [0, 100]}, "57.0"),
        ({"value": 181.799, "ci_low": 172.9, "ci_high": 190.3}, "182 [173, 190]"),
        ({"value": 50.464, "ci_low": 48.6, "ci_high": 52.4}, "50.5 [48.6, 52.4]"),
        ({"value": -0.004, "ci_low": -0.1, "ci_high": 0.2}, "-0.004 [-0.100, 0.200]"),
        ({"value": 5.0, "ci_low": None, "ci_high": None}, "5"),
    ],
)
def test_a_number_has_no_more_digits_than_say_something(metric: dict[str, Any], text: str) -> None:
    cell = metric_cell({**metric, "n_scored": 3, "n_expected": 4}, Words("en"))
    assert Markup(cell.shown).striptags() == f"{text} 3/4"
    assert cell.value == metric["value"], "what is saved as CSV is whole"


def test_what_cost_nothing_is_0_and_what_is_not_known_is_empty() -> None:
    assert [usd_cell(value).shown for value in (0.0, None, 0.00123)] == ["0", "", "0.0012"]
    assert [digits_among(values) for values in ([1.0, None, 5.0], [1.0, 2.5], [])] == [0, 2, 0]


@pytest.mark.parametrize("lang", ["en", "ru"])
def test_the_overview_says_by_which_metric_judges_were_never_checked(
    populated: World, lang: str
) -> None:
    words = Words(lang)
    told = words("unchecked_lead", metric=words.title("e2e quality"), judges="simulator/")
    assert told.partition("simulator/")[0] in shown(populated.engine, f"?lang={lang}").text
