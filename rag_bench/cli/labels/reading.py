"""``rag-bench label``: files out and in, agreement, calibration, plans, users' ratings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from rag_bench.cli.app import console, open_engine
from rag_bench.cli.labels.drawing import _DEFAULT, Annotator, AsJson, Metric, checked_metric, label
from rag_bench.cli.service.access import note, operator, printer
from rag_bench.errors import ConfigurationError, RagBenchError
from rag_bench.settings import get_settings

Out = Annotated[Path, typer.Option("--out", "-o", help="The file; .jsonl or .csv.")]


@label.command()
def sheet(
    draw_id: Annotated[int, typer.Argument(metavar="DRAW")],
    out: Out,
    annotator: Annotator = "",
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Texts with personal data as they are.")
    ] = False,
) -> None:
    """Write a spreadsheet of a draw's cases to fill in; `label import` reads it."""
    from rag_bench.evaluation.people.measures import measure_of
    from rag_bench.source.label_files import COLUMNS, SHOWN, write_csv
    from rag_bench.store.labels.draws import get_draw
    from rag_bench.store.labels.listing import sheet as rows_of

    engine, who = open_engine(), annotator or operator()
    rows = list(rows_of(engine, get_draw(engine, draw_id), who, unmasked=unmasked))
    columns = [one for one in (*SHOWN, *COLUMNS) if one in rows[0]]
    _write(out, write_csv(rows, columns))
    with engine.begin() as connection:
        note(connection, f"label sheet{' unmasked' if unmasked else ''}", None)
    said = measure_of(rows[0]["metric"]).said
    typer.echo(f"{len(rows)} cases for {who}: {out}. Fill in the column value: {said}, or ?.")


@label.command("export")
def export_labels(
    out: Out,
    metric: Annotated[str, typer.Option(help="Of this metric only.")] = "",
    history: Annotated[
        bool, typer.Option("--history", help="Every label that was ever given.")
    ] = False,
) -> None:
    """Write labels as CSV or JSONL; `label import` reads them back, nothing is lost."""
    from rag_bench.source.label_files import write_labels
    from rag_bench.store.labels.labels import current_labels, label_history

    engine, name = open_engine(), checked_metric(metric) if metric else None
    read = label_history if history else current_labels
    found = read(engine, metric=name)
    if out.suffix not in (".csv", ".jsonl"):
        raise ConfigurationError(f"--out: {out.name} ends neither in .csv nor in .jsonl.")
    _write(out, write_labels(found, out.suffix.removeprefix(".")))
    typer.echo(f"{len(found)} labels: {out}.")


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise RagBenchError(f"{out} cannot be written: {error.strerror}.") from None


@label.command("import")
def import_labels(
    files: Annotated[list[Path], typer.Argument(help="CSV or JSONL.")],
    annotator: Annotated[str, typer.Option(help="Of rows that name none.")] = "",
    kind: Annotated[str, typer.Option(help="person or model, of rows that do not say.")] = "person",
    metric: Annotated[str, typer.Option(help="What is labelled, of rows that name none.")] = "",
) -> None:
    """Store the labels of files: all, or of a file with a fault none. What is there stays once."""
    from rag_bench.source.label_files import Defaults, located, read_labels
    from rag_bench.store.labels.labels import LabelError, add_labels

    if kind not in ("person", "model"):
        raise ConfigurationError(f"--kind is person or model, not {kind!r}.")
    name = checked_metric(metric) if metric else None
    placed = read_labels(files, Defaults(annotator or None, kind, metric=name))
    engine = open_engine()
    try:
        with engine.begin() as connection:
            stored = add_labels(connection, [one.label for one in placed])
            note(connection, "label import", None)
    except LabelError as error:
        raise located(error, placed) from None
    there = len(placed) - stored
    typer.echo(f"{stored} labels stored" + (f", {there} were there already." if there else "."))


@label.command()
def agreement(
    draw_id: Annotated[int, typer.Argument(metavar="DRAW")], as_json: AsJson = False
) -> None:
    """Show how annotators of a draw agree, and which cases are to be settled."""
    from rag_bench.store.labels.agreeing import standing
    from rag_bench.store.labels.draws import get_draw

    engine = open_engine()
    found = standing(engine, get_draw(engine, draw_id))
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=1))
        return
    if not found.pairs:
        typer.echo("No case has labels of two annotators: their agreement is not known.")
        return
    table = Table(title=f"Agreement, draw {draw_id}", title_justify="left")
    for name in ("annotators", "measure", "value", "95 % interval", "cases"):
        table.add_column(name)
    for pair, measures in found.pairs.items():
        for name, metric in measures.items():
            table.add_row(" and ".join(pair), name, *_figures(metric.to_json()))
    if found.alpha is not None and len(found.labels) > 2:
        table.add_row("all", "alpha", *_figures(found.alpha.to_json()))
    printer().print(table)
    for one in found.to_settle:
        said = ", ".join(f"{name} {value:g}" for name, value in one.said.items())
        console.print(
            f"To settle: {one.case_id} ({said}): rag-bench label settle {draw_id} "
            f"{one.case_id} VALUE",
            highlight=False,
            markup=False,
        )


def _figures(metric: Mapping[str, Any]) -> tuple[str, str, str]:
    value, low, high = metric["value"], metric["ci_low"], metric["ci_high"]
    between = "–" if low is None or high is None else f"{low:.3f} to {high:.3f}"
    return ("–" if value is None else f"{value:.3f}", between, str(metric["n_scored"]))


