"""Group source: the dump, and the two tables taken from it. No model is asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from rag_bench.assets.factories.declare import asset
from rag_bench.assets.factories.describe import table
from rag_bench.assets.factories.tables import column_schema
from rag_bench.errors import DumpError, RagBenchError
from rag_bench.hashing import content_hash
from rag_bench.resources import DatabaseResource
from rag_bench.settings import get_settings

if TYPE_CHECKING:
    from rag_bench.store.snapshots import LoadReport

GROUP = "source"


def _left_out(report: Mapping[str, Any], *names: str) -> dict[str, dg.MetadataValue]:
    """Return what of these tables was left out or could not be read, if anything was."""
    rows = [
        [name, what, found["count"], found["reason"], ", ".join(found["examples"])]
        for name in names
        for what, key in (("row left out", "left_out"), ("value absent", "unread_values"))
        for found in report.get("tables", {}).get(name, {}).get(key, [])
    ]
    return {"left_out": table(["table", "what", "count", "why", "first"], rows)} if rows else {}


def _notes(report: Mapping[str, Any]) -> dict[str, dg.MetadataValue]:
    """Return the snapshot's notes for people."""
    warnings = report.get("warnings", [])
    return {"notes": table(["note"], [[text] for text in warnings])} if warnings else {}


class DumpConfig(dg.Config):
    """Which data to load; nothing: the newest file of the dumps folder that was never loaded,
    or else the snapshot that is current already.
    """

    path: str | None = Field(default=None, description="A dump: plain SQL, custom or tar archive.")
    squad_files: list[str] = Field(
        default=[],
        description="SQuAD-format JSON files to import instead (paragraph = chunk), with their "
        "questions as the default dataset.",
    )
    beir_folder: str | None = Field(
        default=None,
        description="A BEIR collection to import instead: corpus.jsonl, queries.jsonl, qrels/.",
    )
    beir_split: str = Field(default="test", description="Whose judgements: qrels/<split>.tsv.")


@asset(group_name=GROUP, kinds={"postgres", "sql"}, code_version="1")
def dump(
    context: dg.AssetExecutionContext, config: DumpConfig, database: DatabaseResource
) -> dg.MaterializeResult:
    """The production database's dump, read (never executed) into an immutable snapshot.

    Only `chunk` and `question_answer` are taken. The data version is the file's sha256, so a
    rerun on the same file changes nothing. A bad dump that was asked for by its path fails here
    and leaves the last good snapshot current; one that only lies in the dumps folder is set
    aside, which `set_aside` says, and the last good one goes on.
    """
    from rag_bench.source.load import (
        SetAside,
        import_beir,
        import_squad,
        load_dump,
        load_newest,
        reuse_snapshot,
    )
    from rag_bench.store import snapshots

    engine = database.engine
    aside: list[SetAside] = []
    found: LoadReport | None = None
    if sum(map(bool, (config.path, config.squad_files, config.beir_folder))) > 1:
        raise RagBenchError("Give one of path, squad_files and beir_folder.")
    if config.beir_folder:
        found, _ = import_beir(engine, Path(config.beir_folder), config.beir_split)
    elif config.squad_files:
        found, _ = import_squad(engine, [Path(name) for name in config.squad_files])
    elif config.path:
        found = load_dump(engine, Path(config.path))
    else:
        found, aside = load_newest(engine, get_settings().dumps)
    for file in aside:
        context.log.warning(f"set aside: {file.reason}")
    if found is not None:
        report = found
    elif current := snapshots.current_snapshot(engine):
        report = reuse_snapshot(engine, current.sha256)
    elif aside:
        raise DumpError(f"No file of the dumps folder can be taken. {aside[0].reason}")
    else:
        raise DumpError(
            f"No dump to load: {get_settings().dumps} has no file that was not loaded before, and "
            "no snapshot is current. Put a dump there, give its path in the run config, or run "
            "`rag-bench load-dump PATH`."
        )
    info = report.snapshot
    metadata: dict[str, dg.MetadataValue | str | int | bool] = {
        "name": info.name,
        "kind": info.kind,
        "sha256": info.sha256,
        "size_bytes": info.size_bytes,
        "n_chunks": info.n_chunks,
        "n_questions": info.n_questions,
        "loaded_before": report.reused,
        "report": dg.MetadataValue.json(info.report),
    }
    metadata |= _notes(info.report)
    metadata |= _left_out(info.report, "chunk", "question_answer")
    if aside:
        metadata["set_aside"] = table(
            ["file", "why"], [[f.path.name, f.reason.removeprefix(f"{f.path}: ")] for f in aside]
        )
    if report.diff is not None:
        diff = report.diff.to_json()
        metadata |= {
            "chunks_added": diff["added"],
            "chunks_removed": diff["removed"],
            "chunks_changed": diff["changed"],
            "changes": dg.MetadataValue.json(diff),
        }
    return dg.MaterializeResult(data_version=dg.DataVersion(info.sha256), metadata=metadata)


