"""What a bridge between two judges says, in words, and what crosses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.instrument.bridge import Link
from rag_bench.evaluation.rubrics import PREFIX

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A judge that hardly tells answers apart links nothing.
_LEAST_SLOPE = 1e-6


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


def link_between(
    engine: Engine, old: str, new: str, tier: str, metric: str
) -> tuple[int, str, str, Link] | None:
    """Return the newest bridge from one judge to another, its ends, and its link of a metric.

    None: there is none, or it links no means of this metric: too few answers, or a judge that
    always says the same.
    """
    from rag_bench.store.evaluations.bridges import bridge_between

    found = bridge_between(engine, old, new)
    one = found.inputs["result"]["metrics"].get(f"tier_{tier}.{metric}") if found else None
    if found is None or one is None or not one["link"]:
        return None
    link = Link.from_json(one["link"])
    return (found.id, old, new, link) if link.slope > _LEAST_SLOPE else None


def linked(engine: Engine, a: str, b: str) -> bool:
    """Whether there is a bridge between two judges, in either direction."""
    from rag_bench.store.evaluations.bridges import bridge_between

    return any(bridge_between(engine, *ends) is not None for ends in ((a, b), (b, a)))


def how_to_link(engine: Engine, a: str, b: str, metric: str) -> str:
    """Return why scores of two judges are not on one scale, and what to do."""
    said = f"two judges scored it, {a} and {b}"
    if not metric.startswith(PREFIX):
        return f"{said}, and a bridge links rubrics only: let one judge score both sides"
    if not linked(engine, a, b):
        return f"{said}: link them by rag-bench judge-bridge {a} {b}"
    return f"{said}, and their bridge links no means of it: let one judge score both sides"
