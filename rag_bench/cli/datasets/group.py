"""``rag-bench dataset diff`` and ``health``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rag_bench.cli.app import app, console, open_engine
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.datasets import DatasetInfo

dataset_app = typer.Typer(
    help="Versions of a dataset, what it can still tell, and gold answers gone stale.",
    no_args_is_help=True,
)
app.add_typer(dataset_app, name="dataset")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_SHOWN = 10


def dataset_named(engine: Engine, reference: str) -> DatasetInfo:
    """Return a dataset by name, id or its beginning; the one that runs use if none is named.

    Raises:
        RagBenchError: there is none.
    """
    from rag_bench.store import datasets, snapshots
    from rag_bench.tiers.base.bench import resolve_dataset

    if not reference:
        return resolve_dataset(engine, snapshots.require_current(engine), None, None)
    found = datasets.find_dataset(engine, reference)
    if found is None:
        known = ", ".join(str(one) for one in datasets.list_datasets(engine)[:5]) or "none"
        raise RagBenchError(f"There is no dataset {reference!r}. The newest are: {known}.")
    return found


@dataset_app.command("diff")
def diff(
    before: Annotated[str, typer.Argument(help="A dataset: name, id or its beginning.")],
    after: Annotated[str, typer.Argument(help="Another version of it.")],
    as_json: AsJson = False,
) -> None:
    """Say which items two versions of a dataset do not share, and which they changed."""
    from rag_bench.evaluation.datasets.diff import diff_items
    from rag_bench.store import datasets

    engine = open_engine()
    first, second = dataset_named(engine, before), dataset_named(engine, after)
    found = diff_items(datasets.items_of(engine, first.id), datasets.items_of(engine, second.id))
    if as_json:
        named = {"before": first.id, "after": second.id}
        typer.echo(json.dumps({**named, **found.as_json()}, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{first}\n{second}")
    typer.echo(
        f"{len(found.added)} added, {len(found.removed)} removed, {len(found.changed)} changed, "
        f"{found.n_same} the same" + (f", {found.n_renamed} renamed" if found.n_renamed else "")
    )
    for sign, items in (("+", found.added), ("-", found.removed)):
        for one in items[:_SHOWN]:
            typer.echo(f"{sign} {one.item_id}: {one.question}")
        _more(len(items))
    for change in found.changed[:_SHOWN]:
        typer.echo(f"~ {change.after}: {change.question}")
        for name, (old, new) in change.fields.items():
            typer.echo(f"    {name}: {_text(old)} → {_text(new)}")
    _more(len(found.changed))


def _more(n: int) -> None:
    if n > _SHOWN:
        typer.echo(f"  and {n - _SHOWN} more (--json has all)")


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:199]}…"


@dataset_app.command("health")
def health(
    dataset: Annotated[
        str, typer.Argument(help="Name, id or its beginning; empty: the one that runs use.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Say what a dataset covers, what its questions give away, and what they can still tell.

    Coverage of chunks, pages and topics of real questions; wording that stands in the chunk;
    questions that all models get right or wrong; gold answers whose chunk has changed. Asks no
    model.
    """
    from rag_bench.resources import BenchmarkResource
    from rag_bench.tiers.datasets.health import health_of

    engine = open_engine()
    bench = BenchmarkResource(dataset=dataset_named(engine, dataset).id).open(engine, None)
    found = health_of(bench)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{bench.dataset}, snapshot {bench.snapshot.name}")
    _show_coverage(found["coverage"])
    _show_leaks(found["leakage"])
    _show_telling(found["discrimination"])
    stale = found["stale"]
    typer.echo(
        f"stale: {stale['items']} items name chunks that are gone, {stale['waiting']} wait for "
        "somebody (rag-bench dataset stale list)"
        if stale["items"]
        else "stale: none, every chunk that an item names is there"
    )


def _show_coverage(found: dict[str, Any]) -> None:
    for name in ("chunks", "pages"):
        one = found[name]
        share = "–" if one["share"] is None else f"{one['share']:.0%}"
        gone = f"; {len(one['gone'])} that it names are gone" if one["gone"] else ""
        typer.echo(f"{name}: {one['covered']} of {one['all']} ({share}){gone}")
    topics = found["topics"]
    if topics is None:
        typer.echo("topics: unknown (run `rag-bench analytics`, and a sweep that encodes them)")
        return
    share = topics["traffic_covered"]
    typer.echo(
        f"topics of real questions: {topics['covered']} of {topics['all']}, with "
        f"{'–' if share is None else f'{share:.0%}'} of the traffic"
    )
    missing = [row["topic"] for row in topics["topics"] if not row["questions"]]
    if missing:
        typer.echo(f"  without a question: {'; '.join(missing[:5])}")


def _show_leaks(found: dict[str, Any]) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("language", "overlap of words", "copied", "questions"):
        table.add_column(name)
    for language, one in found["by_language"].items():
        overlap, copied = one["lexical_overlap"]["value"], one["copied_rate"]
        table.add_row(
            language,
            "–" if overlap is None else f"{overlap:.2f}",
            "–" if copied["value"] is None else f"{copied['value']:.0%}",
            str(copied["n_scored"]),
        )
    console.print(table)
    for one in found["copied"][:_SHOWN]:
        typer.echo(f"  copied: {one['id']}: {one['question']}")
    _more(len(found["copied"]))
    if found["withheld"]:
        typer.echo(f"  not measured, as its script marks no words: {found['withheld']}")


def _show_telling(found: dict[str, Any] | None) -> None:
    if found is None:
        typer.echo("what its questions tell is unknown: it was not scored as a whole yet")
        return
    best, ceiling = found["best"]["value"], found["ceiling"]["value"]
    typer.echo(
        f"{len(found['telling'])} questions tell {found['n_models']} models apart; "
        f"{len(found['all_right'])} are right for all, {len(found['all_wrong'])} for none, "
        f"{len(found['unmeasured'])} were scored for fewer than two ({found['by']})"
    )
    if best is not None and ceiling is not None:
        exhausted = ": the set is exhausted, add harder questions" if found["exhausted"] else ""
        typer.echo(
            f"best model: {found['best_model']}, {best:.0%} right; of the best answer to each "
            f"{ceiling:.0%}{exhausted}"
        )


@dataset_app.command("carried")
def carried(
    evaluation: Annotated[int, typer.Argument(help="An evaluation's number.")],
    as_json: AsJson = False,
) -> None:
    """Say which cases of an evaluation were asked anew, and why; the others were carried.

    After a new dump only what retrieves other chunks, or is asked otherwise, costs a call.
    """
    from rag_bench.tiers.datasets.carried import carried_in

    found = carried_in(open_engine(), evaluation)
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False, indent=2))
        return
    against = f"against evaluation {found.before}" if found.before else "the first of its models"
    typer.echo(
        f"evaluation {found.evaluation_id}, {against}: {len(found.carried)} carried, "
        f"{found.n_asked} asked anew"
    )
    for why, ids in found.asked.items():
        more = " …" if len(ids) > _SHOWN else ""
        typer.echo(f"  {why}: {len(ids)} ({', '.join(ids[:_SHOWN])}{more})")
    if found.unrecorded:
        typer.echo(f"  not recorded, as they are of an earlier version: {found.unrecorded}")
