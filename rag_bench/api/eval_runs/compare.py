"""`GET /eval/compare`: two runs or evaluations, paired case by case."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import JSONResponse

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.eval_runs.seen import sees_cases, sides_as_seen
from rag_bench.api.problems import Code, Located, Problem
from rag_bench.errors import ConfigurationError
from rag_bench.evaluation.paired.words import MARGIN, Word
from rag_bench.privacy.given_names import masked_json
from rag_bench.settings import get_settings
from rag_bench.store.eval_runs import reading
from rag_bench.store.public_names import masked_given

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.reporting.compared.policy import Policy
    from rag_bench.reporting.compared.sides import Side

_log = logging.getLogger(__name__)
#: Of a comparison, what may hold words beside its cases: chunks and prompts, reasons.
_TEXTS = ("inputs", "gate")
Which = Annotated[str, StringConstraints(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]

_EXAMPLE: dict[str, Any] = {
    "a": {"kind": "run", "id": "01935f2a7c3e7b5f9d0a4c1e2b3a4d5e", "n_cases": 240},
    "b": {"kind": "run", "id": "01935f2a7c3e7b5f9d0a4c1e2b3a4d5f", "n_cases": 240},
    "verdict": "got worse",
    "n_pairs": 240,
    "n_pages": 80,
    "n_tests": 1,
    "metrics": [
        {
            "metric": "ragas_faithfulness",
            "verdict": "got worse",
            "a": 0.85,
            "b": 0.77,
            "difference": -0.08,
            "ci_low": -0.11,
            "ci_high": -0.06,
            "margin": 0.05,
            "p_adjusted": 0.0001,
            "minimum_detectable": 0.04,
        }
    ],
    "inputs": [{"name": "generation_model", "a": "ollama/llama3.1:8b", "b": "ollama/qwen3:8b"}],
    "n_worse": 40,
    "worse": [
        {"case_id": "q6", "metric": "ragas_faithfulness", "a": 0.8, "b": 0.3, "difference": -0.5}
    ],
    "next_offset": None,
}


class AskedComparison(BaseModel):
    """What is compared with what, and how strictly."""

    model_config = ConfigDict(extra="forbid")

    a: Which = Field(
        description="The earlier or trusted one: a run's id, a settings hash, a dump's sha256, or "
        "the beginning of one; an evaluation's number; or a generation model, alone or with `@` "
        "and a settings hash. `run:…`, `evaluation:…`, `model:…`, `settings:…` and `dump:…` say "
        "which is meant."
    )
    b: Which = Field(description="What is compared with it, named in the same way.")
    metric: list[Name] = Field(
        [], max_length=50, description="Only these. P is adjusted over all that are compared."
    )
    margin: float = Field(
        MARGIN, gt=0, le=1, description="What may be lost, as a part of each metric's scale."
    )
    higher: list[Name] = Field(
        [], max_length=50, description="Metrics of your own of which more is better."
    )
    lower: list[Name] = Field([], max_length=50, description="Those of which less is better.")
    gate: bool = Field(
        False,
        description="Also say whether `b` may be released instead of `a`, by the rules of "
        "RAG_BENCH_GATE: the field `gate` of the reply. Nothing is asked again for it.",
    )
    limit: int = Field(50, ge=1, le=1000, description="At most so many cases of each list.")
    offset: int = Field(0, ge=0, le=1_000_000, description="Where each list of cases begins.")


class Comparison(BaseModel):
    """A comparison of b with a, for the description; nothing is sent through it."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": _EXAMPLE})

    verdict: Word = Field(description="The worst of the metrics'.")
    n_pairs: int = Field(description="Cases that both have.")
    n_pages: int = Field(description="Pages that these are of: the independent evidence.")
    metrics: list[dict[str, Any]] = Field(description="By metric; docs/compare.md has the fields.")
    inputs: list[dict[str, Any]] = Field(description="What differs in what both were made with.")
    worse: list[dict[str, Any]] = Field(description="Scores of cases that fell, by metric.")
    better: list[dict[str, Any]] = Field(description="Scores of cases that rose.")
    unpaired: list[dict[str, Any]] = Field(description="Cases and scores of one side, and why.")
    next_offset: int | None = Field(description="Where the next page of these lists begins.")


def router(engine: Engine) -> APIRouter:
    """Return the endpoint over one database."""
    made = APIRouter(prefix="/eval", tags=["runs"])

    @made.get("/compare", responses={200: {"model": Comparison}}, summary="Two runs, case by case")
    def compare_two(
        request: Request,
        asked: Annotated[AskedComparison, Query()],
        caller: Annotated[Principal, needs(Scope.READ)],
    ) -> JSONResponse:
        """Difference of each metric with interval, p and a verdict of three words: *got worse*,
        *no worse than the margin*, *cannot tell*; what differs in the inputs; the cases that got
        worse and better; those that only one side has. Personal data is masked, but where the
        caller sent the cases of both sides, and for who may `admin`.
        """
        from rag_bench.reporting.compared.comparing import (
            ContradictionError,
            Terms,
            UnknownMetricError,
            compare,
        )
        from rag_bench.reporting.compared.sides import NothingToCompareError

        asked_of = {"metric": asked.metric, "higher": asked.higher, "lower": asked.lower}
        terms = Terms(
            metrics=asked.metric or None,
            margin=asked.margin,
            higher=asked.higher,
            lower=asked.lower,
        )
        try:
            found = compare(engine, asked.a, asked.b, terms)
        except NothingToCompareError as error:
            code = Code.INVALID_INPUT if error.several else Code.NOT_FOUND
            where = Located(str(error), parameter=error.side)
            raise Problem(code, str(error), errors=[where]) from None
        except (UnknownMetricError, ContradictionError) as error:
            named = [one for one in ("metric", "higher", "lower") if error.metric in asked_of[one]]
            where = Located(str(error), parameter=named[0])
            raise Problem(Code.INVALID_INPUT, str(error), errors=[where]) from None
        if found.b.kind == "run":
            request.state.asked.run_id = found.b.id
        as_it_is = all(_sees(engine, caller, side) for side in (found.a, found.b))
        seen = None if as_it_is else partial(sides_as_seen, engine)
        said = found.as_json(limit=asked.limit, offset=asked.offset, seen=seen)
        if asked.gate:
            from rag_bench.reporting.compared.gate import gated

            verdict = gated(engine, found.a, found.b, _rules()).as_json()
            said["gate"] = {name: verdict[name] for name in verdict if name != "compared"}
        if not as_it_is:
            mask = partial(masked_given, engine)
            said |= {name: masked_json(said[name], mask) for name in _TEXTS if name in said}
        return JSONResponse(said)

    return made


def _rules() -> Policy:
    """Return the gate's rules; a file that cannot be one is told, but for where it is."""
    from rag_bench.reporting.compared.policy import rules

    settings = get_settings()
    try:
        return rules(settings)
    except ConfigurationError as error:
        _log.exception("The gate's rules cannot be read.")
        why = str(error).replace(str(settings.gate), "RAG_BENCH_GATE")
        raise Problem(Code.INTERNAL_ERROR, f"The gate has no rules to go by. {why}") from None


def _sees(engine: Engine, caller: Principal, side: Side) -> bool:
    if Scope.ADMIN in caller.scopes:
        return True
    if side.kind != "run":
        return False
    with engine.connect() as connection:
        row = reading.get(connection, side.id)
    return row is not None and sees_cases(row, caller)
