"""A plan as it is shown: a line per asset and model, and what they sum up to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

#: What a line's latency rests on.
OF_MODEL, OF_PROVIDER, ASSUMED = "model", "provider", "assumed"


@dataclass(frozen=True)
class PlanLine:
    """One asset's calls to one model.

    Attributes:
        n_requests: how often the model is asked for something.
        n_in_ledger: distinct requests that the ledger answers.
        n_to_send: distinct requests that will be sent.
        n_unknown: requests unknown until others are answered: at most so many are sent, too.
        prompt_tokens: of what will be sent, unknown ones included; an estimate.
        completion_tokens: likewise.
        cost_usd: likewise; None: the model's price is unknown.
        n_again: so many of what will be sent, unknown ones included, may be sent once more each, as
            a judge whose reply cannot be read is asked again; on top of them.
        most_usd: the cost if they all were, and every reply were as long as it may be.
        seconds: of this asset's calls at the provider's calls in flight.
        latency: seconds that one call is taken to last.
        basis: what that rests on: measured calls of the ``model``, or of others of its
            ``provider``, or ``assumed`` by the settings, as none was ever measured.
    """

    asset: str
    role: str
    model: str
    n_requests: int
    n_in_ledger: int
    n_to_send: int
    n_unknown: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    seconds: float
    latency: float = 0.0
    basis: str = ASSUMED
    n_again: int = 0
    most_usd: Decimal | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the line with plain numbers."""
        return {
            **asdict(self),
            "cost_usd": _plain(self.cost_usd),
            "most_usd": _plain(self.most_usd),
        }


@dataclass(frozen=True)
class Plan:
    """All lines, in the order of the sweep, and remarks on what could not be known."""

    lines: Sequence[PlanLine]
    notes: Sequence[str] = ()
    providers: Mapping[str, str] = field(default_factory=dict)  # of the lines' models

    @property
    def n_to_send(self) -> int:
        """Calls that will be made, those unknown as yet left out."""
        return sum(line.n_to_send for line in self.lines)

    @property
    def n_unknown(self) -> int:
        """Calls that may be made on top."""
        return sum(line.n_unknown for line in self.lines)

    @property
    def n_most(self) -> int:
        """Calls at most: those unknown, and a second one wherever a judge may be asked again."""
        return self.n_to_send + self.n_unknown + sum(line.n_again for line in self.lines)

    @property
    def cost_usd(self) -> Decimal | None:
        """What it may cost in all; None: a price is unknown."""
        return self._sum(lambda line: line.cost_usd)

    @property
    def most_usd(self) -> Decimal | None:
        """What it costs at most, prompts estimated as ever; None: a price is unknown."""
        return self._sum(lambda line: line.most_usd)

    def _sum(self, of: Callable[[PlanLine], Decimal | None]) -> Decimal | None:
        costs = [of(line) for line in self.lines if line.n_to_send or line.n_unknown]
        return None if None in costs else sum((c for c in costs if c is not None), Decimal(0))

    @property
    def seconds(self) -> float:
        """Time of all calls: assets one after another, an asset's providers side by side."""
        by_asset: dict[str, dict[str, float]] = {}
        for line in self.lines:
            if not line.n_to_send and not line.n_unknown:
                continue
            own = by_asset.setdefault(line.asset, {})
            provider = self.providers[line.model]
            own[provider] = own.get(provider, 0.0) + line.seconds
        return sum(max(own.values()) for own in by_asset.values())

    @property
    def assumed(self) -> Mapping[str, float]:
        """Models to be asked, no call of which, nor of their provider, was ever timed; and the
        seconds that are assumed of one.
        """
        asked = (line for line in self.lines if line.n_to_send or line.n_unknown)
        return {line.model: line.latency for line in asked if line.basis == ASSUMED}

    def to_json(self) -> dict[str, Any]:
        """Return the plan for metadata and `--json`."""
        return {
            "lines": [line.to_json() for line in self.lines],
            "n_to_send": self.n_to_send,
            "n_unknown": self.n_unknown,
            "n_most": self.n_most,
            "cost_usd": _plain(self.cost_usd),
            "most_usd": _plain(self.most_usd),
            "seconds": self.seconds,
            "notes": list(self.notes),
        }


def _plain(cost: Decimal | None) -> float | None:
    return None if cost is None else float(cost)
