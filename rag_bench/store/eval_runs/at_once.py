"""A small run's end in one statement: dataset, evaluation, results, the row, its last event.

What `rag_bench.store.datasets`, `rag_bench.store.evaluations` and `results` write in a transaction
of ten statements is written here in one, for runs whose whole work takes less than those would: a
statement by itself is a transaction, and there is one way to the database and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from psycopg.types.json import Jsonb
from sqlalchemy import text

from rag_bench.store.datasets import DatasetInfo, Item, item_values
from rag_bench.store.eval_runs.results import CaseResult, Standing, TakenOverError
from rag_bench.store.evaluations import Case, NewEvaluation
from rag_bench.store.evaluations.saving import case_values, values_of
from rag_bench.store.tables import dataset_item, evaluation, evaluation_case

if TYPE_CHECKING:
    from sqlalchemy import Connection

_OF_EVALUATION = ", ".join(column.name for column in evaluation.c if column.name != "id")
_OF_CASE = ", ".join(c.name for c in evaluation_case.c if c.name != "evaluation_id")
_OF_ITEM = ", ".join(column.name for column in dataset_item.c)

# All is made from ``run``: where the run is another's, that is empty, and nothing is written.
# An evaluation of equal inputs that is there already is taken, as everywhere.
_END = text(f"""
with run as (
    update rag_bench.eval_run
    set status = :status, counts = :counts, aggregates = :aggregates, flags = :flags,
        errors = :errors, timings = :timings, error_code = null, error_detail = null,
        comparison = '{{}}', holder = null, expires_at = null,
        finished_at = clock_timestamp(), version = version + 1
    where id = :run_id and status = 'running' and holder = :holder
    returning *
), there as (
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
), results as (
    update rag_bench.eval_run_case c
    set result = nullif(v.result, 'null'), errored = v.errored, flagged = v.flagged
    from run, jsonb_to_recordset(:results)
        as v(position int, result jsonb, errored boolean, flagged boolean)
    where c.run_id = run.id and c.position = v.position
), told as (
    insert into rag_bench.eval_event (run_id, kind, data)
    select run.id, 'finished', :event from run
)
select * from run
""")


def end_at_once(
    connection: Connection,
    run_id: str,
    holder: str,
    status: str,
    standing: Standing,
    found: Sequence[CaseResult],
    *,
    dataset: DatasetInfo,
    items: Sequence[Item],
    new: NewEvaluation,
    cases: Sequence[Case],
    n_scored: int,
) -> Mapping[str, Any]:
    """End a run of one evaluation, of answers that nobody was asked for; return its row.

    Args:
        connection: in no transaction.
        run_id: the run.
        holder: who executes it.
        status: it ends with.
        standing: what its results decide.
        found: results of its cases.
        dataset: that its cases make.
        items: of that.
        new: the evaluation; one of equal inputs that is stored is taken in its place.
        cases: of the evaluation.
        n_scored: as of `rag_bench.store.evaluations.save_evaluation`.

    Raises:
        TakenOverError: it is another's now, or at its end.
    """
    columns = standing.as_columns()
    values = {
        "run_id": run_id,
        "holder": holder,
        "status": status,
        "input_hash": new.input_hash,
        "dataset_id": dataset.id,
        "name": dataset.name,
        "kind": dataset.kind,
        "n_items": dataset.n_items,
        "items": Jsonb(item_values(dataset.id, items)),
        "evaluation": Jsonb(_as_json(values_of(new, cases, n_scored))),
        "cases": Jsonb([case_values(case) for case in cases]),
        "results": Jsonb(
            [
                {
                    "position": one.position,
                    "result": None if one.result is None else dict(one.result),
                    "errored": one.errored,
                    "flagged": one.flagged,
                }
                for one in found
            ]
        ),
        "event": Jsonb({"status": status, "counts": columns["counts"]}),
        **{
            name: Jsonb(columns[name])
            for name in ("counts", "aggregates", "flags", "errors", "timings")
        },
    }
    row = connection.execute(_END, values).mappings().one_or_none()
    if row is None:
        raise TakenOverError(f"Run {run_id} is executed by another process, or has ended.")
    return dict(row)


def _as_json(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
    }
