"""The newest results against the pinned baseline, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.paired.decision import overall
from rag_bench.evaluation.paired.words import Word
from rag_bench.reporting.bridges import linked
from rag_bench.reporting.compared.comparing import Terms, compare_sides
from rag_bench.reporting.compared.opening import meant_by
from rag_bench.reporting.compared.shapes import Compared
from rag_bench.reporting.compared.sides import of_evaluation
from rag_bench.store.evaluations.records import StoredEvaluation
from rag_bench.store.releases import baselines
from rag_bench.store.releases.baselines import Baseline

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: What to do where nothing is pinned; the command, the graph and the page say it alike.
HOW_TO_PIN = (
    "No baseline is pinned, so there is nothing to hold the newest results against. Pin what is "
    'released now: `rag-bench baseline pin newest --why "…"`, or materialize the asset `baseline` '
    "with `pin: newest` in its config."
)
#: What pins the newest whole results that there are.
NEWEST = "newest"


@dataclass(frozen=True)
class Cell:
    """One evaluation against its counterpart; ``compared``: None where it is the same one.

    ``across``: the counterpart's judge, where it is another one that a bridge links.
    """

    label: str
    a: int
    b: int
    compared: Compared | None
    across: str | None = None

    @property
    def mark(self) -> str:
        """Say that the two were scored by two judges; nothing where one scored both."""
        return f", across the bridge from {self.across}" if self.across else ""


@dataclass(frozen=True)
class AgainstBaseline:
    """All cells; ``alone``: newest results that the baseline has no counterpart of."""

    baseline: Baseline
    settings_hash: str
    cells: Sequence[Cell]
    alone: Sequence[str]

    @property
    def verdict(self) -> Word | None:
        """The worst word of all cells; None: nothing is newer than the baseline."""
        words = [cell.compared.verdict for cell in self.cells if cell.compared is not None]
        return overall(words) if words else None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs, with the first cases of each cell that moved."""
        return {
            "baseline": as_json(self.baseline),
            "settings_hash": self.settings_hash,
            "verdict": self.verdict,
            "cells": [
                {
                    "cell": cell.label,
                    "a": cell.a,
                    "b": cell.b,
                    "same": cell.compared is None,
                    "across_bridge_from": cell.across,
                    "comparison": cell.compared.as_json(limit=5) if cell.compared else None,
                }
                for cell in self.cells
            ],
            "without_counterpart": list(self.alone),
        }


def pin(engine: Engine, wanted: str, *, who: str | None = None, why: str = "") -> Baseline:
    """Pin a side as the baseline; raises as `to_be_pinned`."""
    return baselines.append(engine, to_be_pinned(engine, wanted, why), who=who, why=why.strip())


def to_be_pinned(engine: Engine, wanted: str, why: str) -> str:
    """Return what a word names, whole: ``newest``, or what `open_side` takes, but no run.

    Raises:
        NothingToCompareError: it is not there, or several are meant.
        RagBenchError: nothing was measured, it is a run, or there is no reason.
    """
    from rag_bench.store.evaluations import newest_settings_hash
    from rag_bench.store.evaluations.comparing import settings_on_dump

    if not why.strip():
        raise RagBenchError("Say why it is the baseline (--why): who looks in a year will ask.")
    if wanted.strip() == NEWEST:
        settings = newest_settings_hash(engine)
        if settings is None:
            raise RagBenchError("Nothing was measured yet: there is nothing to pin.")
        return f"settings:{settings}"
    kind, name = meant_by(engine, wanted, "a")
    if kind == "run":
        raise RagBenchError(
            f"{wanted} is a run of the service. Those name their own `baseline` in the request; "
            "what is pinned is an evaluation, a model or a settings hash."
        )
    if kind == "dump":
        with engine.connect() as connection:
            settings = settings_on_dump(connection, name)
        if settings is None:
            raise RagBenchError(f"Nothing was measured on the dump {name[:12]}.")
        kind, name = "settings", settings
    return f"{kind}:{name}"


def unpin(engine: Engine, *, who: str | None = None, why: str = "") -> Baseline:
    """Unpin what is pinned; the history stays."""
    return baselines.append(engine, None, who=who, why=why.strip() or "unpinned")


def as_json(found: Baseline) -> dict[str, Any]:
    """Return a row of the history for programs."""
    return {
        "side": found.side,
        "who": found.who,
        "why": found.why,
        "at": found.created_at.isoformat(),
        "newest_evaluation": found.newest_evaluation,
    }


