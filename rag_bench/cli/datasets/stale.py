"""``rag-bench dataset stale``: the queue of gold answers whose chunk has changed."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli.app import open_engine
from rag_bench.cli.datasets.group import AsJson, dataset_app, dataset_named
from rag_bench.errors import RagBenchError

if TYPE_CHECKING:
    from rag_bench.store.stale.decisions import Verdict

stale_app = typer.Typer(
    help="Items whose chunk the current snapshot lacks: confirm, replace or retire them.",
    no_args_is_help=True,
)
dataset_app.add_typer(stale_app, name="stale")

Dataset = Annotated[
    str, typer.Option(help="Name, id or its beginning; empty: the one that runs use.")
]
Ids = Annotated[list[str], typer.Argument(help="Items, by their ids.")]
Why = Annotated[str, typer.Option(help="Kept with the decision.")]


@stale_app.command("list")
def list_stale(
    dataset: Dataset = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Those that were decided about, too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the items that wait for somebody, with what changed in their chunk."""
    from rag_bench.tiers.datasets.stale import stale_items

    engine = open_engine()
    found = dataset_named(engine, dataset)
    queue = stale_items(engine, found)
    shown = [one for one in queue if everything or one.decision is None]
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in shown], ensure_ascii=False, indent=2))
        return
    typer.echo(f"{found}: {len(shown)} of {len(queue)} shown")
    for one in shown:
        said = f" [{one.decision.decision}]" if one.decision else ""
        typer.echo(f"\n{one.item.item_id}{said}: {one.item.question}")
        typer.echo(f"  answer: {one.item.reference_answer or '–'}")
        if one.before is None:
            typer.echo("  its chunk was in no dump that was loaded here")
        elif one.after is None:
            typer.echo(f"  {one.before.page_url}: nothing on the page is like it any more")
        else:
            typer.echo(f"  {one.after.page_url}, {one.similarity} % alike: {one.difference}")


@stale_app.command("confirm")
def confirm(
    ids: Annotated[list[str] | None, typer.Argument(help="Items, by their ids.")] = None,
    at_least: Annotated[
        float | None,
        typer.Option(help="Instead of ids: all whose chunk is so much alike.", min=60, max=100),
    ] = None,
    chunk: Annotated[
        str, typer.Option(help="The hash of the chunk that answers now; empty: its successor.")
    ] = "",
    dataset: Dataset = "",
    why: Why = "",
) -> None:
    """Say that the gold answer still holds: the item names the chunk's successor from now on."""
    from rag_bench.tiers.datasets.stale import stale_items

    chosen = list(ids or [])
    if (at_least is None) == (not chosen):
        raise RagBenchError("Name items, or say --at-least 95 for all that are so much alike.")
    if at_least is not None:
        engine = open_engine()
        waiting = [
            one for one in stale_items(engine, dataset_named(engine, dataset)) if not one.decision
        ]
        alike = {one.item.item_id for one in waiting if (one.similarity or 0) >= at_least}
        unlike = {one.item.item_id for one in waiting if (one.similarity or 0) < at_least}
        chosen = sorted(alike - unlike)
        if not chosen:
            typer.echo(f"no item waits whose chunks are {at_least:g} % alike")
            return
    _decide(chosen, "confirm", dataset, chunk=chunk, why=why)


@stale_app.command("replace")
def replace(
    item: Annotated[str, typer.Argument(help="An item, by its id.")],
    answer: Annotated[str, typer.Option(help="The gold answer that holds now.")] = "",
    chunk: Annotated[str, typer.Option(help="The hash of the chunk that answers now.")] = "",
    dataset: Dataset = "",
    why: Why = "",
) -> None:
    """Give an item a new gold answer, another chunk, or both."""
    _decide([item], "replace", dataset, chunk=chunk, answer=answer, why=why)


@stale_app.command("retire")
def retire(ids: Ids, dataset: Dataset = "", why: Why = "") -> None:
    """Leave items out of the next version; its record names them."""
    _decide(ids, "retire", dataset, why=why)


def _decide(
    ids: list[str],
    decision: Verdict,
    dataset: str,
    *,
    chunk: str = "",
    answer: str = "",
    why: str = "",
) -> None:
    from rag_bench.tiers.datasets.stale import record

    engine = open_engine()
    found = dataset_named(engine, dataset)
    made = record(
        engine,
        found,
        ids,
        decision,
        chunk_hash=chunk or None,
        answer=answer or None,
        why=why or None,
        who=os.environ.get("BENCHMARK_RUN_AUTHOR"),
    )
    items = dict.fromkeys(one.item_id for one in made)
    typer.echo(
        f"{decision}: {', '.join(items)}. `rag-bench dataset stale apply` makes the version."
    )


@stale_app.command("apply")
def apply_decisions(
    dataset: Dataset = "",
    default: Annotated[
        bool, typer.Option("--default", help="Make it the current snapshot's default dataset.")
    ] = False,
) -> None:
    """Store a new version in which what was decided holds; the rest is carried as it is."""
    from rag_bench.tiers.datasets.stale import apply

    engine = open_engine()
    done = apply(engine, dataset_named(engine, dataset), default=default)
    typer.echo(
        f"dataset {done.dataset}: {len(done.confirmed)} confirmed, {len(done.replaced)} replaced, "
        f"{len(done.retired)} retired, {len(done.open)} still open"
    )