@asset(group_name=GROUP, kinds={"postgres", "table"}, deps=[dump], code_version="1")
def chunk(database: DatabaseResource) -> dg.MaterializeResult:
    """The knowledge base: chunks of the current snapshot, addressed by page and text.

    The data version is the hash of their content. A nightly reindex that renumbers every
    `chunk.id` therefore leaves everything downstream valid.
    """
    from rag_bench.store import snapshots
    from rag_bench.store.public_names import masked

    snapshot = snapshots.require_current(database.engine)
    rows = snapshots.chunks_of(database.engine, snapshot.sha256)
    lengths = sorted(len(row.text) for row in rows)
    texts = masked(database.engine, [row.text for row in rows[:8]])
    return dg.MaterializeResult(
        data_version=dg.DataVersion(snapshot.corpus_hash),
        metadata={
            "dagster/row_count": len(rows),
            **column_schema("chunk"),
            "n_pages": len({row.page_url for row in rows}),
            "median_characters": lengths[len(lengths) // 2],
            "longest_characters": lengths[-1],
            "snapshot": snapshot.sha256,
            **_left_out(snapshot.report, "chunk"),
            "preview": table(
                ["page", "id in dump", "text"],
                [
                    [row.page_url, row.source_id, text]
                    for row, text in zip(rows[:8], texts, strict=True)
                ],
            ),
        },
    )


@asset(group_name=GROUP, kinds={"postgres", "table"}, deps=[dump], code_version="1")
def question_answer(database: DatabaseResource) -> dg.MaterializeResult:
    """What real users asked and what production answered. May be empty: then it says no data."""
    from rag_bench.store import snapshots
    from rag_bench.store.traffic import rating_scale

    snapshot = snapshots.require_current(database.engine)
    rows = snapshots.questions_of(database.engine, snapshot.sha256)
    metadata: dict[str, dg.MetadataValue | str | int | float] = {
        "dagster/row_count": len(rows),
        **column_schema("question_answer"),
        "snapshot": snapshot.sha256,
        **_left_out(snapshot.report, "question_answer"),
    }
    if rows:
        answered = sum(bool(row.answer and row.answer.strip()) for row in rows)
        scores = [row.score for row in rows if row.score is not None]
        scale = rating_scale(database.engine, snapshot.sha256)
        metadata |= {
            "distinct_questions": len({row.question for row in rows}),
            "users": len({row.user_id for row in rows if row.user_id is not None}),
            "with_answers_rate": answered / len(rows),
            "scored_questions": len(scores),
            "rating_scale": scale.name,
            **({"ratings": scale.note} if scale.note else {}),
            "score_distribution": dg.MetadataValue.json(
                {str(score): scores.count(score) for score in sorted(set(scores))}
            ),
        }
    else:
        metadata["note"] = "no data: the dump holds no questions of users"
    version = content_hash([[r.source_id, r.question, r.answer, r.score] for r in rows])
    return dg.MaterializeResult(data_version=dg.DataVersion(version), metadata=metadata)


ASSETS = [dump, chunk, question_answer]
