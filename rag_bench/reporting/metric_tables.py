"""The tables of ``docs/metrics.md``, from the metrics' entries.

A table stands between ``<!-- metrics: FAMILY … -->`` and ``<!-- end of metrics -->``; all else on
the page is written by hand. ``python -m rag_bench.reporting.metric_tables docs/metrics.md`` writes
them anew; without a page it prints the tables of all families, those of extensions among them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from rag_bench.evaluation.catalogue import families, family
from rag_bench.evaluation.metric_spec import MetricSpec, Need

_BLOCK = re.compile(
    r"(?P<begin><!-- metrics: (?P<names>[\w. ]+) -->\n)(?P<table>.*?)"
    r"(?P<end><!-- end of metrics -->)",
    re.DOTALL,
)
_CUTOFF = re.compile(r"@(\d+)$")
_ARROWS = {True: " ↑", False: " ↓", None: ""}
#: What is said elsewhere: that questions out of scope are apart, and None of no value.
_UNSAID = {Need.in_scope, Need.value}


def table_of(metrics: Iterable[MetricSpec]) -> str:
    """Return a Markdown table of metrics; those that share all but the name share a row."""
    rows = [_row(list(group)) for _, group in groupby(metrics, _shared)]
    titles = ["name", "tier", "what it is", "kind", "scale", "needs", "source", "shown, target"]
    # What no metric has, or all have alike in their tiers, needs no column.
    kept = [
        number
        for number, title in enumerate(titles)
        if any(row[number] for row in rows)
        and not (title == "tier" and len({row[number] for row in rows}) == 1)
    ]
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join("| " + " | ".join(line[n] for n in kept) + " |\n" for line in lines)


def filled(page: str) -> str:
    """Return a page with its tables made anew.

    Raises KeyError for a family that is not there.
    """

    def fill(block: re.Match[str]) -> str:
        metrics = [metric for name in block["names"].split() for metric in family(name)]
        return block["begin"] + table_of(metrics) + block["end"]

    return _BLOCK.sub(fill, page)


def families_on(page: str) -> list[str]:
    """Return the families whose tables a page has, in order."""
    return [name for block in _BLOCK.finditer(page) for name in block["names"].split()]


def all_tables() -> str:
    """Return the table of every family under its name."""
    return "\n".join(f"## {name}\n\n{table_of(family(name))}" for name in families())


def _shared(metric: MetricSpec) -> tuple[object, ...]:
    return (
        metric.tiers,
        metric.kind,
        metric.scale,
        metric.formula,
        metric.source,
        metric.needs,
    )


def _row(metrics: Sequence[MetricSpec]) -> list[str]:
    first = metrics[0]
    scale = "" if first.scale is None else " to ".join(f"{end:g}" for end in first.scale)
    needs = [need.value for need in Need if need in first.needs - _UNSAID]
    return [
        _names(metrics),
        ", ".join(first.tiers),
        first.formula,
        first.kind,
        scale,
        "; ".join(needs),
        first.source,
        "; ".join(use for metric in metrics for use in _uses(metric, len(metrics) > 1)),
    ]


def _names(metrics: Sequence[MetricSpec]) -> str:
    cutoffs: dict[str, list[str]] = {}
    arrow: dict[str, str] = {}
    for metric in metrics:
        base = _CUTOFF.sub("@k", metric.name)
        found = _CUTOFF.search(metric.name)
        cutoffs.setdefault(base, []).extend([found[1]] if found else [])
        arrow[base] = _ARROWS[metric.higher_is_better]
    words = ", ".join(f"`{name}`{arrow[name]}" for name in cutoffs)
    of_all = {tuple(found) for found in cutoffs.values()}
    if len(of_all) == 1 and (numbers := next(iter(of_all))):
        words += f" (k = {', '.join(numbers)})"
    return words


def _uses(metric: MetricSpec, named: bool) -> list[str]:
    of = f"`{metric.name}` " if named else ""
    word = "at least" if metric.higher_is_better else "at most"
    found = [
        f"{of}column “{column.title}” (tier {column.tier})"
        + ("" if column.ranks is None else f", ranks {_ORDINALS.get(column.ranks, column.ranks)}")
        for column in metric.shown
    ]
    return found + [
        f"{of}{word} {target.value:g} (tier {target.tier}, {target.area})"
        for target in metric.targets
    ]


_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth"}


def main(arguments: Sequence[str]) -> None:
    """Write the tables of the named pages anew, or print all tables."""
    for name in arguments:
        page = Path(name)
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    if not arguments:
        print(all_tables(), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
