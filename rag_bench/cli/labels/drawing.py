"""``rag-bench label``: what can be labelled, guidelines, draws, labelling case by case."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rag_bench.cli.app import app, console, open_engine
from rag_bench.cli.service.access import note, operator, printer
from rag_bench.errors import ConfigurationError, RagBenchError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.labels.draws import Draw

label = typer.Typer(
    help="People's labels of evaluated answers (docs/labels.md). Asks no model.",
    no_args_is_help=True,
)
app.add_typer(label, name="label")

_DEFAULT = "rubric_e2e_quality"
Metric = Annotated[
    str, typer.Option(help="What is labelled: rubric_e2e_quality, ragas_faithfulness, …")
]
Annotator = Annotated[str, typer.Option(help="Who labels; without it who gives the command.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def checked_metric(metric: str) -> str:
    """Return the name of what is labelled.

    Raises:
        ConfigurationError: there is nothing of this name to label.
    """
    from rag_bench.evaluation.people.measures import measure_of

    try:
        return measure_of(metric).metric
    except ValueError as error:
        raise ConfigurationError(f"--metric: {error}.") from None


@label.command()
def evaluations(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 30,
    metric: Metric = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List the evaluations whose answers can be labelled, newest first, and by whom they are; with
    `--metric predicted_show` those that hold production judges' verdicts.
    """
    from rag_bench.evaluation.people.measures import measure_of
    from rag_bench.store.labels.listing import labelable_evaluations

    verdicts = measure_of(checked_metric(metric)).source == "gate"
    rows = labelable_evaluations(open_engine(), limit, verdicts=verdicts)
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row, ensure_ascii=False, default=str))
        return
    table = Table(title="Evaluations of answers", title_justify="left")
    for name in ("id", "tier", "model", "answers", "drawn", "labelled", "judges", "run"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            str(row["id"]),
            row["tier"],
            row["generation_model"],
            str(row["n_answers"]),
            str(row["n_drawn"]),
            str(row["n_labelled"]),
            ", ".join(row["judges"]) or "–",
            row["run"] or "–",
        )
    printer().print(table)


@label.command()
def guideline(
    name: Annotated[str, typer.Argument(help="Its name; a rubric's for the judge's own.")] = "",
    file: Annotated[Path | None, typer.Option(help="Its text, which is kept as a version.")] = None,
    version: Annotated[int | None, typer.Option(min=1, help="Of this version.")] = None,
) -> None:
    """Show a guideline, list all, or keep a text as a new version of one."""
    from rag_bench.evaluation.people.guidelines import judge_guideline
    from rag_bench.store.labels.guidelines import get_guideline, guidelines, keep_guideline

    engine = open_engine()
    if not name:
        for one in guidelines(engine):
            typer.echo(f"{one.name} {one.version}: {one.text.splitlines()[0][:80]}")
        return
    if file is not None:
        text = _read(file)
        with engine.begin() as connection:
            kept = keep_guideline(connection, name, text, operator())
            note(connection, "label guideline", None)
        typer.echo(f"Guideline {kept} is kept.")
        return
    found = get_guideline(engine, name, version)
    if found is not None:
        typer.echo(f"{found}\n\n{found.text}")
        return
    try:
        typer.echo(f"{name}: not kept yet; draws keep what the judge is told:\n")
        typer.echo(judge_guideline(name))
    except ValueError:
        raise RagBenchError(f"There is no guideline {name!r}; --file keeps one.") from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RagBenchError(f"{file} cannot be read: {error}.") from None


@label.command()
def draw(
    evaluation: Annotated[
        list[str], typer.Argument(help="Evaluations of answers or scores, or runs of the service.")
    ],
    metric: Metric = _DEFAULT,
    size: Annotated[int, typer.Option(min=1, help="Cases of each evaluation or run.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed draws the same questions.")] = 0,
    annotator: Annotated[
        list[str] | None, typer.Option(help="Who labels; may be given several times.")
    ] = None,
    shared: Annotated[
        int | None, typer.Option(min=0, help="Cases that all annotators label; without it: all.")
    ] = None,
    guideline: Annotated[
        str, typer.Option(help="Its name; without it what the judge is told.")
    ] = "",
    purpose: Annotated[
        str, typer.Option(help="check; or tune: prompts may be tuned on it, it checks no judge.")
    ] = "check",
) -> None:
    """Draw cases at random from evaluations, for people to label."""
    from rag_bench.store.labels.draws import draw_of_all, evaluations_named

    if purpose not in ("check", "tune"):
        raise ConfigurationError(f"--purpose is check or tune, not {purpose!r}.")
    name, engine = checked_metric(metric), open_engine()
    kept = kept_guideline(engine, guideline or name)
    for one in evaluation:
        with engine.begin() as connection:
            drawn = draw_of_all(
                engine,
                evaluations_named(engine, one, name),
                name,
                kept,
                size=size,
                seed=seed,
                annotators=annotator or (),
                n_shared=shared,
                purpose="tune" if purpose == "tune" else "check",
                user_id=operator(),
                connection=connection,
            )
            note(connection, "label draw", None)
        for made in drawn:
            console.print(
                f"Draw {made.id}: {made.size} of {made.n_cases} answers of evaluation "
                f"{made.evaluation_id}, by {name}, guideline {kept}."
                + (f" All label {made.n_shared} of them." if len(made.annotators) > 1 else ""),
                highlight=False,
            )
    console.print(
        "Label them: rag-bench label next DRAW, the dashboard (Judge Comparison, Labels), or "
        "rag-bench label sheet DRAW and label import.",
        highlight=False,
    )


