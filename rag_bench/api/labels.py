"""People's labels: `/eval/draws`, `/eval/labels`. Cases are drawn, read blind and labelled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.pages import PROBLEMS
from rag_bench.api.problems import Code, Problem
from rag_bench.api.recording import note
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.people.guidelines import judge_guideline
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.store.labels import agreeing, draws, labels
from rag_bench.store.labels.guidelines import keep_guideline
from rag_bench.store.labels.labelling import (
    case_named,
    case_names,
    case_to_label,
    label_case,
    progress,
)
from rag_bench.store.public_names import masked, masked_given

if TYPE_CHECKING:
    from sqlalchemy import Engine

_GREATEST = 2**53 - 1  # that every reader of JSON keeps exactly
DrawId = Annotated[int, Path(description="Of the draw.", ge=1, le=_GREATEST)]
_RUBRIC = "rubric_e2e_quality"
_Text = r"^[^\x00]*$"


def _only(name: str, kind: str, other: str) -> dict[str, Any]:
    """Return the schema of an object that has one of two and not the other."""
    properties = {name: {"type": kind}, other: {"type": "null"}}
    return {"required": [name], "properties": properties}


class NewDraw(BaseModel):
    """How many cases of which evaluation are drawn, for whom."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"evaluation_id": 12, "size": 100, "annotators": ["anna", "boris"]},
            "oneOf": [
                _only("evaluation_id", "integer", "run_id"),
                _only("run_id", "string", "evaluation_id"),
            ],
        },
    )

    evaluation_id: int | None = Field(
        None,
        ge=1,
        le=_GREATEST,
        description="Of answers, or of scores of them; of a production judge's verdicts. This or "
        "`run_id`.",
    )
    run_id: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=_Text,
        description="A run of the service: all its parts.",
    )
    metric: str = Field(
        _RUBRIC,
        max_length=200,
        description="What is labelled: a rubric's metric, RAGAS' (`ragas_faithfulness`, …), or "
        "`predicted_show`.",
    )
    size: int = Field(100, ge=1, le=100_000)
    seed: int = Field(0, ge=0, le=_GREATEST)
    annotators: list[Annotated[str, Field(min_length=1, max_length=200, pattern=_Text)]] = Field(
        default_factory=list, max_length=50, description="User ids; empty: whoever labels."
    )
    shared: int | None = Field(None, ge=0, le=100_000, description="Cases that all label.")
    purpose: Literal["check", "tune"] = "check"


class DrawnPart(BaseModel):
    """A draw of one of the evaluations that a run's parts are."""

    draw: int
    evaluation_id: int
    n_cases: int
    drawn_from: int


class MadeDraw(BaseModel):
    """A draw that was made; of a run whose parts were several, the first, and `draws` has all."""

    draw: int
    evaluation_id: int = Field(description="Of the answers.")
    metric: str
    guideline: str
    n_cases: int
    drawn_from: int
    values: list[float] = Field(description="What a label can be.")
    draws: list[DrawnPart]


class NextCase(BaseModel):
    """What an annotator reads: neither the model's name nor a verdict. Masked, but for `admin`."""

    case_id: str | None = Field(description="Null: the caller has labelled all of theirs.")
    n_done: int
    n_cases: int
    question: str | None = None
    answer: str | None = None
    reference_answer: str | None = None
    contexts: list[str] = Field(default_factory=list)
    metric: str | None = None
    values: list[float] = Field(default_factory=list, description="What a label can be.")


