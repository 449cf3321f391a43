"""The report's section of retrievers: table, differences and plot; none where one was measured."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from measured_retrievers import RANKS, measured_board, store_costs, store_retrieval
from report_content import NOW, SETTINGS, board
from sqlalchemy import Engine

from rag_bench.reporting import report

HOSTILE = "<img src=//x onerror=y>|x"


def test_retrievers_are_a_section_of_every_file(engine: Engine, tmp_path: Path) -> None:
    for name in RANKS:
        store_retrieval(engine, name)
        store_costs(engine, name, 12.5)
    retrievers = measured_board(engine)
    hostile = dataclasses.replace(retrievers.lines[1].asked, words=HOSTILE)
    lines = [
        retrievers.lines[0],
        dataclasses.replace(retrievers.lines[1], asked=hostile),
        retrievers.lines[2],
    ]
    retrievers = dataclasses.replace(retrievers, lines=lines)
    of = board()
    content = report.content(of, SETTINGS, "e5", NOW, retrievers)
    written = report.write(content, of, tmp_path, retrievers)
    markdown = written.markdown.read_text(encoding="utf-8")
    html = written.html.read_text(encoding="utf-8")
    stored = json.loads(written.json.read_text(encoding="utf-8"))
    assert [one["name"] for one in stored["retrievers"]["retrievers"]] == list(RANKS)
    for text in (markdown, html):
        assert "Retrievers" in text
        assert "data:image/png;base64," in text
        assert "better is better by hit@1" in text
        assert "<img src=//x" not in text
    [row] = [line for line in markdown.splitlines() if line.startswith("| default | default in")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[2].startswith("0.167 [")
    assert cells[-4:] == ["12.9", "13.3", "0.25", "3.00"]
    differences = [line for line in markdown.splitlines() if line.startswith("| better | hit@1 |")]
    assert "| better | 0.833 |" in differences[0]


def test_without_retrievers_there_is_no_section(tmp_path: Path) -> None:
    of = board()
    written = report.write(report.content(of, SETTINGS, "e5", NOW), of, tmp_path)
    assert "## Retrievers" not in written.markdown.read_text(encoding="utf-8")
    assert "<h2>Retrievers" not in written.html.read_text(encoding="utf-8")
    assert "retrievers" not in json.loads(written.json.read_text(encoding="utf-8"))