def kept_guideline(engine: Engine, name: str) -> Any:
    """Return the newest version of a guideline; of a metric what its judge is told now.

    Raises:
        RagBenchError: there is none.
    """
    from rag_bench.evaluation.people.guidelines import judge_guideline, labelled_metrics
    from rag_bench.store.labels.guidelines import get_guideline, keep_guideline

    if name in labelled_metrics():
        with engine.begin() as connection:
            return keep_guideline(connection, name, judge_guideline(name), operator())
    found = get_guideline(engine, name)
    if found is None:
        raise RagBenchError(
            f"There is no guideline {name!r}: rag-bench label guideline {name} --file FILE keeps "
            "one."
        )
    return found


@label.command()
def draws(as_json: AsJson = False) -> None:
    """List draws, newest first, and how far they are labelled."""
    from rag_bench.store.labels.agreeing import standing
    from rag_bench.store.labels.draws import draws as all_draws

    engine = open_engine()
    found = [standing(engine, one) for one in all_draws(engine)]
    if as_json:
        for one in found:
            typer.echo(json.dumps(one.as_json(), ensure_ascii=False))
        return
    table = Table(title="Draws", title_justify="left")
    for name in ("draw", "evaluation", "metric", "guideline", "cases", "labelled", "to settle"):
        table.add_column(name, overflow="fold")
    for one in found:
        drawn = one.draw
        who = ", ".join(f"{name} {len(cases)}" for name, cases in one.labels.items())
        table.add_row(
            f"{drawn.id}{' (tune)' if drawn.purpose == 'tune' else ''}",
            str(drawn.evaluation_id),
            drawn.metric,
            f"{drawn.guideline} {drawn.guideline_version}",
            str(drawn.size),
            f"{one.n_labelled}{f' ({who})' if who else ''}",
            str(len(one.to_settle)),
        )
    printer().print(table)


@label.command("next")
def next_case(
    draw_id: Annotated[int, typer.Argument(metavar="DRAW", help="Of `label draws`.")],
    annotator: Annotator = "",
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Texts with personal data as they are.")
    ] = False,
) -> None:
    """Show the next case without a label; in a terminal, ask for labels until `q`."""
    from rag_bench.evaluation.people.measures import measure_of
    from rag_bench.store.labels.draws import get_draw
    from rag_bench.store.labels.labelling import progress

    engine, who = open_engine(), annotator or operator()
    made = get_draw(engine, draw_id)
    case = progress(engine, made, who).next_after()
    while case is not None:
        _show(engine, made, case, unmasked)
        if not sys.stdin.isatty():
            typer.echo(f"Label it: rag-bench label add {draw_id} {case} VALUE --annotator {who}")
            return
        asked = f"{measure_of(made.metric).said}; ? could not tell, s skip, q quit"
        said = typer.prompt(asked).strip()
        if said == "q":
            return
        try:
            if said != "s":
                _store(engine, made, case, said, who, "")
        except ConfigurationError as error:  # a slip of the finger ends no session
            typer.echo(str(error))
            continue
        case = progress(engine, made, who).next_after(case)
    typer.echo(f"{who} has labelled all of draw {draw_id}.")


@label.command()
def add(
    draw_id: Annotated[int, typer.Argument(metavar="DRAW")],
    case: Annotated[str, typer.Argument(help="The case's id.")],
    value: Annotated[str, typer.Argument(help="On the scale of the metric, or ?.")],
    annotator: Annotator = "",
    note_text: Annotated[str, typer.Option("--note", help="In the annotator's words.")] = "",
) -> None:
    """Store a label of a drawn case; it supersedes an earlier one of the same annotator."""
    from rag_bench.store.labels.draws import get_draw

    engine, who = open_engine(), annotator or operator()
    _store(engine, get_draw(engine, draw_id), case, value, who, note_text)
    typer.echo(f"{who}: {case} is labelled {value}.")


@label.command()
def settle(
    draw_id: Annotated[int, typer.Argument(metavar="DRAW")],
    case: Annotated[str, typer.Argument(help="The case's id.")],
    value: Annotated[str, typer.Argument(help="What is decided.")],
    annotator: Annotator = "",
    note_text: Annotated[str, typer.Option("--note", help="Why.")] = "",
) -> None:
    """Decide a case on which annotators differ; `label agreement` lists them."""
    from rag_bench.store.labels.draws import get_draw

    engine, who = open_engine(), annotator or operator()
    _store(engine, get_draw(engine, draw_id), case, value, who, note_text, settles=True)
    typer.echo(f"{who}: {case} is settled as {value}.")


def _store(
    engine: Engine,
    made: Draw,
    case: str,
    value: str,
    who: str,
    words: str,
    *,
    settles: bool = False,
) -> None:
    from rag_bench.evaluation.people.measures import measure_of
    from rag_bench.store.labels.labelling import label_case

    measure = measure_of(made.metric)
    number = None if value == "?" else measure.value_of(value)
    if value != "?" and number is None:
        raise ConfigurationError(
            f"A label by {made.metric} is {measure.said}, or ?, not {value!r}."
        )
    with engine.begin() as connection:
        label_case(connection, made, case, number, who, note=words, settles=settles)
        note(connection, "label settle" if settles else "label add", None)


def _show(engine: Engine, made: Draw, case: str, unmasked: bool) -> None:
    from rag_bench.store.labels.labelling import case_to_label
    from rag_bench.store.public_names import masked

    one = case_to_label(engine, made, case)
    titles = ["question", "reference answer", *["context"] * len(one.contexts), "answer"]
    texts = [one.question, one.reference, *one.contexts, one.answer]
    shown = texts if unmasked else masked(engine, texts)
    typer.echo(f"\nCase {case}")
    for title, text in zip(titles, shown, strict=True):
        if text:
            typer.echo(f"\n-- {title}\n{text}")
    typer.echo("")
