"""Storing what came of each part, and the run's end: with the last part, or after a comparison."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.eval_runs import result_file
from rag_bench.eval_runs.executing.standing import Results
from rag_bench.eval_runs.executing.telling import Teller
from rag_bench.eval_runs.flags import REGRESSION
from rag_bench.eval_runs.reply import case_reply, ended_as, summary
from rag_bench.store.eval_runs import results as store
from rag_bench.store.eval_runs.at_once import Evaluated, Made, end_at_once, make_at_once
from rag_bench.store.eval_runs.results import CaseResult, CaseRow, Standing

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from rag_bench.settings import Settings

_log = logging.getLogger("rag_bench.eval_runs")


class Ending:
    """Writes for one execution of a run.

    ``run``: its row when it began; ``rows``: its cases, if they are few enough to be held.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        run: Any,
        results: Results,
        teller: Teller,
        rows: Sequence[CaseRow] | None,
    ) -> None:
        self._engine, self._settings, self._run = engine, settings, run
        self._results, self._teller = results, teller
        self._rows = rows
        self._found: dict[int, CaseResult] = {}  # of a run of few cases, for its reply
        self._row: Mapping[str, Any] | None = None
        self.new: Made | None = None  # set of a run that is not stored yet

    def save(
        self,
        connection: Connection,
        part: int,
        found: Sequence[CaseResult],
        evaluations: Sequence[int],
        *,
        last: bool,
    ) -> None:
        """Store a part. With the last one the run ends, unless it is to be compared first."""
        run = self._run
        store.save_cases(connection, run.id, found)
        store.link(connection, run.id, part, evaluations)
        if self._rows is not None:
            self._found.update((one.position, one) for one in found)
        if last and run.baseline is None:
            self._row = self._finish(connection, self._results.status)
            return
        standing = self._standing(intervals=last)
        store.write(connection, run.id, run.holder, standing.as_columns())
        said = {"part": part, "counts": dict(standing.counts), **self._teller.spent()}
        store.tell(connection, run.id, "part", said)

    def at_once(
        self, connection: Connection, found: Sequence[CaseResult], evaluated: Evaluated
    ) -> None:
        """End a run that is small enough for one statement; one that is new is stored by it."""
        run, status = self._run, self._results.status
        self._found.update((one.position, one) for one in found)
        standing = self._standing(intervals=True)
        self._row = (
            end_at_once(connection, run.id, run.holder, status, standing, found, evaluated)
            if self.new is None
            else make_at_once(connection, self.new, status, standing, found, evaluated)
        )

    def end(self) -> dict[str, Any] | None:
        """End the run, if it did not end with its last part, and write its file. Returns the
        reply, if all of it is at hand.
        """
        if self._row is None:
            self._compare()
            self._write_file()
            return None
        rows = self._rows
        if rows is None:
            self._write_file()
            return None
        cases = [
            case_reply(
                {
                    "position": row.position,
                    "given": row.given,
                    "known": row.known,
                    "result": self._found[row.position].result,
                }
            )
            for row in rows
        ]
        told = summary(self._row)
        self._write_file(told, cases)
        return {**told, "cases": cases}

    def cancel(self) -> None:
        """End the run as cancelled, with what there is."""
        with self._engine.begin() as connection:
            self._row = self._finish(connection, "cancelled")
        self._write_file()

    def _compare(self) -> None:
        """Compare with the baseline and end; cases that got worse are flagged."""
        from rag_bench.reporting.compared.baseline import compare_with_baseline

        compared = compare_with_baseline(self._engine, self._run.id)
        assert compared is not None, "the run names a baseline"
        self._results.regressed(len(compared.worse), run=compared.regression)
        with self._engine.begin() as connection:
            store.flag_cases(connection, self._run.id, REGRESSION, compared.worse)
            status = self._results.status
            told = ended_as(compared.comparison, self._run.id, status)
            self._row = self._finish(connection, status, told)

    def _finish(
        self, connection: Connection, status: str, comparison: Mapping[str, Any] | None = None
    ) -> Mapping[str, Any]:
        return store.finish(
            connection,
            self._run.id,
            self._run.holder,
            status,
            self._standing(intervals=True),
            comparison=comparison,
        )

    def _standing(self, *, intervals: bool) -> Standing:
        results = self._results
        return Standing(
            counts=results.counts,
            aggregates=results.aggregates(intervals=intervals),
            flags=results.flags,
            errors=results.errors,
            timings=self._teller.timings(),
            **self._teller.columns(),
        )

    def _write_file(
        self,
        told: Mapping[str, Any] | None = None,
        cases: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Write the file of the whole result. The table has all of it, so a folder that cannot be
        written fails no run.
        """
        try:
            if told is None:
                result_file.export(self._engine, self._settings, self._run.id)
            else:
                result_file.write(self._settings, told, cases)
        except OSError as error:
            _log.warning(
                "The file of run %s cannot be written (%s): rag-bench eval export %s writes it.",
                self._run.id,
                error.strerror,
                self._run.id,
            )
