"""From what was sent to a run that can be stored: reads, checks, looks up; all problems at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, select

from rag_bench.access.guard import GuardError, check_form
from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.intake import cases, fields, measures, models, retriever
from rag_bench.eval_runs.intake.prepared import Prepared
from rag_bench.eval_runs.intake.request import PATH_SPELLING, SOURCES, EvalRequest, respelled
from rag_bench.llm.config.providers import Providers
from rag_bench.store import snapshots
from rag_bench.store.eval_runs.tables import eval_run
from rag_bench.strict_json.places import InvalidInput, Place, pointer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.settings import Settings

_WRONG = "The request has impossible values."


def prepare(engine: Engine, settings: Settings, body: Any) -> Prepared:
    """Return what a run is made of, from the JSON of a request.

    Reads the database, and stores nothing.

    Raises:
        InvalidInput: everything that is wrong with the request, each located.
        ConfigurationError: the settings themselves cannot be meant.
    """
    if not isinstance(body, Mapping):
        raise InvalidInput(_WRONG, [Place("This must be an object.", pointer="#")])
    errors: list[Place] = []
    given = respelled(body)
    sent = given.get("cases")
    _check_source(given, errors)
    if isinstance(sent, list):
        # Cases are looked at one by one, so that each has all its problems told.
        read = cases.read_cases(_of_body(sent, settings, errors), settings, errors)
        given = {name: value for name, value in given.items() if name != "cases"}
    else:
        read = []
    request = fields.read(EvalRequest, given, _in_body, errors)
    assert request is not None  # no field is needed
    return _prepared(engine, settings, request, read, errors)


def _prepared(
    engine: Engine,
    settings: Settings,
    request: EvalRequest,
    read: Sequence[cases.Read],
    errors: list[Place],
) -> Prepared:
    providers = Providers.from_environment()
    retrieval = retriever.named_retrieval(request, settings, errors)
    metrics = measures.named_metrics(request, settings, errors)
    silent = next((n for n, one in enumerate(read, 1) if one.case.answer is None), None)
    generator = models.generation_model(
        providers, request, needed_by=f"Case {silent}" if silent else None, errors=errors
    )
    judge = models.judge_model(
        providers, request, needed=measures.asks_a_judge(request, metrics), errors=errors
    )
    if request.callback_url is not None:
        try:
            check_form(request.callback_url)
        except GuardError as error:
            errors.append(Place(str(error), pointer=pointer(["callback_url"])))
    with engine.connect() as connection:
        snapshot = snapshots.current_snapshot(engine)
        sha256 = snapshot.sha256 if snapshot else None
        if (
            request.baseline is not None
            and not connection.execute(
                select(exists().where(eval_run.c.id == request.baseline))
            ).scalar_one()
        ):
            detail = f"There is no run {request.baseline!r} to compare with."
            errors.append(Place(detail, pointer=pointer(["baseline"])))
        if sha256 is None and any(
            one.case.answer is None or one.case.contexts is None for one in read
        ):
            detail = (
                "No knowledge base is loaded, so nothing can be retrieved: load a dump "
                "(rag-bench load-dump), or give answers with their contexts."
            )
            errors.append(Place(detail, pointer="#"))
        if errors:
            raise InvalidInput(_WRONG, errors)
        new = cases.new_cases(read, connection, sha256)
    config = RunConfig(
        eval_types=request.eval_types,
        metrics=metrics,
        generation_model=generator,
        judge_model=judge,
        retriever=retrieval.name,
        top_k=retrieval.top_k,
        contexts_per_answer=retrieval.contexts_per_answer,
        dataset_id=None,
        dump_sha256=sha256,
    )
    most = request.max_cost_usd
    return Prepared(
        request=request.without_cases(),
        config=config,
        cases=new,
        paid=models.may_cost([generator, judge]) or retrieval.asks_service,
        labels=request.labels or {},
        baseline=request.baseline,
        callback_url=request.callback_url,
        max_calls=request.max_calls,
        max_cost_usd=None if most is None else Decimal(str(most)),
        wanted_mode=request.mode,
    )


def _check_source(given: Mapping[str, Any], errors: list[Place]) -> None:
    named = [name for name in (*SOURCES, PATH_SPELLING) if given.get(name) is not None]
    if len(named) == 1:
        return
    said = "none" if not named else " and ".join(named)
    detail = f"A request has one of {', '.join(SOURCES)}, and this one has {said}."
    errors.append(Place(detail, pointer="#"))


def _of_body(sent: Sequence[Any], settings: Settings, errors: list[Place]) -> Sequence[cases.Sent]:
    if not sent:
        errors.append(Place("There is no case.", pointer=pointer(["cases"])))
    most = settings.eval_max_cases
    if len(sent) > most:
        detail = f"There are {len(sent)} cases; a run has at most {most}."
        errors.append(Place(detail, pointer=pointer(["cases"])))
        return []

    def where(number: int) -> fields.Where:
        def place(path: Sequence[int | str], detail: str) -> Place:
            return Place(detail, pointer=pointer(["cases", number, *path]))

        return place

    return [cases.Sent(one, where(number)) for number, one in enumerate(sent)]


def _in_body(path: Sequence[int | str], detail: str) -> Place:
    return Place(detail, pointer=pointer(path))
