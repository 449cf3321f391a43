"""Drafts of datasets: `/eval/drafts`. Cases are put in, taken out, and published as a dataset."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from rag_bench.access.scopes import Principal, Scope
from rag_bench.api.allowed import needs
from rag_bench.api.problems import Code, Located, Problem
from rag_bench.api.recording import note
from rag_bench.errors import RagBenchError
from rag_bench.store.drafts import drafts as stored
from rag_bench.store.drafts.shown import item_names, item_of, origin_names, words_of
from rag_bench.store.public_names import masked_given

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

Name = Annotated[
    str, Path(description="Of the draft.", min_length=1, max_length=100, pattern=stored.NAME)
]
ItemId = Annotated[
    str, Path(description="Of the draft's case.", max_length=300, pattern=r"^[^\x00]*$")
]
_AT = "2026-01-05T10:00:00+00:00"
_DRAFT: dict[str, Any] = {
    "name": "hard questions",
    "n_cases": 1,
    "created_by": "anna",
    "created_at": _AT,
    "changed_at": _AT,
    "published_id": None,
    "published_at": None,
}
_CASE: dict[str, Any] = {
    "id": "q17",
    "question": "Как оплатить общежитие?",
    "reference_answer": "В личном кабинете.",
    "chunk_hashes": [],
    "page_urls": ["https://example.org/dormitory"],
    "from_dataset": "f31b26f711c7",
    "from_case": "q17",
    "added_by": "anna",
    "added_at": _AT,
}


class Draft(BaseModel):
    """A draft without its cases."""

    model_config = ConfigDict(json_schema_extra={"example": _DRAFT})

    name: str
    n_cases: int
    created_by: str | None
    created_at: datetime
    changed_at: datetime | None = Field(description="When a case was put in last.")
    published_id: str | None = Field(description="The dataset that it was published as last.")
    published_at: datetime | None


class Drafts(BaseModel):
    """All drafts, the one that was changed last first."""

    model_config = ConfigDict(json_schema_extra={"example": {"drafts": [_DRAFT]}})

    drafts: list[Draft]


class DraftCase(BaseModel):
    """One case of a draft. Users' words are masked, but for who may `admin`."""

    id: str
    question: str
    reference_answer: str | None
    chunk_hashes: list[str]
    page_urls: list[str]
    from_dataset: str
    from_case: str
    added_by: str | None
    added_at: datetime


class WholeDraft(Draft):
    """A draft with its cases, in the order in which they were put in."""

    model_config = ConfigDict(json_schema_extra={"example": {**_DRAFT, "cases": [_CASE]}})

    masked: bool = Field(True, description="Whether users' words are masked here.")
    cases: list[DraftCase]


class NewCase(BaseModel):
    """Which case is put into which draft; a draft that is not there is begun.

    One of `dataset` with `case_id`, `run` with `case_id`, and `question`.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"name": "hard questions", "dataset": "f31b26f711c7", "case_id": "q17"}
        },
    )

    name: str = Field(min_length=1, max_length=100, pattern=stored.NAME)
    dataset: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="Of a stored dataset: its id, beginning of an id, or name.",
    )
    run: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="Of a run of the service: its id. Question, reference answer and chunks as "
        "they were sent.",
    )
    question: str | None = Field(
        None,
        min_length=1,
        max_length=300,
        pattern=r"^[^\x00]*$",
        description="What a user asked: its id in the current snapshot's question_answer. The "
        "draft gets it masked, without its answer.",
    )
    case_id: str | None = Field(None, min_length=1, max_length=300, pattern=r"^[^\x00]*$")


class AddedCase(BaseModel):
    """What became of the case. The same request again changes nothing."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "outcome": "added",
                "draft": "hard questions",
                "item_id": "q17",
                "n_cases": 1,
            }
        }
    )

    outcome: stored.Outcome = Field(
        description="`there`: it was in it already. `duplicate`: a case with the same question, "
        "folded, is in it (`item_id`), so this one is left out."
    )
    draft: str
    item_id: str
    n_cases: int


class Removed(BaseModel):
    """What became of a draft or of its case; of what was not there nothing."""

    removed: bool


class PublishedDraft(BaseModel):
    """The dataset that the draft is. `POST /eval/run` takes its id or name as `dataset`."""

    id: str
    name: str
    kind: str
    n_items: int
    new: bool = Field(description="Whether these cases were not stored as a dataset before.")


