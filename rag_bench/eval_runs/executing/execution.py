"""One execution of a run: part by part, until its end, or until it is to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rag_bench.eval_runs.config import RunConfig
from rag_bench.eval_runs.executing import light
from rag_bench.eval_runs.executing.benches import Benches, generator_of
from rag_bench.eval_runs.executing.ending import Ending
from rag_bench.eval_runs.executing.joining import Measured, joined
from rag_bench.eval_runs.executing.parts import MOST_CASES, Part, chunks_named, item_of, parts_of
from rag_bench.eval_runs.executing.standing import Counted, Results
from rag_bench.eval_runs.executing.telling import Teller, Told
from rag_bench.eval_runs.executing.wanted import Wanted
from rag_bench.eval_runs.flags import Rules, read_below
from rag_bench.llm.transport.tally import Tally
from rag_bench.observing.trace import tracing
from rag_bench.store.datasets import EVALUATED, address_of
from rag_bench.store.eval_runs import chunk_names
from rag_bench.store.eval_runs import results as store
from rag_bench.store.eval_runs.results import CaseResult, CaseRow, TakenOverError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from rag_bench.settings import Settings
    from rag_bench.store.datasets import Item
    from rag_bench.store.eval_runs.at_once import Made


def _never() -> bool:
    return False


def execute(
    engine: Engine,
    settings: Settings,
    run_id: str,
    *,
    holder: str,
    dagster_run_id: str | None = None,
    told: Told | None = None,
    cancelled: Callable[[], bool] = _never,
) -> dict[str, Any] | None:
    """Execute a run that ``holder`` has claimed, to its end; what is there already is found.

    It can be called again at any time: of what was interrupted the ledger has all replies. When
    ``cancelled`` says so, nothing more is asked and calls in flight end; then the run ends as
    cancelled, if it is that, with all that was answered. Else it is left as it is, for whoever
    claims it next.

    Args:
        engine: of the database.
        settings: of the environment.
        run_id: the run.
        holder: who claimed it.
        dagster_run_id: of the run of Dagster that this is a part of.
        told: told how far each step is.
        cancelled: whether to stop; it is asked several times a second, so it must be quick.

    Returns:
        The whole reply, where all of it is at hand (a run of one part); else None.

    Raises:
        RagBenchError: the run cannot be executed; the message says why.
        TakenOverError: another process executes it.
    """
    with store.reading(engine) as connection:
        run = store.run_of(connection, run_id)
        if run.status != "running" or run.holder != holder:
            raise TakenOverError(f"Run {run_id} is not claimed by this process.")
        few = run.n_cases <= MOST_CASES
        rows = store.cases_at(connection, run_id) if few else None
        execution = Execution(engine, settings, run, rows, dagster_run_id, told, cancelled)
        with tracing(run.trace_id, run_id=run_id, user_id=run.user_id):
            if execution.is_small:
                return execution.run_at_once(connection)
    with tracing(run.trace_id, run_id=run_id, user_id=run.user_id):
        return execution.run()


@dataclass(frozen=True)
class _Unstored:
    """What an execution reads of a run's row, of one that is stored with its results."""

    id: str
    trace_id: str
    user_id: str
    n_cases: int
    config: Mapping[str, Any]
    holder: str = ""
    cancel_requested: bool = False
    baseline: str | None = None
    callback_url: str | None = None
    attempt: int = 1
    n_calls: int = 0
    n_attempts: int | None = None
    cost_usd: Decimal = Decimal(0)


def measure_new(
    connection: Connection, engine: Engine, settings: Settings, made: Made
) -> Execution | None:
    """Measure a run that is not stored yet, and store it with its results in the caller's
    transaction; after that `Ending.end` of what is returned gives the reply.

    None: it is no small run (`Execution.is_small`), and nothing was done.

    Raises:
        Exception: it cannot be measured; the transaction is to be given up.
    """
    rows = [CaseRow(one.position, one.case_id, one.given, one.known) for one in made.cases]
    run = made.run
    row = _Unstored(
        made.run_id,
        run.trace_id,
        run.user_id,
        len(rows),
        run.config,
        baseline=run.baseline,
        callback_url=run.callback_url,
    )
    execution = Execution(engine, settings, row, rows, None, None, _never)
    if not execution.is_small:
        return None
    execution.ending.new = made
    with tracing(run.trace_id, run_id=made.run_id, user_id=run.user_id, name="eval run"):
        execution.measure_small(connection)
    return execution


