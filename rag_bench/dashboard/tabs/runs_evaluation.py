"""One evaluation whole: settings, what differs from the one before, metrics, errors with causes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.parts import (
    Page,
    bullets,
    direction,
    heading,
    join,
    link,
    metric_help,
    paragraph,
    said,
)
from rag_bench.dashboard.page.tables import Cell, Col, metric_cell, number_cell, table
from rag_bench.dashboard.tabs.common import model_names, moment, step_name
from rag_bench.evaluation.instrument.served import names_of
from rag_bench.reporting.instruments import mark_of

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context

_MADE_WITH = (
    *("dataset_id", "dump_sha256", "embedding_model", "prompt_hash", "code_version"),
    *("git_commit", "settings_hash", "input_hash"),
)
_DETAILS = 20


def evaluation_page(context: Context, wanted: str) -> Page:
    """Return the page of one evaluation."""
    from rag_bench.store.evaluations import listing

    words, view, made = context.words, context.view, Page()
    made.add(paragraph(link(words("back_to_list"), view.link(evaluation=None, page=None))))
    number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 18 else -1
    found = listing.whole(context.engine, number)
    if found is None:
        made.add(said(words("no_such_evaluation"), "warn"))
        return made
    earlier = listing.before(context.engine, number)
    if mark := mark_of(found["inputs"]):
        made.add(said(words("mixed_instrument", mark=mark), "warn"))
    _about(context, found, made)
    _differences(context, found, earlier, made)
    _metrics(context, found, earlier, made)
    _errors(context, found, made)
    _calls(context, found, made)
    return made


def _models(found: Mapping[str, Any]) -> list[str]:
    roles = ("generation_model", "benchmark_judge_model", "production_judge_model")
    return [found[role] for role in roles if found[role]]


def _about(context: Context, found: Mapping[str, Any], made: Page) -> None:
    from rag_bench.dashboard.tabs.runs import dagster_link, status_cell
    from rag_bench.store.evaluations.listing import runs_of

    words = context.words
    step = step_name(found["tier"], found["kind"], words)
    made.add(heading(f"№ {found['id']} · {step.shown}"))
    made.add(paragraph(model_names(" · ".join(_models(found)), words).shown))
    rows: list[list[Any]] = [
        [words("status"), status_cell(found["status"], words)],
        [words("started"), moment(found["started_at"])],
        [words("finished"), moment(found["finished_at"])],
        [words("who"), found["user_id"] or ""],
        ["Dagster", dagster_link(context, found["dagster_run_id"])],
    ]
    runs = runs_of(context.engine, found["id"])
    links = join((link(one, context.view.link(evaluation=None, run=one)) for one in runs), ", ")
    rows.append([words("service_runs"), Cell(links)])
    rows += [[words.known(f"made_{name}", name), found[name] or ""] for name in _MADE_WITH]
    rows += [
        [words("served_by", model=key), ", ".join(names)]
        for key, names in names_of(found["inputs"]).items()
    ]
    rows += [[name, _text(value)] for name, value in sorted(found["settings"].items())]
    known = [row for row in rows if (row[1].shown if isinstance(row[1], Cell) else row[1]) != ""]
    made.add(
        table("about", [words("what"), words("value")], known, words, caption=words("about_run"))
    )


def _differences(
    context: Context, found: Mapping[str, Any], earlier: Mapping[str, Any] | None, made: Page
) -> None:
    words = context.words
    made.add(heading(words("differences_before")))
    if earlier is None:
        made.add(paragraph(words("no_run_before")))
        return
    rows = [
        [words.known(f"made_{name}", name), earlier[name] or "", found[name] or ""]
        for name in _MADE_WITH
        if earlier[name] != found[name]
    ]
    names = sorted({*earlier["settings"], *found["settings"]})
    rows += [
        [name, _text(earlier["settings"].get(name)), _text(found["settings"].get(name))]
        for name in names
        if earlier["settings"].get(name) != found["settings"].get(name)
    ]
    before = link(f"№ {earlier['id']}", context.view.link(evaluation=earlier["id"]))
    made.add(
        paragraph(join([words("before_was"), " ", before, ", ", moment(earlier["finished_at"])]))
    )
    columns = [words("what"), words("then"), words("now")]
    made.add(table("differences", columns, rows, words, caption=words("differences_before")))


def _metrics(
    context: Context, found: Mapping[str, Any], earlier: Mapping[str, Any] | None, made: Page
) -> None:
    words = context.words
    rows: list[list[Any]] = []
    for name, metric in sorted(found["metrics"].items()):
        old = (earlier or {}).get("metrics", {}).get(name)
        gap = None
        if old and old["value"] is not None and metric["value"] is not None:
            gap = metric["value"] - old["value"]
        rows.append(
            [
                Cell(join([name + direction(name), metric_help(name, words)]), name),
                metric_cell(metric, words),
                metric_cell(old, words),
                number_cell(gap),
            ]
        )
    columns: list[Col | str] = [words("measure"), Col(words("now"), numeric=True)]
    columns += [Col(words("then"), numeric=True), Col(words("difference"), numeric=True)]
    made.add(heading(words("metrics")), paragraph(words("metrics_note")))
    made.add(table("metrics", columns, rows, words, caption=words("metrics")))


def _errors(context: Context, found: Mapping[str, Any], made: Page) -> None:
    from rag_bench.dashboard.texts import shown
    from rag_bench.evaluation.aggregate import is_failure
    from rag_bench.store.evaluations.listing import failures_by_detail
    from rag_bench.tiers.base.causes import most_frequent

    words = context.words
    made.add(heading(words("errors")))
    grouped = failures_by_detail(context.engine, found["id"])
    if not grouped:
        made.add(paragraph(words("no_errors")))
        return
    failures = [(code, detail) for code, detail, n in grouped for _ in range(n) if is_failure(code)]
    cause = most_frequent(failures, _models(found))
    if cause is not None:
        said_so = replace(
            cause,
            n=cause.n_failed,
            words=words.sentence(cause.words),
            advice=words.sentence(cause.advice),
        )
        [text] = shown(context, [str(said_so)])
        if cause.n != cause.n_failed:
            text = words("cause_share", n=cause.n, all=cause.n_failed, cause=text)
        made.add(said(words("main_cause", cause=text), "warn"))
    codes: dict[str, int] = {}
    for code, _, n in grouped:
        codes[code] = codes.get(code, 0) + n
    made.add(bullets(f"{code} {n}: {words.known(f'code_{code}', '')}" for code, n in codes.items()))
    details = shown(context, [words.detail(detail) for _, detail, _ in grouped[:_DETAILS]])
    rows: list[list[Any]] = [
        [code, detail, number_cell(n)]
        for (code, _, n), detail in zip(grouped[:_DETAILS], details, strict=True)
    ]
    columns: list[Col | str] = [words("code"), words("detail"), Col(words("cases"), numeric=True)]
    made.add(table("errors", columns, rows, words, caption=words("errors_caption")))


def _calls(context: Context, found: Mapping[str, Any], made: Page) -> None:
    from rag_bench.dashboard.tabs.overview import usage_table
    from rag_bench.store.calls import usage

    words, run_id = context.words, found["dagster_run_id"]
    made.add(heading(words("cost_and_calls")))
    if not run_id:
        made.add(paragraph(words("no_dagster_run")))
        return
    with context.engine.connect() as connection:
        used = usage(connection, run_id)
    made.add(paragraph(words("calls_of_run")))
    made.add(
        usage_table(context, used, words("cost_and_calls"))
        if used
        else paragraph(words("no_calls"))
    )


def _text(value: object) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