class GivenLabel(BaseModel):
    """A label of a drawn case by the caller; a later one supersedes an earlier one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"case_id": "q17", "value": 4}}
    )

    case_id: str = Field(min_length=1, max_length=300, pattern=_Text)
    value: float | None = Field(
        ge=0, le=5, description="One of the draw's `values`; null: could not tell."
    )
    note: str | None = Field(None, max_length=10_000, pattern=_Text)
    settles: bool = Field(False, description="Whether it decides what annotators differ on.")


class StoredLabel(BaseModel):
    """A label as it counts now."""

    evaluation_id: int
    case_id: str
    metric: str
    value: float | None
    annotator: str
    annotator_kind: str
    settles: bool
    guideline: str | None
    guideline_version: int | None
    note: str | None
    at: datetime


class Labels(BaseModel):
    """Labels in the order in which they were stored."""

    labels: list[StoredLabel]


class Draws(BaseModel):
    """All draws, newest first: progress, agreement, disputes."""

    draws: list[dict[str, Any]]


class Took(BaseModel):
    """What was stored."""

    draw: int
    case_id: str
    annotator: str


def router(engine: Engine) -> APIRouter:
    """Return the endpoints over one database."""
    made = APIRouter(prefix="/eval", tags=["data"])

    @made.get("/draws", summary="Draws for labelling")
    def list_draws(caller: Annotated[Principal, needs(Scope.READ)]) -> Draws:
        """Newest first, with progress, agreement, and what annotators differ on."""
        told = []
        for one in draws.draws(engine):
            stands = agreeing.standing(engine, one).as_json()
            names = _names(engine, one, [case["case_id"] for case in stands["disputes"]], caller)
            for dispute in stands["disputes"]:
                dispute["case_id"] = names.get(dispute["case_id"], dispute["case_id"])
            told.append(stands)
        return Draws(draws=told)

    @made.post("/draws", openapi_extra={PROBLEMS: [409]}, summary="Draw cases at random")
    def draw(
        request: Request, given: NewDraw, caller: Annotated[Principal, needs(Scope.LABEL)]
    ) -> MadeDraw:
        """By the guideline that the judge itself is told."""
        if (given.evaluation_id is None) is (given.run_id is None):
            raise Problem(Code.INVALID_INPUT, "name either evaluation_id or run_id")
        try:
            measure = measure_of(given.metric)
        except ValueError as error:
            raise Problem(Code.NOT_FOUND, f"metric: {error}") from None
        metric = measure.metric
        try:
            with engine.begin() as connection:
                guideline = keep_guideline(
                    connection, metric, judge_guideline(metric), caller.user_id
                )
                made_draws = draws.draw_of_all(
                    engine,
                    draws.evaluations_named(
                        engine, given.run_id or str(given.evaluation_id), metric
                    ),
                    metric,
                    guideline,
                    size=given.size,
                    seed=given.seed,
                    annotators=given.annotators,
                    n_shared=given.shared,
                    purpose=given.purpose,
                    user_id=caller.user_id,
                    connection=connection,
                )
                note(connection, request, status=200)
        except draws.DrawError as error:
            raise Problem(Code.CONFLICT, str(error)) from None
        one = made_draws[0]
        return MadeDraw(
            draw=one.id,
            evaluation_id=one.evaluation_id,
            metric=metric,
            guideline=str(guideline),
            n_cases=sum(part.size for part in made_draws),
            drawn_from=sum(part.n_cases for part in made_draws),
            values=list(measure.values),
            draws=[
                DrawnPart(
                    draw=part.id,
                    evaluation_id=part.evaluation_id,
                    n_cases=part.size,
                    drawn_from=part.n_cases,
                )
                for part in made_draws
            ],
        )

    @made.get(
        "/draws/{draw_id}/next", openapi_extra={PROBLEMS: [409]}, summary="The caller's next case"
    )
    def next_case(draw_id: DrawId, caller: Annotated[Principal, needs(Scope.LABEL)]) -> NextCase:
        """In an order of their own; without the model's name and any verdict."""
        one = _found(engine, draw_id)
        try:
            done = progress(engine, one, caller.user_id)
            case = done.next_after()
            n_done, n_cases = done.n_done, len(done.cases)
            if case is None:
                return NextCase(case_id=None, n_done=n_done, n_cases=n_cases)
            seen = case_to_label(engine, one, case)
        except draws.DrawError as error:
            raise Problem(Code.CONFLICT, str(error)) from None
        texts = [seen.question, seen.answer, seen.reference, *seen.contexts]
        if Scope.ADMIN not in caller.scopes:
            texts = masked(engine, texts)
        return NextCase(
            case_id=_names(engine, one, [case], caller)[case],
            question=texts[0],
            answer=texts[1] or None,
            reference_answer=texts[2] or None,
            contexts=texts[3:],
            metric=one.metric,
            values=list(measure_of(one.metric).values),
            n_done=n_done,
            n_cases=n_cases,
        )

    @made.post(
        "/draws/{draw_id}/labels", openapi_extra={PROBLEMS: [409]}, summary="Label a drawn case"
    )
    def add_label(
        request: Request,
        draw_id: DrawId,
        given: GivenLabel,
        caller: Annotated[Principal, needs(Scope.LABEL)],
    ) -> Took:
        """As the caller, of kind person. What was said before is kept and counts no more."""
        one = _found(engine, draw_id)
        try:
            with engine.begin() as connection:
                label_case(
                    connection,
                    one,
                    case_named(engine, one, given.case_id),
                    given.value,
                    caller.user_id,
                    note=given.note,
                    settles=given.settles,
                )
                note(connection, request, status=200)
        except RagBenchError as error:
            raise Problem(Code.CONFLICT, str(error)) from None
        return Took(draw=one.id, case_id=given.case_id, annotator=caller.user_id)

    @made.get("/labels", summary="Labels as they count now")
    def list_labels(
        caller: Annotated[Principal, needs(Scope.READ)],
        metric: Annotated[str | None, Query(max_length=200, description="Of this metric.")] = None,
    ) -> Labels:
        """The newest of each annotator and case, of persons and of models. Personal data in notes
        and ids is masked, but for who may `admin`.
        """
        found = labels.current_labels(engine, metric=metric)
        names = list(StoredLabel.model_fields)
        told = [{name: getattr(one, name) for name in names} for one in found]
        if Scope.ADMIN not in caller.scopes:
            notes = masked(engine, [one["note"] or "" for one in told])
            ids = masked_given(engine, [one["case_id"] for one in told])
            for one, note_of, case_id in zip(told, notes, ids, strict=True):
                one |= {"case_id": case_id, "note": note_of if one["note"] else one["note"]}
        return Labels(labels=[StoredLabel(**one) for one in told])

    return made


def _names(
    engine: Engine, draw: draws.Draw, cases: Sequence[str], caller: Principal
) -> dict[str, str]:
    """Return what stands for cases of a draw, by their ids, for who may not see these."""
    return case_names(engine, draw, cases, unmasked=Scope.ADMIN in caller.scopes)


def _found(engine: Engine, draw_id: int) -> draws.Draw:
    try:
        return draws.get_draw(engine, draw_id)
    except draws.DrawError:
        raise Problem(
            Code.NOT_FOUND, "There is no draw of this number; GET /eval/draws lists them."
        ) from None
