"""A small run's end in one statement: dataset, evaluation, results, the row, its last event; or
its beginning and its end, of one that is measured where it is made.

What `rag_bench.store.datasets`, `rag_bench.store.evaluations` and `results` write in a transaction
of ten statements is written here in one, for runs whose whole work takes less than those would: a
statement by itself is a transaction, and there is one way to the database and back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb
from sqlalchemy import text

from rag_bench.store.access.audit import Action
from rag_bench.store.datasets import DatasetInfo, Item, item_values
from rag_bench.store.eval_runs.creating import NewCase, NewRun
from rag_bench.store.eval_runs.results import CaseResult, Standing, TakenOverError
from rag_bench.store.evaluations import Case, NewEvaluation
from rag_bench.store.evaluations.saving import case_values, values_of
from rag_bench.store.tables import dataset_item, evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Connection

_OF_EVALUATION = ", ".join(column.name for column in evaluation.c if column.name != "id")
_OF_CASE = ", ".join(c.name for c in evaluation_case.c if c.name != "evaluation_id")
_OF_ITEM = ", ".join(column.name for column in dataset_item.c)

_OF_RUN = ", ".join([*(n for n in NewRun.__dataclass_fields__ if n != "place"), "id", "n_cases"])
_OF_ACTION = ", ".join(Action.__dataclass_fields__)

# All is made from ``run``: where the run is another's, that is empty, and nothing is written.
_THERE = """
with run as (
    update rag_bench.eval_run
    set status = :status, counts = :counts, aggregates = :aggregates, flags = :flags,
        errors = :errors, timings = :timings, error_code = null, error_detail = null,
        n_attempts = 0,
        comparison = '{}', holder = null, expires_at = null,
        finished_at = clock_timestamp(), version = version + 1
    where id = :run_id and status = 'running' and holder = :holder
    returning *
), results as (
    update rag_bench.eval_run_case c
    set result = nullif(v.result, 'null'), errored = v.errored, flagged = v.flagged
    from run, jsonb_to_recordset(:results)
        as v(position int, result jsonb, errored boolean, flagged boolean)
    where c.run_id = run.id and c.position = v.position
), told as (
    insert into rag_bench.eval_event (run_id, kind, data)
    select run.id, 'finished', :event from run
)"""
# A run that nobody has heard of yet: it is made with its results.
_NEW = f"""
with run as (
    insert into rag_bench.eval_run
        ({_OF_RUN}, place, status, counts, aggregates, flags, errors, timings, attempt,
         n_attempts, created_at, started_at, finished_at)
    select {_OF_RUN}, 'service', :status, :counts, :aggregates, :flags, :errors, :timings, 1, 0,
        clock_timestamp() - make_interval(secs => :seconds),
        clock_timestamp() - make_interval(secs => :seconds), clock_timestamp()
    from jsonb_populate_record(null::rag_bench.eval_run, :run)
    returning *
), results as (
    insert into rag_bench.eval_run_case
        (run_id, position, case_id, given, known, result, errored, flagged)
    select run.id, v.position, v.case_id, v.given, v.known, nullif(v.result, 'null'),
        v.errored, v.flagged
    from run, jsonb_to_recordset(:results)
        as v(position int, case_id text, given jsonb, known jsonb, result jsonb,
             errored boolean, flagged boolean)
), told as (
    insert into rag_bench.eval_event (run_id, kind, data)
    select run.id, e.kind, e.data
    from run, (values (1, 'queued', cast(:queued as jsonb)), (2, 'started', :started),
                      (3, 'finished', :event)) as e(n, kind, data)
    order by e.n
), queued as (
    insert into rag_bench.eval_outbox (run_id, attempt) select id, attempt from run
), noted as (
    insert into rag_bench.audit ({_OF_ACTION})
    select {_OF_ACTION} from jsonb_populate_record(null::rag_bench.audit, :action)
)"""
# An evaluation of equal inputs that is there already is taken, as everywhere.
_MEASURED = f""", there as (
    select id from rag_bench.evaluation
    where input_hash = :input_hash and (inputs ->> 'n_retryable')::int = 0
    order by id desc limit 1
), named as (
    insert into rag_bench.dataset (id, name, kind, n_items, source)
    select :dataset_id, :name, :kind, :n_items, '{{}}' from run
    where not exists (select from there)
    on conflict do nothing returning id
), questions as (
    insert into rag_bench.dataset_item ({_OF_ITEM})
    select {", ".join(f"i.{name}" for name in _OF_ITEM.split(", "))}
    from named, jsonb_populate_recordset(null::rag_bench.dataset_item, :items) as i
), made as (
    insert into rag_bench.evaluation ({_OF_EVALUATION})
    select {", ".join(f"e.{name}" for name in _OF_EVALUATION.split(", "))}
    from run, jsonb_populate_record(null::rag_bench.evaluation, :evaluation) as e
    where not exists (select from there)
    returning id
), answers as (
    insert into rag_bench.evaluation_case (evaluation_id, {_OF_CASE})
    select made.id, {", ".join(f"c.{name}" for name in _OF_CASE.split(", "))}
    from made, jsonb_populate_recordset(null::rag_bench.evaluation_case, :cases) as c
), linked as (
    insert into rag_bench.eval_run_evaluation (run_id, evaluation_id, part)
    select run.id, one.id, 0
    from run, (select id from made union all select id from there) as one
    on conflict do nothing
)
"""
_END = text(f"{_THERE}{_MEASURED} select * from run")
_MAKE = text(f"{_NEW}{_MEASURED} select created_at, started_at, finished_at from run")
# What a run that asks nobody has at its end, beside what is written of it.
_NOTHING = {"error_code": None, "error_detail": None, "n_calls": 0, "n_attempts": 0, "cost_usd": 0}


@dataclass(frozen=True)
class Made:
    """A run that is stored with its results.

    Attributes:
        run_id: of `rag_bench.store.eval_runs.creating.new_id`.
        run: its row; it is executed by the service, whatever its place.
        cases: in their order.
        action: its row of the audit.
        began: when work on it began, of `time.monotonic`.
    """

    run_id: str
    run: NewRun
    cases: Sequence[NewCase]
    action: Action
    began: float


@dataclass(frozen=True)
class Evaluated:
    """What a run's one evaluation comes to.

    Attributes:
        dataset: that its cases make.
        items: of that.
        new: the evaluation; one of equal inputs that is stored is taken in its place.
        cases: of the evaluation.
        n_scored: as of `rag_bench.store.evaluations.save_evaluation`.
    """

    dataset: DatasetInfo
    items: Sequence[Item]
    new: NewEvaluation
    cases: Sequence[Case]
    n_scored: int


def end_at_once(
    connection: Connection,
    run_id: str,
    holder: str,
    status: str,
    standing: Standing,
    found: Sequence[CaseResult],
    evaluated: Evaluated,
) -> Mapping[str, Any]:
    """End a run of one evaluation, of answers that nobody was asked for; return its row.

    Args:
        connection: in no transaction.
        run_id: the run.
        holder: who executes it.
        status: it ends with.
        standing: what its results decide.
        found: results of its cases.
        evaluated: what they are made of.

    Raises:
        TakenOverError: it is another's now, or at its end.
    """
    values = {**_values(status, standing, evaluated), "run_id": run_id, "holder": holder}
    values["results"] = Jsonb([_result(one) for one in found])
    row = connection.execute(_END, values).mappings().one_or_none()
    if row is None:
        raise TakenOverError(f"Run {run_id} is executed by another process, or has ended.")
    return dict(row)


def make_at_once(
    connection: Connection,
    made: Made,
    status: str,
    standing: Standing,
    found: Sequence[CaseResult],
    evaluated: Evaluated,
) -> Mapping[str, Any]:
    """Store a run with its results and its row of the audit, in the caller's transaction; arguments
    as of `end_at_once`. Returns its row.
    """
    run, results = made.run, {one.position: _result(one) for one in found}
    columns = {**_fields(run), "id": made.run_id, "n_cases": len(made.cases)}
    if run.max_cost_usd is not None:
        columns["max_cost_usd"] = str(run.max_cost_usd)
    said = {"n_cases": len(made.cases), "mode": run.mode, "place": "service", "attempt": 1}
    values = {
        **_values(status, standing, evaluated),
        "run": Jsonb(columns),
        "results": Jsonb([{**_fields(one), **results[one.position]} for one in made.cases]),
        "action": Jsonb(_fields(made.action)),
        "queued": Jsonb(said),
        "started": Jsonb({"attempt": 1, "resumed": False}),
        "seconds": time.monotonic() - made.began,
    }
    times = connection.execute(_MAKE, values).mappings().one()
    return {**columns, **standing.as_columns(), **_NOTHING, "status": status, **times}


def _values(status: str, standing: Standing, evaluated: Evaluated) -> dict[str, Any]:
    columns, dataset = standing.as_columns(), evaluated.dataset
    of_run = ("counts", "aggregates", "flags", "errors", "timings")
    record = values_of(evaluated.new, evaluated.cases, evaluated.n_scored)
    return {
        "status": status,
        "input_hash": evaluated.new.input_hash,
        "dataset_id": dataset.id,
        "name": dataset.name,
        "kind": dataset.kind,
        "n_items": dataset.n_items,
        "items": Jsonb(item_values(dataset.id, evaluated.items)),
        "evaluation": Jsonb(_as_json(record)),
        "cases": Jsonb([case_values(case) for case in evaluated.cases]),
        "event": Jsonb({"status": status, "counts": columns["counts"]}),
        **{name: Jsonb(columns[name]) for name in of_run},
    }


def _result(one: CaseResult) -> dict[str, Any]:
    return {
        "position": one.position,
        "result": None if one.result is None else dict(one.result),
        "errored": one.errored,
        "flagged": one.flagged,
    }


def _fields(record: NewRun | NewCase | Action) -> dict[str, Any]:
    """Return a record's own fields; `asdict` copies all that is in them, which takes longer."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }
