"""Marks of results whose instrument did not stay the same: said wherever they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.instrument.served import last_asked, mixed, served_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.store.evaluations.canaries import Change
    from rag_bench.store.evaluations.instruments import Measured

_SHOWN = 5  # evaluations that a mark names


def mark_of(inputs: Mapping[str, Any]) -> str | None:
    """Return the mark of one evaluation: which of its models were served by two; None: none."""
    found = [one.in_words for one in mixed(inputs)]
    return f"Mixed instruments: {'; '.join(found)}." if found else None


def board_marks(engine: Engine, settings_hash: str) -> list[str]:
    """Return the marks of all results under one settings hash, as sentences."""
    from rag_bench.store.evaluations.canaries import changes
    from rag_bench.store.evaluations.instruments import measured_under

    measured = measured_under(engine, settings_hash)
    return [*marks(measured), *change_marks(measured, changes(engine))]


def change_marks(measured: Sequence[Measured], found: Iterable[Change]) -> list[str]:
    """Return a sentence per change of a judge that a canary has found: which results it touches."""
    said = []
    for change in found:
        mine = [one for one in measured if one.benchmark_judge_model == change.judge]
        if not mine:
            continue
        after = [one.id for one in mine if asked_after(one, change)]
        before = [one.id for one in mine if one.id not in after]
        text = f"{change.judge} has changed ({in_words(change)}): "
        if after and before:
            text += f"{_ids(after)} may be the new judge's, {_ids(before)} the old one's."
        elif after:
            text += f"{_ids(after)} may be the new judge's, or of both."
        else:
            text += f"{_ids(before)} are the old one's, and new scores will be the new one's."
        said.append(text)
    return said


def asked_after(one: Measured, change: Change) -> bool:
    """Whether a result rests on replies made since the judge was last known to be the old one."""
    last = last_asked(one.inputs, change.judge) or one.finished_at
    return last is None or last > change.since


def in_words(change: Change) -> str:
    """Say how a change was found."""
    result, day = change.result, f"{change.seen:%Y-%m-%d}"
    if result.get("another_model"):
        names = [sorted({str(row[0]) for row in result[k]}) for k in ("served_before", "served")]
        return f"canary of {day}: served by {', '.join(names[1])}, before {', '.join(names[0])}"
    shift = result["shift"]
    return (
        f"canary of {day}: {result['moved']} of {result['n_cases']} verdicts moved, mean "
        f"{shift['value']:+.2f}, p = {result['p']:.4f}"
    )


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
