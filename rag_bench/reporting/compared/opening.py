"""What a word names: an evaluation, a run, a settings hash, a dump, a model; or its beginning."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rag_bench.errors import RagBenchError
from rag_bench.reporting.compared.sides import (
    NothingToCompareError,
    Side,
    of_evaluation,
    of_run,
)

if TYPE_CHECKING:
    from sqlalchemy import Engine

# PostgreSQL's bigint.
_GREATEST_ID = 2**63 - 1
_KIND = re.compile(r"(run|evaluation|model|settings|dump):")
_NUMBER = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{4,64}")
_LISTED = 5
#: Names what is pinned (`rag-bench baseline`).
BASELINE = "baseline"


@dataclass(frozen=True)
class _Meant:
    """What a word may mean: the whole name of it, and how it is opened.

    ``exact``: the word is its whole name, or that of a model.
    """

    kind: str
    name: str
    opened: Callable[[], Side | None]
    exact: bool = False


def open_side(engine: Engine, wanted: str, name: Literal["a", "b"]) -> Side:
    """Return what ``wanted`` names: an evaluation's number, or the id, or its beginning, of a run,
    of a settings hash, of a dump, or a generation model, ``MODEL`` or ``MODEL@SETTINGS``.

    ``run:…``, ``evaluation:…``, ``model:…``, ``settings:…`` and ``dump:…`` say which is meant. A
    whole name beats the beginning of another. ``baseline``: what is pinned.

    Raises:
        NothingToCompareError: there is none, or several are meant; they are listed.
    """
    if wanted.strip() == BASELINE:
        wanted = _pinned(engine, name)
    meant = _one_meant(engine, wanted, name)
    side = meant.opened()
    if side is None:
        raise NothingToCompareError(name, f"There is nothing measured of {wanted!r}.")
    return side


def meant_by(engine: Engine, wanted: str, name: Literal["a", "b"]) -> tuple[str, str]:
    """Return the kind and the whole name of what a word names; raises as `open_side`."""
    meant = _one_meant(engine, wanted, name)
    return meant.kind, meant.name


def _pinned(engine: Engine, name: Literal["a", "b"]) -> str:
    from rag_bench.store.releases.baselines import current_baseline

    found = current_baseline(engine)
    if found is None or found.side is None:
        raise NothingToCompareError(
            name, 'No baseline is pinned: `rag-bench baseline pin newest --why "…"` pins one.'
        )
    return found.side


def _one_meant(engine: Engine, wanted: str, name: Literal["a", "b"]) -> _Meant:
    said = _KIND.match(wanted.strip())
    kind = said[1] if said else None
    given = wanted.strip()[said.end() if said else 0 :]
    if not given or "\x00" in given:
        raise NothingToCompareError(name, f"{wanted!r} names nothing.")
    try:
        meant = _meant(engine, kind, given)
    except RagBenchError as error:
        raise NothingToCompareError(name, str(error), several=True) from None
    if len(meant) > 1:
        listed = ", ".join(f"{one.kind}:{one.name}" for one in meant[:_LISTED])
        more = " …" if len(meant) > _LISTED else ""
        raise NothingToCompareError(
            name, f"{given!r} may mean {len(meant)} things: {listed}{more}.", several=True
        )
    if not meant:
        what = f"no {kind}" if kind else "no run, no evaluation and no measured model"
        raise NothingToCompareError(name, f"There is {what} {given!r}.")
    return meant[0]


def _meant(engine: Engine, kind: str | None, given: str) -> list[_Meant]:
    """Return all that a word may mean; a whole name alone, if it is one."""
    from rag_bench.store.eval_runs.comparing import find_run
    from rag_bench.store.evaluations.comparing import find_evaluation

    if kind in (None, "evaluation") and _NUMBER.fullmatch(given) and int(given) <= _GREATEST_ID:
        with engine.connect() as connection:
            found = find_evaluation(connection, int(given))
        if found is not None:
            return [_Meant("evaluation", given, lambda: of_evaluation(engine, found))]
    meant: list[_Meant] = []
    if kind in (None, "run"):
        with engine.connect() as connection:
            run = find_run(connection, given)
        if run is not None:
            meant.append(_Meant("run", run.id, lambda: of_run(engine, run)))
    if kind in (None, "model"):
        meant += _models(engine, given)
    if kind in (None, "settings", "dump") and _HASH.fullmatch(given):
        meant += _settings(engine, given) if kind != "dump" else []
        meant += _dumps(engine, given) if kind != "settings" else []
    whole = [one for one in meant if one.exact or one.name == given]
    return whole[:1] or meant


def _models(engine: Engine, given: str) -> Sequence[_Meant]:
    """Return the measured models of a name, ``MODEL@SETTINGS`` or ``MODEL``, or that begin so."""
    from rag_bench.reporting.compared.several import of_model
    from rag_bench.store.evaluations import find_settings_hash, joined, newest_settings_hash

    model, settings = given, newest_settings_hash(engine)
    before, at, after = given.rpartition("@")
    if at and _HASH.fullmatch(after):
        model, settings = before, find_settings_hash(engine, after)
    if settings is None:
        return []
    measured = {one.generation_model for one in joined(engine, settings)} - {None}
    names = sorted(name for name in measured if name and name.startswith(model))
    if model in names:
        names = [model]
    chosen = settings
    return [
        _Meant(
            "model",
            f"{name}@{chosen[:12]}",
            lambda name=name: of_model(engine, name, chosen),  # type: ignore[misc]
            exact=name == model,
        )
        for name in names
    ]


def _settings(engine: Engine, given: str) -> Sequence[_Meant]:
    from rag_bench.reporting.compared.several import of_settings
    from rag_bench.store.evaluations.comparing import settings_that_begin

    with engine.connect() as connection:
        hashes = settings_that_begin(connection, given)
    return [
        _Meant("settings", one, lambda one=one: of_settings(engine, one))  # type: ignore[misc]
        for one in hashes
    ]


def _dumps(engine: Engine, given: str) -> Sequence[_Meant]:
    from rag_bench.reporting.compared.several import of_dump
    from rag_bench.store.evaluations.comparing import dumps_that_begin

    with engine.connect() as connection:
        hashes = dumps_that_begin(connection, given)
    return [
        _Meant("dump", one, lambda one=one: of_dump(engine, one))  # type: ignore[misc]
        for one in hashes
    ]
