"""The report's files and their registry."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from measured import GATES, GENERATORS, JUDGES, metric
from report_content import board, content

from rag_bench.provenance import git_commit
from rag_bench.reporting import report
from rag_bench.reporting.leaderboard import COLUMNS, Configured, Leaderboard, Row
from rag_bench.store.datasets import DatasetInfo

HOSTILE = "evil/<script>alert('x')</script>&\"<img src=//x onerror=y>"


# Content ----------------------------------------------------------------------------------------


def test_the_fields_of_the_forerunner_are_all_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCHMARK_RUN_AUTHOR", "Марина")
    monkeypatch.setenv("BENCHMARK_GIT_BRANCH", "release")
    of = board()
    written = report.write(content(of), of, tmp_path)
    (entry,) = json.loads((tmp_path / "benchmark_runs.json").read_text(encoding="utf-8"))
    expected = {
        "id": "20260223_183530",
        "timestamp": "2026-02-23T18:35:30+00:00",
        "git_branch": "release",
        "git_commit_hash": git_commit(),
        "run_author": "Марина",
        "schema_version": "3.1",
        "dataset_file": "золотой набор",
        "dataset_type": "manual",
        "judge_model": JUDGES[0],
        "production_judge_model": GATES[0],
        "generation_model": GENERATORS[0],
        "embedding_model": "intfloat/multilingual-e5-small",
        "judge_eval_mode": "direct",
        "consistency_runs": 2,
        "tier_0_metrics": {"avg_nn_distance": metric(0.2), "density_score": metric(None)},
        "tier_1_metrics": {"chunk_mrr": metric(0.9)},
        "tier_2_metrics": None,
        "tier_3_metrics": {"rubric_e2e_quality": metric(4.5), "rougeL_f": metric(0.0)},
        "tier_judge_metrics": None,
        "tier_judge_pipeline_metrics": {"f1_score": metric(0.7), "unreadable": metric(1.0)},
        "tier_ux_metrics": None,
        "overall_status": "attention",
        "report_file": "rag_benchmark_20260223_183530.json",
    }
    assert {name: entry[name] for name in expected} == expected
    assert [run["judge_model"] for run in entry["model_runs"][:4]] == [
        *(JUDGES[0], JUDGES[0], JUDGES[1], JUDGES[1])
    ]
    assert len(entry["model_runs"]) == 8
    stored = json.loads(written.json.read_text(encoding="utf-8"))
    assert stored["run_metadata"]["git_branch"] == "release"
    assert stored["executive_summary"] == entry["executive_summary"]
    assert "metrics" not in entry["model_runs"][0], "the report's own file has them"


def test_metrics_that_rows_share_are_written_once() -> None:
    of = board()
    stored = json.loads(json.dumps(content(of), ensure_ascii=False))
    # Eight rows: two tier 3 results (a generator each), and one of tiers 0, 1 and judge_pipeline.
    assert sorted(item["tier"] for item in stored["shared_metrics"]) == [
        *("tier_0", "tier_1", "tier_3", "tier_3", "tier_judge_pipeline")
    ]
    assert [report.metrics_of(stored, run) for run in stored["model_runs"]] == [
        row.metrics for row in of.rows
    ]
    # What is one row's own stays with it; reports of earlier versions have everything there.
    lone = board(generators=["a/one"], judges=["b/j"], gates=["c/p"])
    (run,) = content(lone)["model_runs"]
    assert (run["metrics"], run["metrics_from"]) == (lone.rows[0].metrics, {})
    assert report.metrics_of({}, {"metrics": {"tier_1": {}}}) == {"tier_1": {}}


def test_a_thousand_rows_do_not_swell_report_and_registry(tmp_path: Path) -> None:
    names = [f"a/model-{number}" for number in range(10)]
    of = board(generators=names, judges=names, gates=names)
    sizes = []
    for _ in range(3):
        written = report.write(content(of), of, tmp_path)
        sizes.append((tmp_path / "benchmark_runs.json").stat().st_size)
    row_bytes = len(json.dumps(of.rows[0].as_json()))
    assert written.json.stat().st_size < 1000 * row_bytes * 0.6
    growth = [after - before for before, after in itertools.pairwise(sizes)]
    assert max(growth) < 400_000
    assert max(growth) - min(growth) < 100  # the same for every report: nothing is written again


def test_the_summary_says_what_the_numbers_rest_on() -> None:
    said = content(board())["executive_summary"]
    assert "8 combinations of models were compared on 20 questions" in said
    assert f"First is {GENERATORS[0]}; by judge {JUDGES[0]} it has e2e quality 4.50 of 5" in said
    assert "95 % interval 4.40 to 4.60" in said
    assert "20 of 20 answers scored" in said
    assert "f1_score 0.70 (target 0.85)" in said
    assert "cannot be told" not in said
    assert "simulated" not in said


def test_overlapping_intervals_are_not_sold_as_a_difference() -> None:
    said = content(board(half=0.6))["executive_summary"]
    # Without scores of single questions; with them the paired test of the board decides.
    assert f"{GENERATORS[1]} cannot be told from it" in said


def test_nothing_scored_is_said_without_a_number() -> None:
    empty = Leaderboard(
        "f" * 64,
        DatasetInfo("d" * 64, "gold", "manual", 20),
        [Row(1, "simulator/sim-weak", None, None, {})],
    )
    found = content(empty)
    assert found["overall_status"] == "insufficient_data"
    assert "First is" not in found["executive_summary"]
    assert "simulator/sim-* are simulated" in found["executive_summary"]
    assert found["judge_model"] is None
    for template in ("report.md.j2", "report.html.j2"):
        assert "insufficient" in report.render(template, found, empty)


# Files ------------------------------------------------------------------------------------------


def tables(markdown: str) -> list[list[list[str]]]:
    """The tables of a Markdown text as GitHub reads them: header, separator, rows; no gaps."""
    found: list[list[list[str]]] = []
    for block in re.split(r"\n[ \t]*\n", markdown):
        lines = block.strip("\n").splitlines()
        if not any(line.startswith("|") for line in lines):
            continue
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        assert len(lines) >= 2, f"a table row on its own: {lines}"
        assert set(cells[1]) == {"---"}, f"no separator under the header: {lines[:2]}"
        assert {len(line) for line in cells} == {len(cells[0])}, "rows of different width"
        found.append([cells[0], *cells[2:]])
    return found


def test_the_markdown_has_proper_tables_with_every_row() -> None:
    of = board()
    found = tables(report.render("report.md.j2", content(of), of))
    models, judges, gates, triples, *tiers, targets = found
    by = [f"e2e quality by {judge}" for judge in JUDGES]
    assert models[0][:5] == ["#", "generation model", *by, "behind the first"]
    assert models[0][-3:] == ["scored", "latency, ms", "USD per 1,000"]
    assert [row[:3] for row in models[1:]] == [
        ["1", GENERATORS[0], "4.500 [4.400, 4.600]"],
        ["2", GENERATORS[1], "3.500 [3.400, 3.600]"],
    ]
    assert [row[:3] for row in judges[1:]] == [[j, "yes", "not checked"] for j in JUDGES]
    assert gates[0][:6] == ["#", "production judge", "accuracy", "precision", "recall", "F1"]
    assert [row[1] for row in gates[1:]] == list(GATES)
    assert triples[0][:4] == ["#", "generation model", "benchmark judge", "production judge"]
    assert triples[0][4:] == [*(column.title for column in COLUMNS), "scored"]
    assert len(triples) == 1 + 8
    assert triples[1] == [
        *("1", GENERATORS[0], JUDGES[0], GATES[0]),
        *("4.500", "–", "–", "–", "–", "0.000", "0.700", "20 of 20"),
    ]
    assert [len(table) - 1 for table in tiers] == [2, 1, 2, 2]
    assert tiers[0][2] == ["density_score", "–", "–", "0 of 20"]
    assert targets[0] == ["area", "tier", "metric", "value", "target", "met"]
    assert ["show or hide", "tier_judge_pipeline", "f1_score", "0.700", "0.85", "no"] in targets
    assert ["retrieval", "tier_1", "chunk_mrr", "0.900", "0.8", "yes"] in targets


def test_few_pages_and_removed_models_are_said_in_every_form() -> None:
    few = {**metric(4.0), "n_clusters": 4, "note": "fewer than 10 pages"}
    rows = [Row(1, "gone/model", "b/j", None, {"tier_3": {"rubric_e2e_quality": few}})]
    of = Leaderboard("f" * 64, DatasetInfo("d" * 64, "gold", "manual", 20), rows)
    of = dataclasses.replace(of, configured=Configured([], ["b/j"], []))
    found = content(of)
    assert "rests on fewer than 10 pages" in found["executive_summary"]
    assert found["generation_models"][0]["configured"] is False
    for template in ("report.md.j2", "report.html.j2"):
        text = report.render(template, found, of)
        assert "(<10 pages: 4)" in text.replace("&lt;", "<")
        assert "No longer configured, or named to a command only: gone/model." in text
        assert "not configured" in text


def test_long_leaderboards_are_cut_and_say_so() -> None:
    of = board(generators=[f"a/g{number}" for number in range(30)])
    markdown = report.render("report.md.j2", content(of), of)
    assert [len(tables(markdown)[number]) for number in (0, 3)] == [31, 51]
    assert "… and 70 more in the JSON file." in markdown
    assert "… and 20 more in the JSON file." in report.render("report.html.j2", content(of), of)


class Page(HTMLParser):
    """What a browser would make of the page: tags, attributes, the cells' texts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.cells[-1] += data


