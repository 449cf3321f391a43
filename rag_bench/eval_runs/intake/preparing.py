"""From what was sent to a run that can be stored: reads, checks, looks up; all problems at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from rag_bench.answer_sources import why_nothing
from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.intake import cases, fields, files, measures, models, references, stored
from rag_bench.eval_runs.intake.configured import configured_providers
from rag_bench.eval_runs.intake.prepared import Prepared
from rag_bench.eval_runs.intake.query import as_parameter
from rag_bench.eval_runs.intake.request import PATH_SPELLING, SOURCES, EvalRequest, respelled
from rag_bench.eval_runs.intake.retriever import named_retrieval
from rag_bench.store.datasets import EVALUATED, items_of
from rag_bench.store.eval_runs.results import reading
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
        TooLarge: the file that it names is longer than the settings allow.
        ConfigurationError: the settings themselves cannot be meant.
    """
    if not isinstance(body, Mapping):
        raise InvalidInput(_WRONG, [Place("This must be an object.", pointer="#")])
    errors: list[Place] = []
    given = respelled(body)
    _check_source(given, errors)
    read: list[cases.Read] = []
    sent = given.get("cases")
    if isinstance(sent, list):
        # Cases are looked at one by one, so that each has all its problems told.
        read = cases.read_cases(_of_body(sent, settings, errors), settings, errors)
        del given["cases"]
    request = _request(given, errors, _in_body)
    if request.path_to_file is not None and not isinstance(sent, list):
        try:
            with files.open_file(settings, request.path_to_file) as file:
                read = _of_file(file, settings, errors, request.path_to_file)
        except InvalidInput as error:
            errors += error.errors
    return _Preparing(engine, settings, request, errors).prepared(read)


def prepare_file(
    engine: Engine,
    settings: Settings,
    given: Mapping[str, Any],
    file: BinaryIO,
    *,
    in_query: bool = False,
) -> Prepared:
    """Return what a run is made of, from a file of cases that was uploaded, JSONL.

    Args:
        engine: of the database; nothing is stored.
        settings: with the limits.
        given: the request without its cases.
        file: is read as a stream, once.
        in_query: the request stood in the query string (`request_of_query`): its places are told
            as parameters.

    Raises:
        InvalidInput: everything that is wrong with request and file, each located.
        TooLarge: the file is longer than the settings allow.
        ConfigurationError: the settings themselves cannot be meant.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(_WRONG, [Place("This must be an object.", pointer="#")])
    where = as_parameter if in_query else _in_body
    errors = [
        where([name], "The cases are in the file that was sent: leave this out.")
        for name in (*SOURCES, PATH_SPELLING)
        if given.get(name) is not None
    ]
    request = _request(given, errors, where)
    read = _of_file(file, settings, errors)
    return _Preparing(engine, settings, request, errors, where).prepared(read)


def _request(given: Mapping[str, Any], errors: list[Place], where: fields.Where) -> EvalRequest:
    request = fields.read(EvalRequest, given, where, errors)
    assert request is not None  # no field of it is needed
    return request


class _Preparing:
    """One request: what it names is looked up, and what is wrong with it is collected."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        request: EvalRequest,
        errors: list[Place],
        where: fields.Where | None = None,
    ) -> None:
        self._engine, self._settings, self._request = engine, settings, request
        self._errors, self._where = errors, where or _in_body

    def prepared(self, read: Sequence[cases.Read]) -> Prepared:
        """Return the run; raises InvalidInput where anything is wrong with it."""
        request, settings = self._request, self._settings
        named: list[Place] = []  # places of fields, which may be those of parameters
        providers = configured_providers()
        retrieval = named_retrieval(request, settings, named)
        metrics = measures.named_metrics(request.metrics or (), settings, named)
        if not request.eval_types and not request.metrics:
            detail = "Nothing is measured: name a type, or metrics."
            named.append(Place(detail, pointer=pointer(["eval_type"])))
        dataset = None
        if request.dataset is not None:
            dataset = stored.named_dataset(self._engine, request.dataset, settings, named)
        generator = models.generation_model(
            providers, request, needed_by=_without_answer(request, metrics, read), errors=named
        )
        kind = EVALUATED if dataset is None else dataset.kind
        if generator is not None and (why := why_nothing(generator, "3", kind)) is not None:
            named.append(Place(why, pointer=pointer(["llm_model"])))
        judge = models.judge_model(
            providers,
            request,
            needed=measures.asks_a_judge(request.eval_types, metrics),
            errors=named,
        )
        # It asks the network, which a request that is refused anyway need not wait for.
        asks = not (self._errors or named)
        references.check_callback(request, settings, named, asks=asks)
        with reading(self._engine) as connection:
            sha256 = references.current_dump(connection)
            retrieves = dataset is not None or any(_retrieves(one.case) for one in read)
            if sha256 is None and retrieves:
                named.append(Place(references.NO_DUMP, pointer="#"))
            baseline = references.named_baseline(connection, request, named)
            self._refuse(named)
            if dataset is not None:
                items = items_of(self._engine, dataset.id)
                new = stored.cases_of(items, connection, sha256)
            else:
                new = cases.new_cases(read, connection, sha256)
        most = request.max_cost_usd
        return Prepared(
            request=request.without_cases(),
            config=RunConfig(
                eval_types=request.eval_types,
                metrics=metrics,
                generation_model=generator,
                judge_model=judge,
                retriever=retrieval.name,
                top_k=retrieval.top_k,
                contexts_per_answer=retrieval.contexts_per_answer,
                dataset_id=dataset.id if dataset is not None else None,
                dump_sha256=sha256,
            ),
            cases=new,
            paid=models.may_cost([generator, judge]) or (retrieval.asks_service and retrieves),
            labels=request.labels or {},
            baseline=baseline,
            callback_url=request.callback_url,
            max_calls=request.max_calls,
            max_cost_usd=None if most is None else Decimal(str(most)),
            wanted_mode=request.mode,
        )

    def _refuse(self, named: Sequence[Place]) -> None:
        """Raise what was found; a field has one problem told, that of its form before others."""
        told = {one.pointer or one.parameter for one in self._errors if one.line is None}
        for one in named:
            path = (one.pointer or "#")[1:].split("/")[1:]
            place = self._where(path, one.detail)
            if (place.pointer or place.parameter) not in told:
                self._errors.append(place)
        if self._errors:
            raise InvalidInput(_WRONG, self._errors)


