"""What was measured: health with the current snapshot, datasets, model runs, the leaderboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.problems import Code, Problem
from rag_bench.errors import RagBenchError
from rag_bench.provenance import version
from rag_bench.reporting import leaderboard
from rag_bench.store import datasets, evaluations, snapshots
from rag_bench.store.public_names import masked_given

if TYPE_CHECKING:
    from sqlalchemy import Engine

# The models describe what is sent; nothing is sent through them, so that no field is lost.
_HASH = "9f2c4e7a1b3d"


class Health(BaseModel):
    """The version and the current snapshot."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"status": "ok", "version": "0.2.0", "snapshot": "3a7bd3e2"}}
    )

    status: str
    version: str
    snapshot: str | None = Field(description="SHA-256 of the file; null: nothing was loaded.")


class Dataset(BaseModel):
    """A stored set of questions."""

    id: str
    name: str
    kind: str = Field(description="manual, synthetic, squad, show_hide or traffic")
    n_items: int


class Datasets(BaseModel):
    """All stored datasets, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "datasets": [{"id": "5e1f", "name": "gold", "kind": "manual", "n_items": 60}]
            }
        }
    )

    datasets: list[Dataset]


class ModelRuns(BaseModel):
    """Every triple of models with its metrics under one settings hash."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "settings_hash": _HASH,
                "model_runs": [
                    {
                        "generation_model": "simulator/sim-strong",
                        "benchmark_judge_model": "simulator/sim-judge",
                        "production_judge_model": "simulator/sim-gate",
                        "dataset_id": "5e1f",
                        "settings_hash": _HASH,
                        "metrics": {
                            "tier_3": {
                                "rougeL_f": {"value": 0.41, "n_scored": 60, "n_expected": 60}
                            }
                        },
                    }
                ],
            }
        }
    )

    settings_hash: str | None
    model_runs: list[dict[str, Any]]


class Leaderboard(BaseModel):
    """The triples of models, best first, and what their order rests on."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "settings_hash": _HASH,
                "rows": [
                    {
                        "rank": 1,
                        "generation_model": "simulator/sim-strong",
                        "benchmark_judge_model": "simulator/sim-judge",
                        "production_judge_model": "simulator/sim-gate",
                        "metrics": {},
                    }
                ],
            }
        },
    )

    settings_hash: str
    rows: list[dict[str, Any]]


Wanted = Annotated[
    str | None,
    Query(
        alias="settings_hash",
        max_length=200,
        pattern=r"^[^\x00]*$",  # PostgreSQL takes no NUL
        description="Of which settings: the hash or its beginning; none: the newest measured.",
        examples=[_HASH],
    ),
]


def router(engine: Engine) -> APIRouter:
    """Return the endpoints of results over one database."""
    made = APIRouter(tags=["results"], dependencies=[needs(Scope.READ)])

    @made.get("/health", responses={200: {"model": Health}}, summary="Version and snapshot")
    def health() -> JSONResponse:
        snapshot = snapshots.current_snapshot(engine)
        sha256 = snapshot.sha256 if snapshot else None
        return JSONResponse({"status": "ok", "version": version(), "snapshot": sha256})

    @made.get("/datasets", responses={200: {"model": Datasets}}, summary="Stored datasets")
    def list_datasets(caller: Annotated[Principal, needs(Scope.READ)]) -> JSONResponse:
        """Personal data in a name is masked, but for who may `admin`; its id is the dataset's."""
        found = datasets.list_datasets(engine)
        names = [one.name for one in found]
        if Scope.ADMIN not in caller.scopes:
            names = masked_given(engine, names)
        told = [{**vars(one), "name": name} for one, name in zip(found, names, strict=True)]
        return JSONResponse({"datasets": told})

    @made.get("/model_runs", responses={200: {"model": ModelRuns}}, summary="Triples of models")
    def model_runs(wanted: Wanted = None) -> JSONResponse:
        """An empty list where nothing was measured."""
        settings = _settings(engine, wanted)
        rows = evaluations.model_runs(engine, settings or "")
        return JSONResponse({"settings_hash": settings, "model_runs": rows})

    @made.get("/leaderboard", responses={200: {"model": Leaderboard}}, summary="Best models first")
    def board(wanted: Wanted = None) -> JSONResponse:
        """404 where nothing was measured."""
        settings = _settings(engine, wanted)
        try:
            found = leaderboard.build(engine, settings)
        except RagBenchError:
            raise Problem(
                Code.NOT_FOUND,
                "Nothing was measured under these settings. `rag-bench sweep` measures; "
                "/model_runs without a settings hash names the newest.",
            ) from None
        return JSONResponse(found.as_json())

    return made


def _settings(engine: Engine, wanted: str | None) -> str | None:
    # What nothing was measured under is an empty list, not an error.
    if not wanted:
        return evaluations.newest_settings_hash(engine)
    try:
        return evaluations.find_settings_hash(engine, wanted) or wanted
    except RagBenchError:
        raise Problem(
            Code.NOT_FOUND, "Several settings hashes begin like this; write more of it."
        ) from None
