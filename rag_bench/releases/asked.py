"""What asking again takes and has become: in words, and for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.releases.reproducing import Reproduction

if TYPE_CHECKING:
    from rag_bench.tiers.plan.lines import Plan


@dataclass
class Whole:
    """The other cases of the old side, by which it is told whether it is still itself.

    Asked only where fresh answers do not confirm a proven loss; ``plan``: the price.
    """

    n_cases: int
    plan: Mapping[str, Any]
    asked: bool = False
    why_not: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return _of_both(self)

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        price = _price(self.plan)
        done = "were asked" if self.asked else "are asked if fresh answers confirm no loss"
        yield f"{self.n_cases} other cases of the old side {done}: is it still itself? {price}."
        if self.why_not:
            yield f"They were not asked: {self.why_not}"


@dataclass
class Again:
    """What became of asking again; ``plan``: its price, None where nothing was to be asked.

    ``reproduction``: whether both sides still give their stored scores; None: not asked again.
    ``whole``: the rest of the old side; None: no loss is proven, or no case is left.
    """

    plan: Mapping[str, Any] | None = None
    asked: bool = False
    why_not: str | None = None
    n_cases: int = 0
    reproduction: Reproduction | None = None
    whole: Whole | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            **_of_both(self),
            "old_side": None if self.whole is None else self.whole.as_json(),
            "reproduction": None if self.reproduction is None else self.reproduction.as_json(),
        }

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        if self.plan is None:
            if self.why_not:
                yield self.why_not
            return
        price = _price(self.plan)
        done = "was asked again" if self.asked else "would be asked again"
        yield f"{self.n_cases} cases decide; with fresh answers of both sides it {done}: {price}."
        if self.why_not:
            yield f"It was not asked again: {self.why_not}"
        if self.whole is not None:
            yield from self.whole.lines()
        if self.reproduction is not None:
            yield from self.reproduction.sentences


def _of_both(one: Whole | Again) -> dict[str, Any]:
    return {
        "asked": one.asked,
        "cases": one.n_cases,
        "why_not": one.why_not,
        "price": one.plan,
    }


def _price(plan: Mapping[str, Any]) -> str:
    return (
        f"{plan['calls']} calls for about {usd(plan['cost_usd'])}, at most {plan['most_calls']} "
        f"for {usd(plan['most_usd'])}"
    )


def told(plan: Plan) -> dict[str, Any]:
    """Return a price for programs."""
    told = plan.to_json()
    return {
        "calls": plan.n_to_send + plan.n_unknown,
        "most_calls": plan.n_most,
        "cost_usd": told["cost_usd"],
        "most_usd": told["most_usd"],
        "seconds": plan.seconds,
        "lines": told["lines"],
        "notes": told["notes"],
    }


def usd(cost: float | None) -> str:
    """Return dollars in words."""
    return "an unknown price" if cost is None else f"{cost:.4f} USD"
