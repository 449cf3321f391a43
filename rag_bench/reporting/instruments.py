"""Marks of results whose instrument did not stay the same: said wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.instrument.served import mixed, served_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations.instruments import Measured

_SHOWN = 5  # evaluations that a mark names


def mark_of(inputs: Mapping[str, Any]) -> str | None:
    """Return the mark of one evaluation: which of its models were served by two; None: none."""
    found = [one.in_words for one in mixed(inputs)]
    return f"Mixed instruments: {'; '.join(found)}." if found else None


def board_marks(engine: Engine, settings_hash: str) -> list[str]:
    """Return the marks of all results under one settings hash, as sentences."""
    from rag_bench.store.evaluations.instruments import measured_under

    return marks(measured_under(engine, settings_hash))


def marks(measured: Iterable[Measured]) -> list[str]:
    """Return a sentence per asked model that more than one answered for: within evaluations, or in
    some of them another than in others.
    """
    within: dict[str, list[int]] = {}
    by_model: dict[str, dict[str, list[int]]] = {}
    for one in measured:
        for bad in mixed(one.inputs):
            within.setdefault(bad.model_key, []).append(one.id)
        for key, served in served_of(one.inputs).items():
            for name in {s.in_words for s in served}:
                by_model.setdefault(key, {}).setdefault(name, []).append(one.id)
    said = []
    for key in sorted(by_model):
        names = by_model[key]
        # One that names no fingerprint is no other instrument than one of the same name that does.
        models = {name.partition(" [")[0] for name in names}
        prints = {name for name in names if " [" in name}
        if key in within:
            said.append(
                f"{key} was answered for by {_listed(sorted(names))} within {_ids(within[key])}: "
                "their cases were measured by two instruments."
            )
        elif len(models) > 1 or len(prints) > 1:
            parts = [f"{name} in {_ids(ids)}" for name, ids in sorted(names.items())]
            said.append(
                f"{key} was answered for by {_listed(parts)}: a difference between these may be "
                "that of the instruments."
            )
    return said


def _ids(ids: Sequence[int]) -> str:
    shown = ", ".join(str(one) for one in sorted(ids)[:_SHOWN])
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"evaluation{'s' if len(ids) > 1 else ''} {shown}{more}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(parts) if len(parts) < 3 else f"{', '.join(parts[:-1])} and {parts[-1]}"
