"""Commands that bring data in: dumps, SQuAD files, datasets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rag_bench.cli.app import app, check_stage, console, open_engine, open_sweep
from rag_bench.errors import RagBenchError
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.snapshots import SnapshotInfo


@app.command("load-dump")
def load_dump(
    path: Annotated[Path | None, typer.Argument(help="The dump: SQL, custom or tar.")] = None,
    dump: Annotated[Path | None, typer.Option("--dump", help="The same as PATH.")] = None,
    drop_tables_only: Annotated[
        bool,
        typer.Option(
            "--drop-tables-only",
            help="Make no snapshot current. Snapshots and results are kept, nothing is deleted.",
        ),
    ] = False,
) -> None:
    """Load a database dump (the newest of the dumps folder without PATH) and make it current."""
    from rag_bench.source.load import newest_unloaded
    from rag_bench.store import snapshots

    if path and dump and path != dump:
        raise RagBenchError(f"PATH is {path} and --dump is {dump}; name one dump.")
    path = path or dump
    engine = open_engine()
    if drop_tables_only:
        if path:
            raise RagBenchError("--drop-tables-only takes no PATH.")
        cleared = snapshots.clear_current(engine)
        typer.echo("no snapshot is current now" if cleared else "no snapshot was current")
        return
    before = snapshots.current_snapshot(engine)
    # Who asks for a load is told that the newest file is bad; a job would set it aside and go on.
    path = path or newest_unloaded(engine, get_settings().dumps)
    config = {"path": str(path.absolute())} if path else {}
    result = open_sweep().materialize("load-dump", _SOURCE, ops={"dump": config})
    check_stage(result)
    _describe(engine, before)


@app.command("import-squad")
def import_squad(
    files: Annotated[list[Path], typer.Argument(help="SQuAD-format JSON files.")],
) -> None:
    """Import SQuAD-format JSON: paragraphs as chunks, questions as the default dataset."""
    from rag_bench.store import snapshots

    engine = open_engine()
    before = snapshots.current_snapshot(engine)
    config = {"squad_files": [str(path.absolute()) for path in files]}
    result = open_sweep().materialize("import-squad", _SOURCE, ops={"dump": config})
    check_stage(result)
    _describe(engine, before)


@app.command("import-beir")
def import_beir(
    folder: Annotated[
        Path, typer.Argument(help="A folder with corpus.jsonl, queries.jsonl and qrels/.")
    ],
    split: Annotated[str, typer.Option(help="Whose judgements: qrels/<split>.tsv.")] = "test",
) -> None:
    """Import a BEIR collection: documents as chunks, judged queries as the default dataset."""
    from rag_bench.store import snapshots

    engine = open_engine()
    before = snapshots.current_snapshot(engine)
    config = {"beir_folder": str(folder.absolute()), "beir_split": split}
    check_stage(open_sweep().materialize("import-beir", _SOURCE, ops={"dump": config}))
    _describe(engine, before)


@app.command("import-dataset")
def import_dataset(
    path: Annotated[
        Path, typer.Argument(help="JSON, JSONL or CSV: questions, or show/hide pairs.")
    ],
    name: Annotated[str, typer.Option(help="Default: the file's name.")] = "",
    default: Annotated[
        bool, typer.Option("--default", help="Make it the current snapshot's default dataset.")
    ] = False,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field", help="What a field is to be read as: question=ticket_text. Repeatable."
        ),
    ] = None,
) -> None:
    """Import gold questions or labelled show/hide pairs for the current snapshot."""
    from rag_bench.source.question_files.importing import import_contents, places_of
    from rag_bench.source.question_files.row_files import content_of
    from rag_bench.strict_json.places import InvalidInput

    files, fields = [(path, content_of(path))], _fields(field or [])
    engine = open_engine()
    try:
        found = import_contents(engine, files, name or path.stem, fields=fields, default=default)
    except RagBenchError as error:
        places = places_of(error, files)
        if not any(one.line for one in places):
            raise
        detail = "Nothing was imported: the file cannot be read as it is."
        raise InvalidInput(detail, places) from None
    console.print(f"dataset {found.dataset}", highlight=False)
    bound = f", for {found.bound}" if found.bound else ""
    typer.echo(f"{found.read.summary}{bound}")
    for report in found.read.understood:
        read = ", ".join(f"{theirs}: {ours}" for theirs, ours in report["fields"].items())
        typer.echo(f"read as {report['form']}; {read}")
    for note in found.read.notes:
        typer.echo(f"note: {note}")


def _fields(given: list[str]) -> dict[str, str]:
    """Return what is to be read as what, by the file's own names."""
    found: dict[str, str] = {}
    for one in given:
        ours, separator, theirs = one.partition("=")
        if not separator or not ours.strip() or not theirs.strip():
            raise RagBenchError(f"--field is {one!r}; it can be question=ticket_text.")
        found[theirs] = ours
    return found


@app.command("import-aliases")
def import_aliases_of(
    path: Annotated[
        Path, typer.Argument(help="CSV with the columns alias and chunk, or JSON of them.")
    ],
) -> None:
    """Store what clients call chunks of the current snapshot, for runs of the service."""
    from rag_bench.eval_runs.intake.aliases import import_aliases, of_text

    try:
        content = path.read_bytes()
    except OSError as error:
        raise RagBenchError(f"{path} cannot be read: {error.strerror or error}.") from None
    given = of_text(content, path.name, get_settings())
    with open_engine().begin() as connection:
        saved = import_aliases(connection, given, None)
    typer.echo(f"{saved.added} added, {saved.changed} changed, {saved.unchanged} unchanged")


@app.command("datasets")
def list_datasets() -> None:
    """List the stored datasets, newest first."""
    from rag_bench.store import datasets

    for found in datasets.list_datasets(open_engine()):
        typer.echo(f"{found.id[:12]}  {found.kind:<9}  {found.n_items:>6}  {found.name}")


@app.command("build-demo")
def build_demo() -> None:
    """Build the demo's dump from the corpus in data/ into the dumps folder."""
    from rag_bench.demo.dump import build_demo_dump
    from rag_bench.store.embedded import EmbeddedServer

    settings = get_settings()
    server = EmbeddedServer(settings.home)
    server.start()
    built = build_demo_dump(settings.data_dir, settings.dumps, server)
    state = "unchanged" if built.reused else "built"
    typer.echo(
        f"{built.path.name} {state}: {built.n_chunks} chunks, "
        f"{built.n_questions} questions of users"
    )


_SOURCE = ("dump", "chunk", "question_answer")


def _describe(engine: Engine, before: SnapshotInfo | None) -> None:
    from rag_bench.store import datasets, snapshots

    snapshot = snapshots.require_current(engine)
    typer.echo(
        f"snapshot {snapshot.sha256[:12]} ({snapshot.name}): {snapshot.n_chunks} chunks, "
        f"{snapshot.n_questions} questions of users"
    )
    if before and before.sha256 != snapshot.sha256:
        old, new = (snapshots.chunks_of(engine, info.sha256) for info in (before, snapshot))
        diff = snapshots.diff_chunks(old, new).to_json()
        typer.echo(
            f"chunks against the snapshot before: {diff['added']} added, {diff['removed']} "
            f"removed, {diff['changed']} changed"
        )
    for warning in snapshot.report.get("warnings", []):
        typer.echo(f"note: {warning}")
    if snapshot.default_dataset_id:
        found = datasets.get_dataset(engine, snapshot.default_dataset_id)
        typer.echo(f"default dataset: {found}")
