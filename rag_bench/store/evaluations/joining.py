"""What was measured, joined: every triple of models, and what its numbers were made with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam, select, text

from rag_bench.hashing import content_hash
from rag_bench.store.evaluations.records import StoredEvaluation, stored
from rag_bench.store.tables import evaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Triple(NamedTuple):
    """Models that were measured together; a role without any result is None."""

    generation_model: str
    benchmark_judge_model: str | None
    production_judge_model: str | None


def measured_triples(engine: Engine, settings_hash: str) -> list[Triple]:
    """Return the models of `model_runs`, whose metrics are tens of megabytes in a big sweep."""
    query = text(
        "select generation_model, benchmark_judge_model, production_judge_model "
        "from rag_bench.model_runs where settings_hash = :hash"
    )
    with engine.connect() as connection:
        return [Triple(*row) for row in connection.execute(query, {"hash": settings_hash}).all()]


def joined(
    engine: Engine, settings_hash: str, *, up_to: int | None = None
) -> list[StoredEvaluation]:
    """Return what `model_runs` joins under one settings hash: of every model or pair of models the
    newest result, if it is of the answers that are there now. ``up_to``: as it was when this
    evaluation was the newest.
    """
    columns = evaluation.c
    what = (
        *(columns.tier, columns.kind, columns.generation_model),
        *(columns.benchmark_judge_model, columns.production_judge_model),
    )
    query = (
        select(evaluation)
        .distinct(*what)
        .where(columns.settings_hash == settings_hash, columns.status.in_(["succeeded", "partial"]))
        .order_by(*what, columns.id.desc())
    )
    if up_to is not None:
        query = query.where(columns.id <= up_to)
    with engine.connect() as connection:
        found = [stored(row) for row in connection.execute(query)]
    answers = {
        (one.tier, one.generation_model): one.inputs.get("answers_hash")
        for one in found
        if one.kind == "answers"
    }

    def counts(one: StoredEvaluation) -> bool:
        if one.generation_model is None or one.kind == "answers":
            return True
        answered = (one.tier, one.generation_model)
        return answered in answers and answers[answered] == one.inputs.get("answers_hash")

    return [one for one in found if counts(one)]


def version_of_all(engine: Engine, settings_hash: str) -> str:
    """Return the address of all that `joined` gives, made of their `StoredEvaluation.version`."""
    return content_hash(sorted(one.version for one in joined(engine, settings_hash)))


def different_instruments(
    engine: Engine, settings_hash: str, instruments: Mapping[str, Collection[tuple[str, str]]]
) -> dict[str, list[str]]:
    """Return, by what was measured, the models whose newest results another instrument made.

    The instrument is what the newest evaluation of the kind was made with: the dataset of pairs,
    the sample of triples, RAGAS' prompts, language and version. ``instruments`` are the tiers and
    kinds that one instrument measures, by its name.
    """
    found: dict[str, list[str]] = {}
    with engine.connect() as connection:
        for what, measured in instruments.items():
            rows = connection.execute(
                text(
                    "select distinct on (tier, kind, generation_model, benchmark_judge_model, "
                    "production_judge_model) id, concat_ws(' by ', generation_model, "
                    "coalesce(benchmark_judge_model, production_judge_model)) as models, "
                    "jsonb_build_array(dataset_id, prompt_hash, inputs -> 'sample_hash', "
                    "inputs -> 'ragas_language', inputs -> 'ragas_version') as instrument "
                    "from rag_bench.evaluation "
                    "where settings_hash = :hash and status in ('succeeded', 'partial') "
                    "and (tier, kind) in :measured order by tier, kind, generation_model, "
                    "benchmark_judge_model, production_judge_model, id desc"
                ).bindparams(bindparam("measured", expanding=True)),
                {"hash": settings_hash, "measured": sorted(measured)},
            ).all()
            if not rows:
                continue
            newest = max(rows, key=lambda row: row.id)
            unlike = [row.models for row in rows if row.instrument != newest.instrument]
            if unlike:
                found[what] = list(dict.fromkeys(unlike))
    return found
