"""``rag-bench target``: live assistants that are measured, and what is understood of a reply."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from rag_bench.cli.app import app, open_engine, uncut
from rag_bench.errors import CaseError, ConfigurationError, RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.llm.config.providers import Provider, Providers
    from rag_bench.llm.config.targets import Target
    from rag_bench.llm.transport.call import Answer
    from rag_bench.store.snapshots import ChunkRecord
    from rag_bench.tiers.answers.targets.target_contexts import Resolved

target_app = typer.Typer(help="Live assistants that are measured as they are.")
app.add_typer(target_app, name="target")

_QUESTION = "Как получить справку?"
_SHOWN = 100  # characters of a context
_ANSWER_SHOWN = 1_000


@target_app.command("list")
def list_targets() -> None:
    """List the assistants that the environment names. Asks nobody."""
    providers = _providers()
    found = [p for name in providers.names if (p := providers.provider(name)).target is not None]
    if not found:
        typer.echo(
            "No target is configured. Name one, for example "
            "TARGET_DESK_URL=https://help.example.org/api/ask, and see docs/targets.md."
        )
        return
    table = Table(box=None, pad_edge=False)
    for column in ("target", "asked at", "answer", "contexts", "ids", "headers", "at once", "s"):
        table.add_column(column)
    settings = get_settings()
    for provider in found:
        target = provider.require_target()
        table.add_row(
            target.key,
            f"{target.method} {target.url}",
            target.answer,
            target.contexts or "–",
            target.ids or "–",
            ", ".join(target.headers) or "–",
            str(provider.concurrency),
            f"{provider.timeout_seconds or settings.call_timeout_seconds:g}",
        )
    # Wide enough for addresses, also where the output goes into a file.
    uncut(210).print(table)


@target_app.command()
def check(
    name: Annotated[str, typer.Argument(help="The target's name, with or without target/.")],
    question: Annotated[
        str, typer.Option(help="What is asked; empty: the first question of the dataset.")
    ] = "",
) -> None:
    """Ask an assistant one question and show what is understood of its reply."""
    from rag_bench.llm.config.targets import PREFIX
    from rag_bench.llm.reading.target_reply import understand
    from rag_bench.tiers.answers.targets.target_contexts import Resolver

    providers = _providers()
    key = PREFIX + name.removeprefix(PREFIX).lower()
    provider, _ = providers.split(key)
    target = provider.require_target()
    engine = open_engine()
    chunks = _chunks(engine)
    asked = question or _first_question(engine) or _QUESTION
    typer.echo(f"{target.key}: {target.method} {target.url}")
    typer.echo(f"question: {asked}")
    try:
        answer = asyncio.run(_ask(engine, provider, asked))
    except CaseError as error:
        raise RagBenchError(_in_words(key, provider, error)) from None
    stored = json.loads(answer.content)
    understood = understand(target, stored)
    kind = f"{len(stored['events'])} events" if "events" in stored else "JSON"
    latency = "unknown" if answer.latency_ms is None else f"{answer.latency_ms / 1000:.2f} s"
    typer.echo(f"status: {answer.status}, {kind}, {latency}")
    if understood.answer is not None:
        shown = understood.answer.strip()
        typer.echo(f"answer: {shown[:_ANSWER_SHOWN]}{'…' if len(shown) > _ANSWER_SHOWN else ''}")
    if not target.names_contexts:
        typer.echo(
            f"contexts: not read; name where they are, for example "
            f"{target.variable('CONTEXTS')}=/sources/*/text"
        )
    elif chunks:
        _show_contexts(Resolver(chunks, target.similarity).resolve(understood.contexts), target)
    else:
        typer.echo(
            f"contexts: {len(understood.contexts)} named; no dump is loaded to find them in "
            "(rag-bench load-dump)"
        )
    for what, problem in understood.problems.items():
        typer.echo(f"correct {target.variable(what)}: {problem}")
    if "ANSWER" in understood.problems:
        raise RagBenchError(f"No answer was understood; correct {target.variable('ANSWER')}.")
    typer.echo(f"Next: rag-bench sweep --generation-models {target.key} …")


async def _ask(engine: Engine, provider: Provider, question: str) -> Answer:
    """Ask now, whatever the ledger holds; the call is recorded as every other."""
    import uuid

    from rag_bench.assembly import open_models
    from rag_bench.llm.wires.target import TargetWire

    target = provider.require_target()
    async with open_models(get_settings(), engine) as models:
        body = target.request(question, f"a check, {uuid.uuid4()}")
        async with models.chat_models.case("target_check", "check"):
            return await models.chat_models.ask(provider, TargetWire(target), "target_check", body)


def _show_contexts(resolved: Sequence[Resolved], target: Target) -> None:
    lost = [one for one in resolved if one.by == "nothing"]
    found = len(resolved) - len(lost)
    typer.echo(f"contexts: {len(resolved)} named, {found} found in the snapshot")
    for number, one in enumerate(resolved, start=1):
        typer.echo(f"  {number}. {_how(one, target)}")
        text = one.named.text or one.named.reference or ""
        line = " ".join(text.split())
        typer.echo(f"     {line[:_SHOWN]}{'…' if len(line) > _SHOWN else ''}")
    if lost:
        typer.echo(
            "What was not found is counted, and judges read its text; it is no relevant chunk. Is "
            "the loaded dump that of the assistant? Names of chunks go by "
            f"{target.variable('IDS')}, and {target.variable('SIMILARITY')} sets how alike a text "
            f"must be (now {target.similarity:g})."
        )


def _how(one: Resolved, target: Target) -> str:
    places = ", ".join(f"{chunk.page_url} (chunk {chunk.source_id})" for chunk in one.chunks)
    said = {
        "hash": f"by its hash: {places}",
        "id": f"by its id: {places}",
        "text": f"by its text: {places}",
        "similarity": f"by similarity {one.similarity}: {places}",
        "page": f"by its page, not which part of it: {one.page}",
        "nothing": "not found"
        + (f"; the nearest text is alike by {one.similarity}" if one.similarity else ""),
    }
    return said[one.by]


def _in_words(key: str, provider: Provider, error: CaseError) -> str:
    from rag_bench.tiers.base.causes import most_frequent

    address = {provider.name: provider.base_url or ""}
    cause = most_frequent([(error.code, error.detail)], [key], address)
    return f"{key} gave no answer: {error.code}, {cause}"


def _providers() -> Providers:
    from rag_bench.cli.app import errors
    from rag_bench.llm.config.providers import Providers

    providers = Providers.from_environment()
    for note in providers.notes:
        if note.startswith("TARGET_"):
            errors.print(f"note: {note}", highlight=False)
    return providers


def _chunks(engine: Engine) -> Sequence[ChunkRecord]:
    from rag_bench.store import snapshots

    try:
        return snapshots.chunks_of(engine, snapshots.require_current(engine).sha256)
    except RagBenchError:
        return ()


def _first_question(engine: Engine) -> str | None:
    """Return the first question of the dataset that a run would take."""
    from rag_bench.store import datasets, snapshots
    from rag_bench.tiers.base.bench import resolve_dataset

    items: list[Any] = []
    with suppress(ConfigurationError, RagBenchError):
        snapshot = snapshots.require_current(engine)
        dataset = resolve_dataset(engine, snapshot, None, None)
        items = datasets.items_of(engine, dataset.id, 1)
    return items[0].question if items else None
