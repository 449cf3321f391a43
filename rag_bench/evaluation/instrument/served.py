"""Which model really answered: what replies say of themselves, counted and compared.

A model's name is what a user configures; behind it a provider may put another version at any time.
Replies of chat completions name the model that served them (`model`) and the build of its backend
(`system_fingerprint`). Both are kept with every call; here they are counted per evaluation, and an
evaluation whose calls name two is marked: its cases were measured by two instruments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: The field of an evaluation's inputs.
FIELD = "served"


@dataclass(frozen=True)
class Served:
    """What a reply says of who made it; None where it says nothing."""

    model: str | None = None
    fingerprint: str | None = None

    def __bool__(self) -> bool:
        return self.model is not None or self.fingerprint is not None

    @property
    def in_words(self) -> str:
        """The name, and the fingerprint in brackets."""
        if self.fingerprint is None:
            return self.model or ""
        return f"{self.model or '?'} [{self.fingerprint}]"


#: A reply that says nothing.
UNSAID = Served()


@dataclass
class _Seen:
    calls: int
    first: datetime
    last: datetime


@dataclass
class ServedTally:
    """Counts by whom the calls of one evaluation were served; replies from the ledger count as
    what they were when they were made.
    """

    _seen: dict[tuple[str, Served], _Seen] = field(default_factory=dict)

    def note(self, model_key: str, served: Served, at: datetime) -> None:
        """Count one reply to a request to ``model_key``; ``at``: when it was made."""
        if not served:
            return
        seen = self._seen.setdefault((model_key, served), _Seen(0, at, at))
        seen.calls += 1
        seen.first, seen.last = min(seen.first, at), max(seen.last, at)

    def update(self, other: ServedTally) -> None:
        """Add what another tally has counted."""
        for key, found in other._seen.items():
            seen = self._seen.setdefault(key, _Seen(0, found.first, found.last))
            seen.calls += found.calls
            seen.first, seen.last = min(seen.first, found.first), max(seen.last, found.last)

    def as_inputs(self) -> dict[str, Any]:
        """Return the field of an evaluation's inputs; nothing if no reply said anything.

        By the model that was asked, those that answered, in the order of their first reply:
        ``model``, ``system_fingerprint``, ``calls``, and when the ``first`` and the ``last`` of
        their replies were made.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for (key, served), seen in sorted(
            self._seen.items(), key=lambda one: (one[0][0], one[1].first, one[0][1].in_words)
        ):
            found.setdefault(key, []).append(
                {
                    "model": served.model,
                    "system_fingerprint": served.fingerprint,
                    "calls": seen.calls,
                    "first": seen.first.isoformat(),
                    "last": seen.last.isoformat(),
                }
            )
        return {FIELD: found} if found else {}


def served_of(inputs: Mapping[str, Any]) -> dict[str, list[Served]]:
    """Return who answered, by the model that was asked; empty of results that do not say it."""
    found = inputs.get(FIELD) or {}
    return {
        key: [Served(one.get("model"), one.get("system_fingerprint")) for one in rows]
        for key, rows in found.items()
    }


def names_of(inputs: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return who answered in words, sorted, by the model that was asked."""
    return {
        key: sorted({one.in_words for one in served}) for key, served in served_of(inputs).items()
    }


def last_asked(inputs: Mapping[str, Any], model_key: str) -> datetime | None:
    """Return when the newest of an evaluation's replies of a model was made; None: not recorded."""
    rows = (inputs.get(FIELD) or {}).get(model_key) or []
    return max((datetime.fromisoformat(row["last"]) for row in rows), default=None)


@dataclass(frozen=True)
class Mixed:
    """One asked model that two or more answered for.

    ``by_name``: their names differ; otherwise only the fingerprints do.
    """

    model_key: str
    names: tuple[str, ...]
    by_name: bool

    @property
    def in_words(self) -> str:
        """What is wrong, for people."""
        what = "different models" if self.by_name else "different builds (system_fingerprint)"
        return f"{self.model_key} was answered for by {what}: {', '.join(self.names)}"


def mixed(inputs: Mapping[str, Any]) -> list[Mixed]:
    """Return the models of an evaluation that more than one answered for.

    A reply that names no model, or no fingerprint, contradicts none that does.
    """
    found = []
    for key, served in sorted(served_of(inputs).items()):
        models = {one.model for one in served if one.model is not None}
        prints = {one.fingerprint for one in served if one.fingerprint is not None}
        if len(models) > 1 or len(prints) > 1:
            names = tuple(sorted({one.in_words for one in served}))
            found.append(Mixed(key, names, len(models) > 1))
    return found


def differ(one: Iterable[Served], other: Iterable[Served]) -> bool:
    """Whether two sides were served by different models or builds, as far as both say it."""
    first, second = list(one), list(other)
    for name in ("model", "fingerprint"):
        a = {getattr(s, name) for s in first} - {None}
        b = {getattr(s, name) for s in second} - {None}
        if a and b and a != b:
            return True
    return False
