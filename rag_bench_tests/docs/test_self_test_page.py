"""The page of the self-test shows every line that is tried, and no other."""

from __future__ import annotations

import re

from rag_bench.evaluation.self_test.cells import all_cells
from rag_bench.evaluation.self_test.power import worlds
from rag_bench.planted.plants import PLANTS
from rag_bench.settings import PROJECT_ROOT

PAGE = (PROJECT_ROOT / "docs" / "self_test.md").read_text(encoding="utf-8")


def test_promises() -> None:
    shown = re.findall(
        r"^\| (.+?) \| (.+?) \| [01][.\d]* \| -?[01][.\d]* \|",
        PAGE.split("## Which drops")[0],
        re.M,
    )
    assert shown == [(cell.group, cell.world) for cell in all_cells()]


def test_power() -> None:
    row = r"^\| (\d+) \| (\d+) \| ([\d.]+) \| ([\d.]+) \| 0\.\d+ \|"
    shown = [(int(a), int(b), float(c), float(d)) for a, b, c, d in re.findall(row, PAGE, re.M)]
    assert shown == [(p.n, p.questions, p.alike, share) for p, share in worlds()]


def test_planted_faults() -> None:
    row = r"^\| ([\w-]+) \| (.+?) \| (.+?) \| (.+?) \| (.*?) \|$"
    [_, _, *shown] = re.findall(row, PAGE.split("## Planted faults")[1], re.M)
    assert [found[:3] for found in shown] == [(p.fault, p.words, p.size) for p in PLANTS]
    assert all(found_by for *_, found_by, _ in shown)
