"""Runs that clients asked the service for: the list, and one of them with its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rag_bench.dashboard.page.parts import Page, heading, join, link, metric_help, paragraph, said
from rag_bench.dashboard.page.tables import (
    Cell,
    Col,
    digits_among,
    long_cell,
    metric_cell,
    number_cell,
    scale_digits,
    shown_page,
    table,
    usd_cell,
)
from rag_bench.dashboard.tabs.common import model_names, moment
from rag_bench.dashboard.texts import as_seen, names_shown
from rag_bench.evaluation.catalogue import known
from rag_bench.store.drafts.sources import source_of_run
from rag_bench.store.eval_runs import reading

if TYPE_CHECKING:
    from rag_bench.dashboard.context import Context

_PER_PAGE = 25
_MODELS = ("generation_model", "judge_model")


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
    labelled = as_seen(context, [run["labels"] for run in found[:_PER_PAGE]])
    rows: list[list[Any]] = [
        [
            Cell(link(run["id"], view.link(run=run["id"])), run["id"]),
            moment(run["created_at"]),
            status_cell(run["status"], words),
            run["user_id"],
            model_names(" · ".join(str(m) for n in _MODELS if (m := run["config"].get(n))), words),
            number_cell(run["n_cases"]),
            errors_text(run["errors"]),
            number_cell(run["n_calls"]),
            usd_cell(float(run["cost_usd"])),
            ", ".join(f"{name}={value}" for name, value in sorted(labels.items())),
        ]
        for run, labels in zip(found[:_PER_PAGE], labelled, strict=True)
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
        page = shown_page(view, run["n_cases"] if run else 0, _PER_PAGE)
        after = (page - 1) * _PER_PAGE - 1
        cases = reading.cases(connection, run_id, wanted, after=after, limit=_PER_PAGE)
    if run is None:
        made.add(said(words("no_such_run"), "warn"))
        return made
    [detail] = names_shown(context, [run["error_detail"] or ""])
    error = " ".join(filter(None, (run["error_code"], detail)))
    config = as_seen(context, run["config"])
    rows: list[tuple[str, Cell]] = [
        (words("status"), status_cell(run["status"], words)),
        (words("who"), Cell(run["user_id"])),
        (words("created"), Cell(moment(run["created_at"]))),
        (words("finished"), Cell(moment(run["finished_at"]))),
        (words("cases"), number_cell(run["n_cases"])),
        (words("errors_by_code"), Cell(errors_text(run["errors"]))),
        (words("run_error"), Cell(error)),
        (words("calls"), number_cell(run["n_calls"])),
        ("USD", usd_cell(float(run["cost_usd"]))),
        ("Dagster", dagster_link(context, run["dagster_run_id"])),
        *(
            (
                name,
                model_names(value, words) if name in _MODELS and value else Cell(_setting(value)),
            )
            for name, value in sorted(config.items())
        ),
    ]
    # A number would stand at the other end of the line, away from its name.
    facts = [[what, replace(cell, numeric=False)] for what, cell in rows if cell.shown != ""]
    made.add(heading(f"{words('run')} {run_id}"))
    made.add(
        table("run", [words("what"), words("value")], facts, words, caption=words("about_run"))
    )
    if run["baseline"]:
        pair = view.link("compare", a=f"run:{run['baseline']}", b=f"run:{run_id}")
        made.add(paragraph(link(words("with_baseline", run=run["baseline"]), pair)))
    made.add(*_aggregates(context, run["aggregates"]))
    made.add(*_cases(context, run, cases))
    return made


def _setting(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
    from rag_bench.dashboard.page.tables import metric_col, pager
    from rag_bench.dashboard.questions.drafts import Putting, names_of_run_cases
    from rag_bench.dashboard.texts import shown

    words, names = context.words, names_of_run_cases(context, cases)
    with context.engine.connect() as connection:
        putting = Putting.of(context, connection, source_of_run(run["id"]), list(names))
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
                        f"{e['code']}: {words.detail(e.get('detail') or '')}"
                        for e in result.get("errors") or ()
                    ),
                )
            ],
        )
    )
    measured = _measured(results)
    digits = {
        name: digits_among(
            (_score(result, name) for result in results),
            scale_digits(spec.scale if (spec := known(name)) else None),
        )
        for name in measured
    }
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
        scores = [number_cell(_score(result, name), digits[name]) for name in measured]
        flags = ", ".join(str(flag) for flag in result.get("flags") or ())
        name = names[case["case_id"]]
        into = putting.cell(case["case_id"], "case", name, possible=bool(question.strip()))
        row = [name, words(state), long_cell(question), into, long_cell(answer)]
        rows.append([*row, *scores, errors, flags])
    shared = ("question_id", "status", "question", "draft_name", "answer")
    columns: list[Col | str] = [words(t) for t in shared]
    columns += [metric_col(name, words) for name in measured]
    columns += [words("errors_by_code"), words("flags")]
    return [
        putting.form({"run": run["id"]}) if cases else None,
        table("run-cases", columns, rows, words, caption=words("cases").capitalize()),
        pager(context.view, run["n_cases"], _PER_PAGE, words),
    ]


def _measured(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what at least one case has a score of: the agreed fields, then the other metrics."""
    others = {name for result in results for name in result.get("metrics") or ()}
    # An agreed field and its metric are one number.
    own = sorted(name for name in others if name.removeprefix("ragas_") not in reading.AT_THE_CASE)
    names = (*reading.AT_THE_CASE, *own)
    return [name for name in names if any(_score(one, name) is not None for one in results)]


def _score(result: Mapping[str, Any], name: str) -> float | None:
    found: float | None = result.get(name)
    return (result.get("metrics") or {}).get(name) if found is None else found
