"""The statistics tried on made-up worlds: one evaluation, a case per promise. Asks no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.self_test.simulation import POWER, PROMISE, TIER
from rag_bench.hashing import content_hash
from rag_bench.store.evaluations import Case, NewEvaluation, StoredEvaluation

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.evaluation.self_test.power import Power
    from rag_bench.evaluation.self_test.simulation import Held

#: Raised when a promise, a world or an estimator changes: then it is tried anew.
VERSION = "3"
SEED = 0


def try_statistics(
    engine: Engine,
    runs: int,
    *,
    run_id: str | None = None,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> StoredEvaluation:
    """Simulate every promise and the table of power, ``runs`` times each; store what was found.

    The same runs of the same version are found, not made again.

    Raises:
        ValueError: fewer than one run.
    """
    from rag_bench.store import evaluations

    if runs < 1:
        raise ValueError(f"{runs} simulations try nothing; at least 1")
    settings = {"self_test": "statistics", "runs": runs, "seed": SEED, "version": VERSION}
    address = content_hash(settings)
    if found := evaluations.find_finished(engine, address):
        return found
    started = datetime.now(UTC)
    cases = _simulated(runs, report)
    kept = [case.scores["kept"] for case in cases if case.case_id.startswith(PROMISE)]
    new = NewEvaluation(
        TIER,
        "metrics",
        address,
        settings,
        address,
        started,
        dagster_run_id=run_id,
        inputs={"promises": len(kept), "kept": sum(kept)},
    )
    return evaluations.save_evaluation(engine, new, cases, n_scored=len(cases))


def _simulated(runs: int, report: Callable[[int, int], None]) -> list[Case]:
    from rag_bench.evaluation.self_test.cells import all_cells
    from rag_bench.evaluation.self_test.power import power, worlds
    from rag_bench.evaluation.self_test.simulation import simulate

    cells, lines, cases = all_cells(), worlds(), list[Case]()

    def add(kind: str, name: str, scores: Mapping[str, Any]) -> None:
        cases.append(Case(f"{kind}: {name}", scores={"line": len(cases), **scores}))
        report(len(cases), len(cells) + len(lines))

    for held in simulate(cells, runs=runs, seed=SEED):
        add(PROMISE, held.cell.name, _of_promise(held))
    for seen in power(lines, runs=runs, seed=SEED):
        add(POWER, f"{seen.pages}, discordant {seen.discordant:g}", _of_power(seen))
    return cases


def _of_promise(held: Held) -> Mapping[str, Any]:
    return {
        "what": held.cell.group,
        "world": held.cell.world,
        "promised": held.cell.promised,
        "found": None if held.share is None else round(held.share, 4),
        "error": round(held.error, 4) if held.claimed else None,
        "runs": held.runs,
        "claimed": held.claimed,
        "verdict": held.verdict,
        "outside": held.cell.outside,
        "kept": held.is_kept,
    }


def _of_power(seen: Power) -> Mapping[str, Any]:
    return {
        "pages": seen.pages.n,
        "questions": seen.pages.questions,
        "correlation": seen.pages.alike,
        "discordant": seen.discordant,
        "power": round(seen.share, 4),
        "error": round(seen.error, 4),
        "runs": seen.runs,
    }
