"""Runs that clients asked the service for: the list, and one of them with its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.parts import (
    Cell,
    Col,
    Page,
    heading,
    join,
    link,
    metric_cell,
    metric_help,
    number_cell,
    paragraph,
    said,
    table,
)
from rag_bench.dashboard.tabs.common import moment
from rag_bench.store.eval_runs import reading

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context

_PER_PAGE = 25


def service_runs(context: Context) -> list[object]:
    """Return the newest runs; nothing where nobody has asked for one."""
    from rag_bench.dashboard.tabs.runs import errors_text, status_cell

    words, view = context.words, context.view
    with context.engine.connect() as connection:
        found = reading.runs(
            connection,
            reading.RunFilter(),
            before=view.get("before") or None,
            limit=_PER_PAGE + 1,
        )
    parts: list[object] = [heading(words("service_runs")), paragraph(words("service_runs_help"))]
    if not found:
        return [*parts, said(words("no_service_runs"), "empty")]
    rows: list[list[Any]] = [
        [
            Cell(link(run["id"], view.link(run=run["id"])), run["id"]),
            moment(run["created_at"]),
            status_cell(run["status"], words),
            run["user_id"],
            ", ".join(
                str(m) for n in ("generation_model", "judge_model") if (m := run["config"].get(n))
            ),
            number_cell(run["n_cases"]),
            errors_text(run["errors"]),
            number_cell(run["n_calls"]),
            number_cell(float(run["cost_usd"]), 4),
            ", ".join(f"{name}={value}" for name, value in sorted(run["labels"].items())),
        ]
        for run in found[:_PER_PAGE]
    ]
    columns: list[Col | str] = [words(t) for t in ("run", "created", "status", "who", "models")]
    columns += [Col(words("cases"), numeric=True), words("errors_by_code")]
    columns += [Col(words("calls"), numeric=True), Col("USD", numeric=True), words("labels")]
    parts.append(table("service-runs", columns, rows, words, caption=words("service_runs")))
    if len(found) > _PER_PAGE:
        parts.append(paragraph(link(words("older"), view.link(before=found[_PER_PAGE - 1]["id"]))))
    return parts


def run_page(context: Context, run_id: str) -> Page:
    """Return the page of one run of the service."""
    from rag_bench.dashboard.tabs.runs import dagster_link, errors_text, status_cell

    words, view, made = context.words, context.view, Page()
    made.add(paragraph(link(words("back_to_list"), view.link(run=None, page=None))))
    with context.engine.connect() as connection:
        run = reading.get(connection, run_id)
        wanted = reading.CaseFilter()
        after = (view.page - 1) * _PER_PAGE - 1
        cases = reading.cases(connection, run_id, wanted, after=after, limit=_PER_PAGE)
    if run is None:
        made.add(said(words("no_such_run"), "warn"))
        return made
    rows: list[list[Any]] = [
        [words("status"), status_cell(run["status"], words)],
        [words("who"), run["user_id"]],
        [words("created"), moment(run["created_at"])],
        [words("finished"), moment(run["finished_at"])],
        [words("cases"), number_cell(run["n_cases"])],
        [words("errors_by_code"), errors_text(run["errors"])],
        [words("run_error"), " ".join(filter(None, (run["error_code"], run["error_detail"])))],
        [words("calls"), number_cell(run["n_calls"])],
        ["USD", number_cell(float(run["cost_usd"]), 4)],
        ["Dagster", dagster_link(context, run["dagster_run_id"])],
        *([name, str(value)] for name, value in sorted(run["config"].items()) if value is not None),
    ]
    made.add(heading(f"{words('run')} {run_id}"))
    made.add(table("run", [words("what"), words("value")], rows, words, caption=words("about_run")))
    if run["baseline"]:
        pair = view.link("compare", a=f"run:{run['baseline']}", b=f"run:{run_id}")
        made.add(paragraph(link(words("with_baseline", run=run["baseline"]), pair)))
    made.add(*_aggregates(context, run["aggregates"]))
    made.add(*_cases(context, run, cases))
    return made


def _aggregates(context: Context, aggregates: Mapping[str, Any]) -> list[object]:
    words = context.words
    metrics = aggregates.get("metrics", aggregates)
    rows: list[list[Any]] = [
        [Cell(join([name, metric_help(name, words)]), name), metric_cell(metric, words)]
        for name, metric in sorted(metrics.items())
        if isinstance(metric, Mapping) and "n_expected" in metric
    ]
    if not rows:
        return []
    columns: list[Col | str] = [words("measure"), Col(words("value"), numeric=True)]
    return [table("run-metrics", columns, rows, words, caption=words("metrics"))]


def _cases(
    context: Context, run: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]
) -> list[object]:
    from rag_bench.dashboard.page.parts import metric_col, pager
    from rag_bench.dashboard.texts import shown

    words = context.words
    results = [case["result"] or {} for case in cases]
    texts = iter(
        shown(
            context,
            [
                text
                for case, result in zip(cases, results, strict=True)
                for text in (
                    str(case["given"].get("question") or ""),
                    str(result.get("llm_answer") or ""),
                    "; ".join(
                        f"{e['code']}: {e.get('detail') or ''}" for e in result.get("errors") or ()
                    ),
                )
            ],
        )
    )
    rows: list[list[Any]] = []
    for case, result in zip(cases, results, strict=True):
        state = (
            "case_waits"
            if case["result"] is None
            else "case_failed"
            if case["errored"]
            else "case_done"
        )
        question, answer, errors = next(texts), next(texts), next(texts)
        scores = [number_cell(result.get(name)) for name in reading.AT_THE_CASE]
        flags = ", ".join(str(flag) for flag in result.get("flags") or ())
        rows.append([case["case_id"], words(state), question, answer, *scores, errors, flags])
    columns: list[Col | str] = [words(t) for t in ("question_id", "status", "question", "answer")]
    columns += [metric_col(name, words) for name in reading.AT_THE_CASE]
    columns += [words("errors_by_code"), words("flags")]
    return [
        table("run-cases", columns, rows, words, caption=words("cases")),
        pager(context.view, run["n_cases"], _PER_PAGE, words),
    ]