def router(engine: Engine) -> APIRouter:
    """Return the endpoints over one database."""
    made = APIRouter(prefix="/eval/drafts", tags=["data"])

    @made.get("", summary="Drafts of datasets")
    def list_drafts(caller: Annotated[Principal, needs(Scope.READ)]) -> Drafts:
        """The one that was changed last first."""
        with engine.connect() as connection:
            told = [_draft(one) for one in stored.all_drafts(connection)]
        if Scope.ADMIN not in caller.scopes:
            names = masked_given(engine, [one.name for one in told])
            told = [
                one.model_copy(update={"name": name}) for one, name in zip(told, names, strict=True)
            ]
        return Drafts(drafts=told)

    @made.get("/{name}", summary="A draft with its cases")
    def one_draft(name: Name, caller: Annotated[Principal, needs(Scope.READ)]) -> WholeDraft:
        """Users' words are masked, but for who may `admin`."""
        unmasked = Scope.ADMIN in caller.scopes
        with engine.connect() as connection:
            draft = _found(connection, name)
            items = stored.items_of(connection, name)
        words = words_of(engine, [one.item for one in items], unmasked=unmasked)
        ids = {} if unmasked else item_names(engine, items)
        origins = {} if unmasked else origin_names(engine, items)
        cases = [
            DraftCase(
                id=ids.get(one.item.item_id, one.item.item_id),
                question=question,
                reference_answer=reference,
                chunk_hashes=list(one.item.chunk_hashes),
                page_urls=list(one.item.page_urls),
                from_dataset=one.from_dataset,
                from_case=origins.get(one.from_case, one.from_case),
                added_by=one.added_by,
                added_at=one.added_at,
            )
            for one, (question, reference) in zip(items, words, strict=True)
        ]
        return WholeDraft(**_draft(draft).model_dump(), masked=not unmasked, cases=cases)

    @made.post("", summary="Put a case into a draft")
    def add_case(
        request: Request,
        given: NewCase,
        caller: Annotated[Principal, needs(Scope.LABEL, Scope.RUN)],
    ) -> AddedCase:
        """A case of a stored dataset or of a run, or what a user asked, masked; a draft that is
        not there is begun.
        """
        _one_source(given)
        try:
            with engine.begin() as connection:
                added = _add(engine, connection, given, caller.user_id)
                note(connection, request, status=200)
        except stored.NoCaseError as error:
            raise Problem(Code.NOT_FOUND, str(error)) from None
        except RagBenchError as error:
            raise Problem(Code.CONFLICT, str(error)) from None
        return AddedCase(
            outcome=added.outcome, draft=added.draft, item_id=added.item_id, n_cases=added.n_items
        )

    @made.delete(
        "/{name}/cases/{item_id}",
        dependencies=[needs(Scope.LABEL, Scope.RUN)],
        summary="Take a case out of a draft",
    )
    def remove_case(request: Request, name: Name, item_id: ItemId) -> Removed:
        """What is not there stays so."""
        with engine.begin() as connection:
            _found(connection, name)
            item_id = item_of(engine, stored.items_of(connection, name), item_id)
            removed = stored.remove_item(connection, name, item_id)
            note(connection, request, status=200)
        return Removed(removed=removed)

    @made.delete("/{name}", dependencies=[needs(Scope.LABEL, Scope.RUN)], summary="Delete a draft")
    def drop_draft(request: Request, name: Name) -> Removed:
        """With its cases; the datasets that it was published as stay."""
        with engine.begin() as connection:
            _found(connection, name)
            stored.drop(connection, name)
            note(connection, request, status=200)
        return Removed(removed=True)

    @made.post(
        "/{name}/publish",
        dependencies=[needs(Scope.LABEL, Scope.RUN)],
        summary="Publish a draft as a dataset",
    )
    def publish(name: Name) -> PublishedDraft:
        """Addressed by its cases: the same ones again are the same dataset. The draft stays."""
        try:
            found = stored.publish(engine, name)
        except stored.NoDraftError:
            raise _no_draft() from None
        except RagBenchError as error:
            raise Problem(Code.CONFLICT, str(error)) from None
        dataset = found.dataset
        return PublishedDraft(
            id=dataset.id,
            name=dataset.name,
            kind=dataset.kind,
            n_items=dataset.n_items,
            new=found.new,
        )

    return made


def _one_source(given: NewCase) -> None:
    named = [given.dataset, given.run, given.question]
    if sum(one is not None for one in named) != 1:
        said = "Name one of dataset, run and question."
        raise Problem(Code.INVALID_INPUT, said, errors=[Located(said, pointer="")])
    if (given.question is None) == (given.case_id is None):
        said = "A case of a dataset or of a run needs case_id, a user's question has none."
        raise Problem(Code.INVALID_INPUT, said, errors=[Located(said, pointer="/case_id")])


def _add(engine: Engine, connection: Connection, given: NewCase, user_id: str) -> stored.Added:
    from rag_bench.store.datasets import find_dataset
    from rag_bench.store.drafts import sources

    if given.question is not None:
        return sources.add_users_question(engine, connection, given.name, given.question, user_id)
    case_id = given.case_id or ""
    if given.run is not None:
        return sources.add_case_of_run(connection, given.name, given.run, case_id, user_id)
    dataset = find_dataset(engine, given.dataset or "")
    if dataset is None:
        raise Problem(Code.NOT_FOUND, "There is no such dataset; GET /datasets lists them.")
    return stored.add_case(connection, given.name, dataset.id, case_id, user_id)


def _found(connection: Connection, name: str) -> stored.Draft:
    try:
        return stored.get_draft(connection, name)
    except stored.NoDraftError:
        raise _no_draft() from None


def _no_draft() -> Problem:
    return Problem(Code.NOT_FOUND, "There is no draft of this name; GET /eval/drafts lists them.")


def _draft(one: stored.Draft) -> Draft:
    return Draft(
        name=one.name,
        n_cases=one.n_items,
        created_by=one.created_by,
        created_at=one.created_at,
        changed_at=one.changed_at,
        published_id=one.published_id,
        published_at=one.published_at,
    )
