"""One way from what is to be evaluated to its record: found as it is, or asked, measured, stored.

A tier's own module says what it asks and what it measures, as a list of tasks. Whatever tiers share
is here and nowhere else: the look-up by inputs, the cells, the clock, the record. What a task asks
is prepared only where nothing is found; a plan runs the same jobs against the ledger alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from rag_bench.errors import CaseError
from rag_bench.evaluation.instrument.served import ServedTally
from rag_bench.llm.prompt_texts import noted
from rag_bench.store import evaluations
from rag_bench.store.evaluations import Case, Kind, NewEvaluation, StoredEvaluation
from rag_bench.store.releases.prompt_texts import keep_texts
from rag_bench.tiers.base.calls_of_cases import sums, with_calls
from rag_bench.tiers.base.cells import Cell, run_cells

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.evaluation.types import Metric
    from rag_bench.llm.transport.case_calls import CaseCall
    from rag_bench.tiers.base.models import Models
    from rag_bench.tiers.base.text_vectors import Progress

K = TypeVar("K")

Job = Callable[[], Awaitable[Any]]
"""One case's work; returns its result or raises the CaseError that it ended with."""


class Conditions(Protocol):
    """What an evaluation is made under: a `Bench`, or an analysis of the snapshot."""

    @property
    def engine(self) -> Engine:
        """The database."""

    @property
    def retry_failed(self) -> bool:
        """Whether what was answered unreadably is asked for again."""

    @property
    def progress(self) -> Progress:
        """Who is told how far it is."""

    def input_hash(self, *parts: Any) -> str:
        """Return the address of inputs under these conditions."""

    def identity(self) -> Mapping[str, Any]:
        """Return the columns that all evaluations under these conditions share."""


class Declared(Protocol):
    """What a tier's module is told of its step; see `rag_bench.tiers.registry`."""

    @property
    def tier(self) -> str:
        """The tier's name, as the records have it."""

    @property
    def kind(self) -> Kind:
        """What is measured."""

    @property
    def version(self) -> str:
        """The version of the code that measures, a part of the input hash."""


@dataclass(frozen=True)
class Roles:
    """The models that an evaluation is about, by their part in it."""

    generation_model: str | None = None
    benchmark_judge_model: str | None = None
    production_judge_model: str | None = None


@dataclass(frozen=True)
class Measured:
    """What the results of a task's jobs come to.

    Attributes:
        metrics: by name.
        cases: as they are stored.
        n_scored: results that count as one; none of any cases is a failed evaluation. Each tier
            has its own rule, so it is always said.
        n_retryable: errors that another run may not meet.
        inputs: recorded beside those of the task, and not hashed.
    """

    metrics: Mapping[str, Metric]
    cases: Sequence[Case]
    n_scored: int
    n_retryable: int = 0
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """What a task asks, and what is made of the results.

    Attributes:
        jobs: one per case, in order.
        measure: gets one result per job, a value or the CaseError that it ended with; runs off
            the event loop where a model was asked.
        rehearse, heard, ahead, release: as of `Cell`.
        outlook: what later steps read of the results, by case, before anything is measured. None:
            they read nothing of it.
        prompts: for a plan: the characters of each prompt that the job at a place sends, if all of
            them are answered. None: every job asks once.
    """

    jobs: Sequence[Job]
    measure: Callable[[list[Any]], Measured]
    rehearse: Callable[[], None] | None = None
    outlook: Callable[[list[Any]], Mapping[str, Case]] | None = None
    prompts: Callable[[int], Sequence[int]] | None = None
    heard: Callable[[Any], None] | None = None
    ahead: Callable[[list[Any]], Sequence[Cell[Any]]] | None = None
    release: Callable[[], None] | None = None


@dataclass(frozen=True)
class Task(Generic[K]):
    """One evaluation: what it is of, and how it is made if it is not found.

    Attributes:
        key: its partition: a model, or a pair of models.
        tier: as the records have it, like ``kind``.
        hashed: all that its results depend on beside the conditions, in an order that must stay,
            or stored results are found no more.
        version: of the code, for the record.
        prepare: called only if there is no such evaluation yet.
        roles: its models.
        asked: the model that answers the jobs; None: no model is asked.
        inputs: recorded, whether or not they are hashed.
        columns: of the record, where they differ from those of the conditions.
        made_from: the version of the result of an earlier step that it reads; None: it reads none
            of another step's partitions.
        under: what it is evaluated under; None: what the step is. A retriever has settings of its
            own.
    """

    key: K
    tier: str
    kind: Kind
    hashed: tuple[Any, ...]
    version: str
    prepare: Callable[[], Work]
    roles: Roles = Roles()
    asked: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, Any] = field(default_factory=dict)
    made_from: str | None = None
    under: Conditions | None = None


@dataclass(frozen=True)
class Nothing(Generic[K]):
    """There is nothing to measure for a key, which is no fault.

    Attributes:
        why: what is missing, and what would change that.
        generation_model: whose answers would have been read, if any.
    """

    key: K
    why: str
    generation_model: str | None = None


@dataclass(frozen=True)
class Blocked(Generic[K]):
    """A key cannot be measured before something else is there; ``why`` says what to run first.

    One cause may block several keys: they have the same words.
    """

    key: K
    why: str


Planned = Task[K] | Nothing[K] | Blocked[K]
"""What a tier's module says of one key."""


