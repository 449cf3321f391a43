"""What replies about runs look like, for the description; nothing is sent through these."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rag_bench.eval_runs.intake.request import EvalCase

_RUN = "01935f2a7c3e7b5f9d0a4c1e2b3a4d5e"
_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

Status = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]

EXAMPLE_SUMMARY: dict[str, Any] = {
    "run_id": _RUN,
    "trace_id": _TRACE,
    "mode": "async",
    "mode_reason": "More than 1000 cases are never waited for.",
    "status": "running",
    "user_id": "anna",
    "n_cases": 1200,
    "counts": {"scored": 480, "failed": 12, "errored": 8, "missing": 700},
    "aggregates": {
        "faithfulness": {
            "value": 0.83,
            "n_scored": 480,
            "n_expected": 500,
            "ci_low": 0.79,
            "ci_high": 0.86,
        }
    },
    "partial": True,
    "estimate": {"seconds_left": 210},
    "links": {"self": f"/eval/runs/{_RUN}"},
}

EXAMPLE_CASE: dict[str, Any] = {
    "case_id": 1,
    "faithfulness": 0.83,
    "answer_relevancy": 0.77,
    "context_precision": 0.92,
    "context_recall": 0.88,
    "llm_answer": "Политика включает доступ, логирование и контроль...",
    "citations_used": ["chunk_001", "chunk_005"],
    "flags": ["missing_chunk"],
    "errors": None,
    "metrics": {"rougeL_f": 0.61},
    "lang": "ru",
    "details": {},
}


class Counts(BaseModel):
    """Cases by what came of them; each is in one of them."""

    model_config = ConfigDict(extra="allow")

    scored: int = Field(description="Measured, and above every threshold that is set.")
    failed: int = Field(description="Measured, and below a threshold.")
    errored: int = Field(description="Something could not be measured.")
    missing: int = Field(description="Not worked on yet.")


class RunSummary(BaseModel):
    """How far a run is, without its cases."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": EXAMPLE_SUMMARY})

    run_id: str
    trace_id: str
    mode: Literal["sync", "async"]
    mode_reason: str | None = Field(description="Why it was waited for or not.")
    status: Status
    user_id: str
    n_cases: int
    counts: Counts
    aggregates: dict[str, Any] = Field(description="Of the cases so far.")
    partial: bool = Field(description="Whether more cases are to come.")
    estimate: dict[str, Any] | None = Field(None, description="What is left; null: not known.")


class Runs(BaseModel):
    """A page of runs, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"runs": [EXAMPLE_SUMMARY], "next_cursor": None}}
    )

    runs: list[RunSummary]
    next_cursor: str | None = Field(description="Of the next page; null: this is the last.")


class Case(BaseModel):
    """What came of one case; a metric that was not measured is null."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": EXAMPLE_CASE})

    case_id: int | str
    faithfulness: float | None
    answer_relevancy: float | None
    context_precision: float | None
    context_recall: float | None
    llm_answer: str | None
    citations_used: list[str] | None
    flags: list[str]
    errors: list[dict[str, Any]] | None


class WholeRun(RunSummary):
    """A run with all its cases; with `dry_run` the calls, tokens and money that it would cost."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                **EXAMPLE_SUMMARY,
                "mode": "sync",
                "mode_reason": "Up to 100 cases are waited for.",
                "status": "succeeded",
                "n_cases": 1,
                "counts": {"scored": 1, "failed": 0, "errored": 0, "missing": 0},
                "partial": False,
                "estimate": None,
                "cases": [EXAMPLE_CASE],
            }
        },
    )

    cases: list[Case]


class Cases(BaseModel):
    """A page of a run's cases, in their order."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"run_id": _RUN, "cases": [EXAMPLE_CASE], "next_cursor": None}
        }
    )

    run_id: str
    cases: list[Case]
    next_cursor: str | None = Field(description="Of the next page; null: this is the last.")


class RunEvent(BaseModel):
    """The data of one server-sent event."""

    model_config = ConfigDict(extra="allow")

    run_id: str
    kind: str
    at: datetime


def request_body() -> dict[str, Any]:
    """Return how `POST /eval/run` describes its body: as JSON, as lines, as a form with a file."""
    line = EvalCase.model_config["json_schema_extra"]["example"]  # type: ignore[index]
    lines = {"type": "string", "description": "A case in JSON on each line."}
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/EvalRequest"}},
            "application/x-ndjson": {
                "schema": lines,
                "example": json.dumps(line, ensure_ascii=False) + "\n",
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary", **lines},
                        "request": {
                            "type": "string",
                            "description": "The other fields of a request, in JSON.",
                        },
                    },
                }
            },
        },
    }