class Execution:
    """What the parts of one execution share."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        run: Any,
        rows: Sequence[CaseRow] | None,
        dagster_run_id: str | None,
        told: Told | None,
        cancelled: Callable[[], bool],
    ) -> None:
        self.engine, self.settings, self.run_row = engine, settings, run
        self.config = RunConfig.of_json(run.config)
        self.wanted = Wanted.of(self.config)
        self.results = Results(run.n_cases, self.wanted)
        self.tally = Tally()
        self.teller = Teller(engine, run, self.results, self.tally, told)
        self.cancelled = cancelled
        self.benches = Benches(
            engine, settings, self.config, self.wanted, self.teller.progress, dagster_run_id
        )
        self._rows = rows
        self._taken: set[int] = set()
        self._rules = Rules(
            read_below(settings.eval_review_below), settings.eval_review_disagreement
        )
        self.ending = Ending(engine, settings, run, self.results, self.teller, rows)

    @property
    def is_small(self) -> bool:
        """Whether it is so little that it can be done on the way: see `light.measure_at_once`."""
        run = self.run_row
        if self._rows is None or run.cancel_requested or run.baseline or run.callback_url:
            return False
        return run.attempt <= 1 and light.is_light(self.wanted, self._parts())

    def run_at_once(self, connection: Connection) -> dict[str, Any] | None:
        """Execute a small run; return the reply."""
        self.measure_small(connection)
        return self.ending.end()

    def measure_small(self, connection: Connection) -> None:
        """Measure a small run and store what came of it."""
        [part] = self._parts()
        light.measure_at_once(self, part, connection)

    @property
    def retried(self) -> bool:
        """Whether the run had ended, so that what failed in it is asked again."""
        if self.run_row.attempt <= 1:
            return False
        with store.reading(self.engine) as connection:
            return store.had_ended(connection, self.run_row.id)

    def run(self) -> dict[str, Any] | None:
        """Execute all parts; return the reply, if it is at hand."""
        parts = self._parts()
        if self.cancelled() and self.is_cancelled():
            self._cancel(parts)
            return None
        if light.is_light(self.wanted, parts):
            stopped = light.measure(self, parts)
        else:
            from rag_bench.eval_runs.executing import asking

            stopped = asking.measure(self, parts)
        if not stopped:
            return self.ending.end()
        if self.is_cancelled():
            self._cancel(parts)
        return None

    def _cancel(self, parts: Sequence[Part]) -> None:
        """End as cancelled: with what came of this execution, and of those before it."""
        with store.reading(self.engine) as connection:
            linked = store.linked_to(connection, self.run_row.id)
        for part in parts:
            if part.number in self._taken:
                continue
            rows = self._stored(part)
            items = self.items_of(rows)
            # By its cases, as a part has another number where more is measured than before.
            dataset = self.config.dataset_id or address_of(EVALUATED, items)
            of_part = [one for one in linked if one.dataset_id == dataset]
            self.results.add_stored([row.result for row in rows], items, of_part)
        self.ending.cancel()

    def _stored(self, part: Part) -> list[CaseRow]:
        with store.reading(self.engine) as connection:
            return store.cases_at(connection, self.run_row.id, part.positions)

    def rows_of(self, part: Part) -> list[CaseRow]:
        """Return the cases of a part."""
        if self._rows is not None:
            wanted = set(part.positions)
            return [row for row in self._rows if row.position in wanted]
        return self._stored(part)

    def items_of(self, rows: Sequence[CaseRow]) -> list[Item]:
        """Return cases as questions of a dataset."""
        pages: Mapping[str, str] = {}
        named, sha256 = chunks_named(rows), self.config.dump_sha256
        if named and sha256:
            with store.reading(self.engine) as connection:
                pages = store.pages_of(connection, sha256, named)
        return [item_of(row, pages) for row in rows]

    def generator(self, part: Part) -> str | None:
        """Return the key of what answers a part's questions; None: they are only searched for."""
        return generator_of(self.config, given=part.given)

    def join(
        self,
        rows: Sequence[CaseRow],
        items: Sequence[Item],
        measured: Measured,
        evaluations: Iterable[Counted],
    ) -> list[CaseResult]:
        """Return the results of a part's cases; they are counted from here on."""
        by_id = {item.item_id: item for item in items}
        found = joined(rows, by_id, measured, self.wanted, self._rules, self._names)
        self.results.add(found, [by_id[row.case_id] for row in rows], evaluations)
        return found

    def save(
        self,
        connection: Connection,
        part: Part,
        found: Sequence[CaseResult],
        evaluations: Sequence[int],
        *,
        last: bool,
    ) -> None:
        """Store what came of a part, in a transaction; the run ends with its last one."""
        self._taken.add(part.number)
        self.ending.save(connection, part.number, found, evaluations, last=last)

    def _names(self, chunks: Iterable[str]) -> Mapping[str, Any]:
        with store.reading(self.engine) as connection:
            return chunk_names.names_of(connection, self.config.dump_sha256, chunks)

    def _parts(self) -> list[Part]:
        if self._rows is not None:
            shapes = [(r.position, r.given.get("answer") is not None) for r in self._rows]
        else:
            with store.reading(self.engine) as connection:
                shapes = store.shapes_of(connection, self.run_row.id)
        whole = self.config.dataset_id is not None
        return parts_of(shapes, whole=whole, judged=self.wanted.judged)

    def is_cancelled(self) -> bool:
        """Tell whether somebody asked the run to end, so that nobody goes on with it."""
        with store.reading(self.engine) as connection:
            return bool(store.run_of(connection, self.run_row.id).cancel_requested)