def n_retryable(results: Iterable[Any]) -> int:
    """Return how many results are errors that another run may not meet."""
    return sum(isinstance(result, CaseError) and result.retryable for result in results)


def find(conditions: Conditions, task: Task[Any]) -> StoredEvaluation | None:
    """Return the evaluation of exactly a task's inputs that needs no second try; None: none."""
    conditions = task.under or conditions
    return evaluations.find_finished(
        conditions.engine,
        conditions.input_hash(*task.hashed),
        retry_failed=conditions.retry_failed,
        corners=bool(conditions.identity().get("settings", {}).get("corner")),
    )


async def evaluate(
    conditions: Conditions,
    models: Models,
    tasks: Iterable[Task[K]],
    on_done: Callable[[Task[K], StoredEvaluation], None],
    label: str,
) -> None:
    """Find, or make, the evaluation of each task; report each as it ends.

    Tasks that ask models run side by side (`run_cells`), after those that ask none.

    Args:
        conditions: what they are evaluated under.
        models: the open client.
        tasks: of any keys, each once.
        on_done: called on the event loop's thread.
        label: what the progress is called.
    """
    cells: list[Cell[tuple[Task[K], StoredEvaluation]]] = []
    tasks = list(tasks)
    if free := [task for task in tasks if task.asked is None]:
        await evaluate_here(conditions, free, on_done, label)
    for task in tasks:
        if task.asked is None:
            continue
        if found := find(conditions, task):
            on_done(task, found)
        else:
            cells.append(_cell(conditions, models, task))
    await run_cells(
        cells,
        models.slots,
        lambda _, done: on_done(*done),
        lambda done, total: conditions.progress(label, done, total),
    )


def _cell(
    conditions: Conditions, models: Models, task: Task[K]
) -> Cell[tuple[Task[K], StoredEvaluation]]:
    started = datetime.now(UTC)
    work, served = task.prepare(), ServedTally()
    assert task.asked is not None or not work.jobs, f"{task.key}: no model is asked"

    def finish(results: list[Any]) -> tuple[Task[K], StoredEvaluation]:
        measured = work.measure(results)
        inputs = {**measured.inputs, **served.as_inputs()}
        measured = replace(measured, inputs=inputs)
        return task, _store(conditions, task, started, measured, cell.calls)

    # Without a model there is no job either: the cell is only measured.
    provider = models.provider_of(task.asked) if task.asked else ""
    cell = Cell(
        task.key,
        provider,
        work.jobs,
        finish,
        work.rehearse,
        model=task.asked,
        heard=work.heard,
        ahead=work.ahead,
        release=work.release,
        served=served,
    )
    return cell


async def evaluate_here(
    conditions: Conditions,
    tasks: Sequence[Task[K]],
    on_done: Callable[[Task[K], StoredEvaluation], None],
    label: str,
) -> None:
    """Find, or make, the evaluation of each task that asks no model: one after another, its jobs
    and its measuring on this thread, which others' code may need.
    """
    conditions.progress(label, 0, len(tasks))
    for number, task in enumerate(tasks, start=1):
        found = find(conditions, task)
        if found is None:
            started = datetime.now(UTC)
            work = task.prepare()
            results = [await _result(job) for job in work.jobs]
            found = _store(conditions, task, started, work.measure(results))
        on_done(task, found)
        conditions.progress(label, number, len(tasks))


def evaluate_one(conditions: Conditions, task: Task[Any]) -> StoredEvaluation:
    """Find, or make, the evaluation of a task that has no jobs: it reads what is stored."""
    if found := find(conditions, task):
        return found
    started = datetime.now(UTC)
    return _store(conditions, task, started, task.prepare().measure([]))


async def _result(job: Job) -> Any:
    try:
        return await job()
    except CaseError as error:
        return error


def record_of(
    conditions: Conditions, task: Task[Any], started: datetime, measured: Measured
) -> NewEvaluation:
    """Return what is stored of a task that was measured, beside its cases."""
    conditions = task.under or conditions
    columns: dict[str, Any] = {**conditions.identity(), **task.columns}
    return NewEvaluation(
        tier=task.tier,
        kind=task.kind,
        input_hash=conditions.input_hash(*task.hashed),
        started_at=started,
        code_version=task.version,
        inputs={**task.inputs, **measured.inputs},
        metrics={name: metric.to_json() for name, metric in measured.metrics.items()},
        n_retryable=measured.n_retryable,
        **asdict(task.roles),
        **columns,
    )


def with_case_calls(measured: Measured, calls: Sequence[CaseCall] = ()) -> Measured:
    """Return what was measured with the calls that each case rests on, and their sums."""
    inputs = {**measured.inputs, "calls": sums(calls)}
    return replace(measured, cases=with_calls(measured.cases, calls), inputs=inputs)


def _store(
    conditions: Conditions,
    task: Task[Any],
    started: datetime,
    measured: Measured,
    calls: Sequence[CaseCall] = (),
) -> StoredEvaluation:
    measured = with_case_calls(measured, calls)
    new = record_of(conditions, task, started, measured)
    engine = (task.under or conditions).engine
    if texts := noted(new.prompt_hash):
        keep_texts(engine, new.prompt_hash or "", texts)
    return evaluations.save_evaluation(engine, new, measured.cases, n_scored=measured.n_scored)
