"""``rag-bench drafts``: cases put together by people, published as a dataset."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from rag_bench.cli.app import app, open_engine
from rag_bench.errors import RagBenchError

drafts = typer.Typer(
    help="Drafts of datasets: put cases together, publish them.", no_args_is_help=True
)
app.add_typer(drafts, name="drafts")

Name = Annotated[str, typer.Argument(help="Of the draft.")]
Dataset = Annotated[
    str, typer.Option("--dataset", help="The case's dataset: id, its beginning, or name.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Everything, for programs.")]


@drafts.command("list")
def list_drafts(as_json: AsJson = False) -> None:
    """List the drafts, the one that was changed last first."""
    from rag_bench.store.drafts.drafts import all_drafts

    with open_engine().connect() as connection:
        found = all_drafts(connection)
    if as_json:
        typer.echo(json.dumps([vars(one) for one in found], default=str, ensure_ascii=False))
        return
    if not found:
        typer.echo(
            "There is no draft. A question's page in the dashboard (tab Questions) puts its case "
            "into one; so does rag-bench drafts add NAME CASE."
        )
    for one in found:
        published = f"published as {one.published_id[:12]}" if one.published_id else "not published"
        typer.echo(f"{one.n_items:>5} cases  {published:<25}  {one.name}")


@drafts.command("show")
def show_draft(
    name: Name,
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Users' words as they are, not masked.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the cases of a draft; users' words are masked."""
    from rag_bench.store.drafts.drafts import items_of
    from rag_bench.store.drafts.shown import words_of

    engine = open_engine()
    with engine.connect() as connection:
        found = items_of(connection, name)
    words = words_of(engine, [one.item for one in found], unmasked=unmasked)
    rows = [
        {
            "id": one.item.item_id,
            "question": question,
            "reference_answer": reference,
            "page_urls": list(one.item.page_urls),
            "from_dataset": one.from_dataset,
            "from_case": one.from_case,
            "added_by": one.added_by,
            "added_at": one.added_at.isoformat(),
        }
        for one, (question, reference) in zip(found, words, strict=True)
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for row in rows:
        typer.echo(f"{row['id']}  {row['question']}")
    typer.echo(f"{len(rows)} cases")


@drafts.command("add")
def add_to_draft(
    name: Name,
    case_id: Annotated[str, typer.Argument(help="The case: its id in its dataset.")],
    dataset: Dataset = "",
) -> None:
    """Put a case of a dataset (default: the current one) into a draft, begun if there is none."""
    from rag_bench.store import datasets, snapshots
    from rag_bench.store.drafts.drafts import add_case

    engine = open_engine()
    found = None
    if dataset:
        found = datasets.find_dataset(engine, dataset)
    elif default := snapshots.require_current(engine).default_dataset_id:
        found = datasets.get_dataset(engine, default)
    if found is None:
        raise RagBenchError(
            f"There is no dataset {dataset!r}; see rag-bench datasets."
            if dataset
            else "No dataset is the current one: say --dataset; see rag-bench datasets."
        )
    with engine.begin() as connection:
        added = add_case(connection, name, found.id, case_id, None)
    typer.echo(
        {
            "added": f"{case_id} is in the draft {added.draft} now",
            "there": f"{case_id} was in the draft {added.draft} already",
            "duplicate": f"{case_id} is left out: {added.item_id} of the draft {added.draft} asks "
            "the same",
        }[added.outcome]
        + f" ({added.n_items} cases)."
    )


@drafts.command("remove")
def remove_from_draft(
    name: Name, case_id: Annotated[str, typer.Argument(help="The case: its id in the draft.")]
) -> None:
    """Take a case out of a draft."""
    from rag_bench.store.drafts.drafts import remove_item

    with open_engine().begin() as connection:
        removed = remove_item(connection, name, case_id)
    typer.echo("taken out" if removed else f"{case_id} was not in it")


@drafts.command("publish")
def publish_draft(
    name: Name,
    default: Annotated[
        bool, typer.Option("--default", help="Make it the current snapshot's default dataset.")
    ] = False,
) -> None:
    """Store a draft as a dataset, addressed by its cases; the draft stays."""
    from rag_bench.store import snapshots
    from rag_bench.store.drafts.drafts import publish

    engine = open_engine()
    found = publish(engine, name)
    if default:
        snapshots.set_default_dataset(
            engine, snapshots.require_current(engine).sha256, found.dataset.id
        )
    typer.echo(f"dataset {found.dataset}{'' if found.new else ', which was there'}")
    typer.echo(f"Next: rag-bench sweep --dataset {found.dataset.id[:12]}")


@drafts.command("drop")
def drop_draft(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a draft with its cases; the datasets that it was published as stay."""
    from rag_bench.store.drafts.drafts import drop, get_draft

    engine = open_engine()
    with engine.connect() as connection:
        found = get_draft(connection, name)
    if not yes:
        typer.confirm(f"Delete the draft {name} of {found.n_items} cases?", abort=True)
    with engine.begin() as connection:
        drop(connection, name)
    typer.echo(f"deleted {name} ({found.n_items} cases)")