def test_the_page_is_whole_and_needs_nothing_from_elsewhere() -> None:
    of = board()
    html = report.render("report.html.j2", content(of), of)
    page = Page(html)
    assert page.open == []
    assert not {"script", "link", "iframe", "img", "object", "embed", "base"} & set(page.tags)
    assert not {"src", "href", "srcset", "action"} & {name for name, _ in page.attributes}
    assert not re.search(r"https?:|//[a-z]|@import|url\(", html)
    for model in (*GENERATORS, *JUDGES, *GATES):
        assert model in page.cells
    assert "4.500 [4.400, 4.600]" in page.cells
    widths = re.findall(r"<i style=\"width: ([\d.]+)%", html)
    assert [float(width) for width in widths] == [87.5, 62.5]
    # The heatmap: the best of each judge's column is darkest.
    shades = re.findall(r"rgba\(76, 120, 168, ([\d.]+)\)", html)
    assert [float(shade) for shade in shades] == [0.5, 0.5, 0.06, 0.06]


def test_hostile_names_stay_text_in_the_page() -> None:
    of = board(generators=[HOSTILE], judges=[HOSTILE], gates=[HOSTILE], name=HOSTILE)
    page = Page(report.render("report.html.j2", content(of), of))
    assert not {"script", "img"} & set(page.tags)
    assert "onerror" not in {name for name, _ in page.attributes}
    assert page.cells.count(HOSTILE) >= 3


def test_hostile_names_break_no_markdown_table() -> None:
    name = "набор | с чертой\n\n# и заголовком"
    of = board(generators=["a/<b>|b", "a/c"], name=name)
    markdown = report.render("report.md.j2", content(of), of)
    assert not re.search(r"^# и заголовком", markdown, re.MULTILINE)
    assert "<b>" not in markdown
    assert markdown.count("| a/&lt;b>\\|b |") == 1 + 4
    assert len(tables(markdown.replace("\\|", "/"))[3]) == 9
