"""A comparison in words, of the JSON that every reader gets: for terminals, logs and Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_bench.evaluation.paired.words import CANNOT_TELL, GOT_WORSE, NO_WORSE
from rag_bench.reporting.compared.sides import bare_name
from rag_bench.store.labels.checked import Scored, mark_by_metric

_CASES = 10
_CHUNKS = 20
_LINES = 40
_SIGNS = {GOT_WORSE: "✗", NO_WORSE: "✓", CANNOT_TELL: "?"}


def table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of the metrics, as text; ``found``: `Compared.as_json`."""
    headings = ["metric", "a", "b", "b − a", "95 % interval", "p (all)", "could show", "verdict"]
    rows = []
    for one in found["metrics"]:
        low, high = _number(one["ci_low"], sign=True), _number(one["ci_high"], sign=True)
        down = "" if one["higher_is_better"] is not False else " ↓"
        rows.append(
            [
                one["metric"] + down,
                _number(one["a"]),
                _number(one["b"]),
                _number(one["difference"], sign=True),
                f"{low} to {high}" if one["ci_low"] is not None else "–",
                _p(one["p_adjusted"]),
                _number(one["minimum_detectable"]),
                verdict_of(one),
            ]
        )
    return headings, rows


def verdict_of(one: Mapping[str, Any]) -> str:
    """Return a metric's word, with what would decide where it cannot be told."""
    said = f"{_SIGNS[one['verdict']]} {one['verdict']}"
    if one["better"]:
        said += " (better)"
    if one.get("across_bridge"):
        said += ", across a bridge"
    if one["verdict"] != CANNOT_TELL:
        return said
    if needed := one["needed"]:
        pages = f" of {needed['pages']:,} pages" if needed["pages"] < needed["questions"] else ""
        return f"{said}: {needed['questions']:,} questions{pages} would decide"
    return f"{said}: {one['reason']}" if one["reason"] else said


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is said beside the table: verdict, what differs, which cases moved."""
    a, b = found["a"], found["b"]
    yield f"{b['kind']} {b['id']} against {a['kind']} {a['id']}: {found['verdict']}"
    pages = found["n_pages"]
    unknown = found["n_pairs"] - found["n_pairs_with_page"]
    own = f" (of {unknown:,} the page is not known: a question counts as one)" if unknown else ""
    yield (
        f"{found['n_pairs']:,} cases of both, from {pages:,} pages{own}; paired by "
        f"{found['paired_by']}. p is adjusted for {found['n_tests']} metrics."
    )
    yield from _bridges(found["metrics"])
    for name, there in (("a", found["metrics_only_in_a"]), ("b", found["metrics_only_in_b"])):
        if there:
            yield f"Only {name} has: {', '.join(there)}."
    unchecked = [
        Scored(judge, bare_name(one["metric"]))
        for one in found["metrics"]
        for judge in one.get("never_checked_against_people", ())
    ]
    yield from filter(None, [mark_by_metric(unchecked)])
    yield from _inputs(found["inputs"])
    for name, title in (("worse", "Got worse"), ("better", "Got better")):
        yield from _cases(title, found[f"n_{name}"], found[name])
    yield from _alone(found)


def whole(found: Mapping[str, Any]) -> str:
    """Return the comparison as plain text: the table, then `lines`."""
    headings, rows = table(found)
    widths = [max(len(row[n]) for row in [headings, *rows]) for n in range(len(headings))]
    said = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in ([headings, *rows] if rows else [])
    ]
    return "\n".join([*said, *lines(found)])


def _bridges(metrics: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield which side of a metric came over a bridge, and what that adds to its error."""
    for one in metrics:
        if (by := one.get("across_bridge")) is None:
            continue
        own = _number(by["own_mean"])
        yield (
            f"{one['metric']}: {by['side']} is {own} by {by['from']}, carried over bridge "
            f"{by['evaluation_id']} to the scale of {by['to']}; its error of "
            f"{_number(by['link_error'])} widens the interval. It links means, so single cases are "
            "not listed."
        )


def _inputs(inputs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not inputs:
        yield "Nothing differs in what they were made with."
    told: list[Any] = []
    for one in inputs:
        yield f"Differs: {one['in_words']}: {_short(one['a'])} → {_short(one['b'])}"
        detail = one.get("detail")
        if detail and detail not in told:  # the prompts of several tiers are the same ones
            told.append(detail)
            yield from _detail(detail)


def _detail(detail: Mapping[str, Any]) -> Iterator[str]:
    """Yield what stands behind two hashes: chunks, words of prompts, or fields."""
    if "unchanged" in detail:
        counts = ", ".join(f"{detail[n]} {n}" for n in ("added", "removed", "changed"))
        pages = f", on {detail['n_pages']} pages" if "n_pages" in detail else ""
        yield f"  chunks: {counts}, {detail['unchanged']} as before{pages}"
        for one in detail.get("chunks", ())[:_CHUNKS]:
            said = " → ".join(f"«{one[key][:80]}»" for key in ("before", "after") if key in one)
            yield f"  {one['how']} {one['page_url']}: {said}"
        if (more := len(detail.get("chunks", ())) - _CHUNKS) > 0:
            yield f"  … and {more:,} more (--json)"
    for one in detail.get("prompts", ()):
        yield (
            f"  prompt {one['name']} {one['how']}: +{one['lines_added']} "
            f"−{one['lines_removed']} lines"
        )
        yield from (f"    {line}" for line in one["diff"][:_LINES])
        if len(one["diff"]) > _LINES:
            yield f"    … and {len(one['diff']) - _LINES} more lines (--json)"
    if "bridge" in detail:
        ends = detail["bridge"]
        yield f"  marked: over the bridge from {ends['from']} to {ends['to']}"
        yield from (f"  {line}" for line in detail["links"])
    if "unknown" in detail:
        yield f"  {detail['unknown']}"
    for one in detail.get("fields", ()):
        yield f"  {one['name']}: {_short(one['a'])} → {_short(one['b'])}"


def _cases(title: str, n: int, cases: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if not n:
        return
    yield f"{title}: {n:,} scores of cases."
    for one in cases[:_CASES]:
        question = f" {one['question']}" if one["question"] else ""
        values = f"{_number(one['a'])} → {_number(one['b'])}"
        yield f"  {one['metric']} {values}  {one['case_id']}{question}"
    if n > _CASES:
        yield f"  … and {n - min(_CASES, len(cases)):,} more"


def _alone(found: Mapping[str, Any]) -> Iterator[str]:
    for side in ("a", "b"):
        for reason, n in found[f"cases_only_in_{side}"].items():
            yield f"Only in {side}: {n:,} cases ({reason})."
    for metric in found["metrics"]:
        for reason, n in metric["unpaired"].items():
            yield f"{metric['metric']}: {n:,} cases of one side only ({reason})."


def _number(value: float | None, *, sign: bool = False) -> str:
    if value is None:
        return "–"
    return f"{value:+.3f}".replace("-", "−") if sign else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "–" if value is None else "<0.0001" if value < 0.0001 else f"{value:.4f}"


def _short(value: Any) -> str:
    said = "nothing" if value is None else str(value)
    # Hashes are known by their beginnings.
    return said if len(said) <= 48 else f"{said[:16]}…"