def _without_answer(
    request: EvalRequest, metrics: Sequence[str], read: Sequence[cases.Read]
) -> str | None:
    """Return what needs a model that answers, in words; None: nothing does."""
    named = request.llm_model is not None or request.target is not None
    if not named and not measures.reads_answers(request.eval_types, metrics):
        return None
    if request.dataset is not None:
        return "A stored dataset"
    number = next((n for n, one in enumerate(read, 1) if one.case.answer is None), None)
    return None if number is None else f"Case {number}"


def _retrieves(case: cases.EvalCase) -> bool:
    return case.answer is None


def _check_source(given: Mapping[str, Any], errors: list[Place]) -> None:
    named = [name for name in (*SOURCES, PATH_SPELLING) if given.get(name) is not None]
    if len(named) == 1:
        return
    said = "none" if not named else " and ".join(named)
    detail = f"A request has one of {', '.join(SOURCES)}, and this one has {said}."
    errors.append(Place(detail, pointer="#"))


def _of_body(sent: Sequence[Any], settings: Settings, errors: list[Place]) -> Iterator[cases.Sent]:
    most = settings.eval_max_cases
    if not sent:
        errors.append(Place("There is no case.", pointer=pointer(["cases"])))
    if len(sent) > most:
        detail = f"There are {len(sent)} cases; a run has at most {most}."
        errors.append(Place(detail, pointer=pointer(["cases"])))
        return

    def where(number: int) -> fields.Where:
        return lambda path, detail: _in_body(["cases", number, *path], detail)

    for number, one in enumerate(sent):
        yield cases.Sent(one, where(number))


def _of_file(
    file: BinaryIO, settings: Settings, errors: list[Place], name: str | None = None
) -> list[cases.Read]:
    before = len(errors)
    sent = files.cases_of(file, settings, errors, name)
    read = cases.read_cases(sent, settings, errors)
    if not read and len(errors) == before:
        errors.append(Place("There is no case in the file.", line=1, column=1, file=name))
    return read


def _in_body(path: Sequence[int | str], detail: str) -> Place:
    return Place(detail, pointer=pointer(path))
