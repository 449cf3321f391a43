"""What tier judge must not show of a benchmark judge whose scores are to order models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Requirement:
    """A limit that a judge fails if even the better end of its interval is beyond it."""

    metrics: tuple[str, ...]
    limit: float
    is_least: bool
    meaning: str


#: What tier judge must not show of a judge if its scores are to order generation models. People's
#: labels go before constructed ones. 0.5 is the AUC of chance; a judge that misses every 20th
#: score, or changes its mind about every fourth answer, orders models by its own accidents.
REQUIREMENTS = (
    Requirement(("error_rate",), 0.05, False, "its replies often cannot be used"),
    Requirement(("label_auc", "constructed_auc"), 0.75, True, "it hardly tells good from bad"),
    Requirement(("decision_flip_rate",), 0.25, False, "it changes its mind about an answer"),
    Requirement(("score_collapse",), 0.95, False, "it gives nearly always the same score"),
)


def failed_requirements(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return, in words, what a judge fails of ``REQUIREMENTS``.

    ``metrics`` are tier judge's, as stored. Only what is shown to be beyond its limit fails, by the
    interval where there is one; what was not measured fails nothing.
    """
    failed = []
    for required in REQUIREMENTS:
        known = (metrics.get(name, {}) for name in required.metrics)
        found = next((m for m in known if m.get("value") is not None), None)
        if found is None:
            continue
        end = found.get("ci_high" if required.is_least else "ci_low")
        value = found["value"] if end is None else end
        if value < required.limit if required.is_least else value > required.limit:
            name = next(n for n in required.metrics if metrics.get(n) is found)
            word = "at least" if required.is_least else "at most"
            measured = f"{name} {found['value']:.2f}, {word} {required.limit:g} is needed"
            failed.append(f"{required.meaning}: {measured}")
    return failed