@label.command()
def calibration(
    metric: Metric = _DEFAULT,
    judge: Annotated[str, typer.Option(help="Only of this judge.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show how well judges follow people's labels, in all, by model and by language."""
    from rag_bench.store.labels.calibrating import calibrations

    found = [
        one
        for one in calibrations(open_engine(), checked_metric(metric))
        if judge in ("", one.judge)
    ]
    if as_json:
        for one in found:
            typer.echo(json.dumps(one.as_json(), ensure_ascii=False))
        return
    if not found:
        typer.echo(
            "No judge scored an answer that people labelled. rag-bench label draw EVALUATION draws "
            "answers to label."
        )
    for one in found:
        table = Table(title=f"{one.judge}, {one.metric}", title_justify="left")
        for name in ("of", "measure", "value", "95 % interval", "answers"):
            table.add_column(name)
        for group, measures in one.shown():
            for name, value in measures.items():
                table.add_row(group, name, *_figures(value.to_json()))
        printer().print(table)
        for line in one.notes():
            console.print(line, highlight=False, markup=False)


@label.command()
def corrected(
    metric: Metric = _DEFAULT,
    tier: Annotated[str, typer.Option(help="2 or 3.")] = "3",
    settings: Annotated[str, typer.Option(help="A settings hash; empty: the newest.")] = "",
    run: Annotated[str, typer.Option(help="Of a run of the service instead, by its id.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show models' scores by each judge, raw and corrected by people's labels."""
    from rag_bench.store.evaluations import find_settings_hash, newest_settings_hash
    from rag_bench.store.labels.judged import corrections, corrections_of_run

    engine, name = open_engine(), checked_metric(metric)
    if run:
        found = corrections_of_run(engine, run, name).found
        title = f"{name}, run {run}"
    else:
        chosen = find_settings_hash(engine, settings) if settings else newest_settings_hash(engine)
        if chosen is None:
            raise RagBenchError("No model was measured yet: rag-bench benchmark measures.")
        found = corrections(engine, chosen, tier, name).found
        title = f"{name}, tier {tier}, settings {chosen[:12]}"
    if as_json:
        for (model, judge), one in found.items():
            row = {"generation_model": model, "judge": judge, **one.as_json()}
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    table = Table(title=title, title_justify="left")
    for name in ("model", "judge", "raw", "corrected", "good, raw", "good, corrected", "how"):
        table.add_column(name, overflow="fold")
    for (model, judge), one in found.items():
        words = str(one.method or one.reason or "").replace("_", " ")
        how = f"{words}, {one.n_labels} labels"
        table.add_row(
            model,
            judge,
            *(
                "–" if m is None else " ".join(_figures(m.to_json())[:2])
                for m in (one.raw_mean, one.mean, one.raw_good, one.good)
            ),
            "; ".join([how, *one.marks]),
        )
    printer().print(table)


@label.command()
def plan(
    evaluation: Annotated[int, typer.Argument(help="Of answers or of scores.")],
    metric: Metric = _DEFAULT,
    more: Annotated[int, typer.Option(min=1, help="Labels to come.")] = 50,
    within: Annotated[
        float | None,
        typer.Option(min=0.001, help="Also: how many give the corrected mean to ± this."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what more labels of an evaluation's answers would narrow."""
    from rag_bench.store.labels.planning import plan as plan_of

    plans = plan_of(open_engine(), evaluation, checked_metric(metric), more, within)
    if as_json:
        for one in plans:
            typer.echo(json.dumps(one.as_json(), ensure_ascii=False))
        return
    table = Table(title=f"With {more} more labels", title_justify="left")
    for name in ("judge", "of", "width now", "then", "remark"):
        table.add_column(name, overflow="fold")
    for one in plans:
        for narrowing in one.narrowings:
            remark = "assumes a judge that is right in 85 %" if narrowing.assumed else ""
            now = "–" if narrowing.now is None else f"{narrowing.now:.3f}"
            table.add_row(
                one.judge, narrowing.what.replace("_", " "), now, f"{narrowing.then:.3f}", remark
            )
        if one.n_missing:
            table.add_row(one.judge, "corrected score", "–", "–", f"needs {one.n_missing} more")
        elif within is not None:
            needed = (
                "labels of all answers do not: more questions"
                if one.n_wanted is None
                else f"{one.n_wanted} labels in all"
            )
            table.add_row(one.judge, f"corrected mean to ±{within:g}", "–", "–", needed)
    printer().print(table)
    if not plans:
        typer.echo("No benchmark judge scored these answers.")


@label.command()
def users(as_json: AsJson = False) -> None:
    """Show who rates answers in production, and how rated answers differ from others."""
    from rag_bench.reporting.details.who_rates import who_rates

    found = who_rates(open_engine(), get_settings())
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=1))
        return
    for line in found.lines():
        console.print(line, highlight=False, markup=False)
    table = Table(title="Rated answers beside all others", title_justify="left")
    for name in ("measure", "rated", "n", "others", "n ", "difference", "95 % interval"):
        table.add_column(name, overflow="fold")
    for one in found.contrasts:
        table.add_row(
            one.measure.replace("_", " "),
            _three(one.rated.value),
            f"{one.rated.n_scored:,} of {one.rated.n_expected:,}",
            _three(one.others.value),
            f"{one.others.n_scored:,} of {one.others.n_expected:,}",
            _three(one.difference),
            "–" if one.ci_low is None else f"{one.ci_low:.3f} to {one.ci_high:.3f}",
        )
    printer().print(table)
    table = Table(title="How often each kind of answer is rated", title_justify="left")
    for name in ("by", "group", "answers", "rated", "share rated", "95 % interval"):
        table.add_column(name, overflow="fold")
    for row in found.groups:
        low, high = row.interval
        table.add_row(
            row.by,
            row.group,
            f"{row.n:,}",
            f"{row.n_rated:,}",
            f"{row.share:.3f}",
            "–" if low is None else f"{low:.3f} to {high:.3f}",
        )
    printer().print(table)


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