def evaluations_of(engine: Engine, found: Baseline) -> list[StoredEvaluation]:
    """Return the evaluations that a baseline is made of.

    Raises:
        RagBenchError: they are not there any more.
    """
    from rag_bench.store.evaluations import find_settings_hash, joined
    from rag_bench.store.evaluations.finding import by_id

    kind, _, name = (found.side or "").partition(":")
    if kind == "evaluation":
        one = by_id(engine, int(name))
        return [one] if one is not None else []
    model, _, settings = name.rpartition("@") if kind == "model" else ("", "", name)
    whole = find_settings_hash(engine, settings)
    if whole is None:
        raise RagBenchError(f"The baseline {found.side} is not in this store any more.")
    every = joined(engine, whole, up_to=found.newest_evaluation)
    return [one for one in every if not model or one.generation_model == model]


def against_baseline(
    engine: Engine,
    settings_hash: str | None = None,
    terms: Terms = Terms(),  # noqa: B008
    *,
    wanted: Sequence[str] | None = None,
) -> AgainstBaseline | None:
    """Compare the newest results under a settings hash with the pinned baseline; None: none is.

    A cell is a tier, a kind and its models. A baseline of one model stands for every model: the
    question is then whether another one may take its place. Where the baseline's judge scores no
    more, its cell is that of the judge that a bridge links it with.

    Args:
        engine: the database.
        settings_hash: of what is held against it; None: the newest whole results.
        terms: how strictly.
        wanted: only cells that have one of these metrics; None: all.
    """
    from rag_bench.store.evaluations import joined, newest_settings_hash

    pinned = baselines.current_baseline(engine)
    if pinned is None:
        return None
    settings_hash = settings_hash or newest_settings_hash(engine)
    if settings_hash is None:
        raise RagBenchError("Nothing was measured yet.")
    earlier = evaluations_of(engine, pinned)
    of_one_model = not (pinned.side or "").startswith("settings:")
    by_cell = {_cell(one, of_one_model): one for one in earlier}
    newest = joined(engine, settings_hash)
    measured = {_cell(one, of_one_model) for one in newest}
    retired = [one for cell, one in by_cell.items() if cell not in measured]
    cells, alone = [], []
    for one in newest:
        if wanted is not None and not set(wanted) & one.metrics.keys():
            continue
        counterpart = by_cell.get(_cell(one, of_one_model))
        across = None
        if counterpart is None:
            counterpart, why = _across(engine, one, retired, of_one_model)
            if counterpart is None:
                alone.append(_label(one) + why)
                continue
            across = counterpart.benchmark_judge_model
        same = counterpart.id == one.id
        found = None if same else _compared(engine, counterpart.id, one.id, terms)
        cells.append(Cell(_label(one), counterpart.id, one.id, found, across))
    return AgainstBaseline(pinned, settings_hash, cells, alone)


def lines(found: AgainstBaseline) -> Iterator[str]:
    """Yield it in words."""
    since = f"{found.baseline.created_at:%Y-%m-%d %H:%M}"
    yield f"Against the baseline {found.baseline.side} of {since}: {found.verdict or 'the same'}"
    for cell in found.cells:
        word = "the same evaluation" if cell.compared is None else cell.compared.verdict
        yield f"  {cell.label}: {word}{cell.mark} (rag-bench compare {cell.a} {cell.b})"
    for one in found.alone:
        yield f"  {one}: not in the baseline"


def _compared(engine: Engine, a: int, b: int, terms: Terms) -> Compared:
    from rag_bench.store.evaluations.comparing import find_evaluation

    with engine.connect() as connection:
        first, second = find_evaluation(connection, a), find_evaluation(connection, b)
    assert first is not None, "evaluations are never deleted"
    assert second is not None, "evaluations are never deleted"
    return compare_sides(engine, of_evaluation(engine, first), of_evaluation(engine, second), terms)


def _across(
    engine: Engine, one: StoredEvaluation, retired: Sequence[StoredEvaluation], of_one_model: bool
) -> tuple[StoredEvaluation | None, str]:
    """Return the counterpart by another judge that a bridge links with this one's, or why none."""
    judge, cell = one.benchmark_judge_model, _cell(one, of_one_model)
    if judge is None:
        return None, ""
    others = {
        str(other.benchmark_judge_model): other
        for other in retired
        if other.benchmark_judge_model
        and _cell(replace(other, benchmark_judge_model=judge), of_one_model) == cell
    }
    for name, other in others.items():
        if linked(engine, name, judge):
            return other, ""
    if not others:
        return None, ""
    return (
        None,
        f"; another judge scored it there: rag-bench judge-bridge {next(iter(others))} {judge}",
    )


def _cell(one: StoredEvaluation, of_one_model: bool) -> tuple[Any, ...]:
    generation = one.generation_model is not None if of_one_model else one.generation_model
    return (
        *(one.tier, one.kind, generation),
        *(one.benchmark_judge_model, one.production_judge_model),
    )


def _label(one: StoredEvaluation) -> str:
    judge = one.benchmark_judge_model or one.production_judge_model
    of = f" of {one.generation_model}" if one.generation_model else ""
    return f"tier {one.tier} {one.kind}{of}{f' by {judge}' if judge else ''}"
