"""What a bridge between two judges says, in words, and what crosses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.instrument.bridge import Link

if TYPE_CHECKING:
    from sqlalchemy import Engine


def detail_between(engine: Engine, a: str | None, b: str | None) -> dict[str, Any] | None:
    """Return how the judges of two sides are linked, for a comparison: by the bridge from ``a`` to
    ``b`` or back, or that there is none. None: one side has no judge.
    """
    from rag_bench.store.evaluations.bridges import bridge_between

    if not a or not b:
        return None
    found = bridge_between(engine, a, b) or bridge_between(engine, b, a)
    if found is None:
        return {
            "unknown": "the judges are two rulers: a difference may be theirs. Link them: "
            f"rag-bench judge-bridge {a} {b}"
        }
    result = found.inputs["result"]
    return {
        "bridge": {"evaluation_id": found.id, "from": result["old"], "to": result["new"]},
        "links": lines(result),
    }


def lines(result: Mapping[str, Any]) -> list[str]:
    """Return one line per metric: agreement, shift, link, and whether ranks changed."""
    return [f"{name}: {line(one)}" for name, one in result["metrics"].items()]


def line(one: Mapping[str, Any]) -> str:
    """Return a metric's bridge in words."""
    shift = one["shift"]
    said = f"{one['n_pairs']} answers of {one['n_pages']} pages, the same score for "
    said += f"{one['exact']['value']:.0%}, shift {shift['value']:+.2f}"
    if shift["ci_low"] is not None:
        said += f" [{shift['ci_low']:+.2f}, {shift['ci_high']:+.2f}]"
    if one["link"]:
        link = Link.from_json(one["link"])
        value, low, high = link.at(4.0)
        said += f"; a mean of 4.00 becomes {value:.2f} [{low:.2f}, {high:.2f}]"
    else:
        said += "; too few answers or pages to link means"
    turned = [" and ".join(pair) for pair in one["turned"]]
    return said + (f"; order turned: {', '.join(turned)}" if turned else "")


def crossed(
    engine: Engine, old: str, new: str, metric: str, value: float
) -> tuple[float, float, float] | None:
    """Return a mean by the old judge on the new one's scale, with its interval; None: no bridge, or
    it links no means of this metric (``tier_<tier>.<name>``).
    """
    from rag_bench.store.evaluations.bridges import bridge_between

    found = bridge_between(engine, old, new)
    one = found.inputs["result"]["metrics"].get(metric) if found else None
    return Link.from_json(one["link"]).at(value) if one and one["link"] else None
