"""The offline models that there are, with their numbers: the one place where these stand.

``docs/offline_models.md`` shows the same tables (`tables`); a test compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rag_bench.simulator.models import Extractive, Gate, Generator, Judge, OfflineModel
from rag_bench.simulator.truth import WORTH, Quality


def _shares(
    correct: float, partial: float, wrong: float, hallucinated: float, refused: float
) -> dict[Quality, float]:
    return {
        Quality.correct: correct,
        Quality.partial: partial,
        Quality.wrong: wrong,
        Quality.hallucinated: hallucinated,
        Quality.refused: refused,
    }


GENERATORS = (
    Generator(
        "sim-strong",
        _shares(0.90, 0.04, 0.02, 0.02, 0.02),
        refuses_when_absent=0.95,
        variation=0.05,
        verbose=0.15,
        no_citation=0.01,
        invalid_citation=0.0,
    ),
    Generator(
        "sim-medium",
        _shares(0.74, 0.10, 0.06, 0.05, 0.05),
        refuses_when_absent=0.75,
        variation=0.15,
        verbose=0.30,
        no_citation=0.06,
        invalid_citation=0.01,
    ),
    Generator(
        "sim-weak",
        _shares(0.52, 0.14, 0.14, 0.12, 0.08),
        refuses_when_absent=0.40,
        variation=0.30,
        verbose=0.45,
        no_citation=0.25,
        invalid_citation=0.04,
    ),
    Generator(
        "sim-careful",
        _shares(0.70, 0.06, 0.02, 0.01, 0.21),
        refuses_when_absent=0.99,
        variation=0.05,
        verbose=0.20,
        no_citation=0.01,
        invalid_citation=0.0,
    ),
    Generator(
        "sim-bold",
        _shares(0.72, 0.08, 0.06, 0.13, 0.01),
        refuses_when_absent=0.20,
        variation=0.20,
        verbose=0.35,
        no_citation=0.08,
        invalid_citation=0.02,
    ),
    Generator(
        "sim-chatty",
        _shares(0.82, 0.06, 0.05, 0.04, 0.03),
        refuses_when_absent=0.70,
        variation=0.25,
        verbose=0.90,
        no_citation=0.05,
        invalid_citation=0.01,
    ),
    Generator(
        "sim-terse",
        _shares(0.60, 0.30, 0.04, 0.02, 0.04),
        refuses_when_absent=0.80,
        variation=0.05,
        verbose=0.0,
        no_citation=0.04,
        invalid_citation=0.0,
    ),
    Generator(
        "sim-unsteady",
        _shares(0.76, 0.08, 0.07, 0.05, 0.04),
        refuses_when_absent=0.60,
        variation=0.80,
        verbose=0.30,
        no_citation=0.10,
        invalid_citation=0.02,
    ),
    Generator(
        "sim-uncited",
        _shares(0.84, 0.06, 0.04, 0.03, 0.03),
        refuses_when_absent=0.80,
        variation=0.10,
        verbose=0.20,
        no_citation=0.70,
        invalid_citation=0.10,
    ),
)
JUDGES = (
    Judge(
        "sim-judge-sharp",
        sensitivity=0.98,
        specificity=0.97,
        bias=0.0,
        noise=0.05,
        variation=0.02,
        unreadable=0.0,
    ),
    Judge(
        "sim-judge-noisy",
        sensitivity=0.88,
        specificity=0.85,
        bias=0.0,
        noise=0.35,
        variation=0.30,
        unreadable=0.01,
    ),
    Judge(
        "sim-judge-lenient",
        sensitivity=0.99,
        specificity=0.65,
        bias=0.6,
        noise=0.10,
        variation=0.05,
        unreadable=0.02,
    ),
    Judge(
        "sim-judge-strict",
        sensitivity=0.75,
        specificity=0.99,
        bias=-0.6,
        noise=0.1,
        variation=0.05,
        unreadable=0.01,
        length_bias=-0.4,
    ),
    Judge(
        "sim-judge-steady",
        sensitivity=0.95,
        specificity=0.93,
        bias=0.0,
        noise=0.0,
        variation=0.0,
        unreadable=0.0,
    ),
    Judge(
        "sim-judge-moody",
        sensitivity=0.85,
        specificity=0.85,
        bias=0.0,
        noise=0.3,
        variation=0.8,
        unreadable=0.01,
        position_bias=0.5,
    ),
    Judge(
        "sim-judge-generous",
        sensitivity=0.97,
        specificity=0.5,
        bias=0.9,
        noise=0.05,
        variation=0.05,
        unreadable=0.0,
        length_bias=0.6,
        style_bias=0.3,
    ),
    Judge(
        "sim-judge-blunt",
        sensitivity=0.9,
        specificity=0.88,
        bias=0.0,
        noise=0.2,
        variation=0.1,
        unreadable=0.0,
    ),
    Judge(
        "sim-judge-fragile",
        sensitivity=0.93,
        specificity=0.92,
        bias=0.0,
        noise=0.1,
        variation=0.1,
        unreadable=0.12,
    ),
    Judge(
        "sim-judge-blind",
        sensitivity=0.6,
        specificity=0.55,
        bias=0.2,
        noise=0.4,
        variation=0.3,
        unreadable=0.0,
        position_bias=-0.4,
        style_bias=0.5,
    ),
)
GATES = (
    Gate("sim-gate-balanced", sensitivity=0.93, specificity=0.90, unreadable=0.0),
    Gate("sim-gate-strict", sensitivity=0.80, specificity=0.97, unreadable=0.01),
    Gate("sim-gate-lenient", sensitivity=0.98, specificity=0.70, unreadable=0.01),
    Gate("sim-gate-sharp", sensitivity=0.98, specificity=0.97, unreadable=0.0),
    Gate("sim-gate-shy", sensitivity=0.6, specificity=0.99, unreadable=0.0),
    Gate("sim-gate-open", sensitivity=0.99, specificity=0.4, unreadable=0.0),
    Gate("sim-gate-even", sensitivity=0.85, specificity=0.85, unreadable=0.0),
    Gate("sim-gate-fragile", sensitivity=0.92, specificity=0.9, unreadable=0.12),
    Gate("sim-gate-blunt", sensitivity=0.75, specificity=0.7, unreadable=0.02),
    Gate("sim-gate-coin", sensitivity=0.5, specificity=0.5, unreadable=0.0),
)
DEFAULT_MODELS: tuple[OfflineModel, ...] = (Extractive(), *GENERATORS, *JUDGES, *GATES)


@dataclass(frozen=True)
class Catalogue:
    """The models that one simulator serves, by name."""

    models: tuple[OfflineModel, ...] = DEFAULT_MODELS
    by_name: Mapping[str, OfflineModel] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {model.name: model for model in self.models})


def tables() -> str:
    """Return the stated qualities as Markdown tables, as ``docs/offline_models.md`` shows them."""

    def table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
        lines = [head, tuple("---" for _ in head), *rows]
        return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)

    def percent(share: float) -> str:
        return f"{share * 100:g} %"

    def signed(bias: float) -> str:
        return f"{bias:+g}" if bias else "0"

    generators = table(
        (
            "simulated generator",
            *Quality,
            "refuses when the context lacks the answer",
            "repeats drawn anew",
            "whole sentences",
            "no citation",
            "invalid citation",
        ),
        [
            (
                f"`{model.name}`",
                *(percent(model.shares[quality]) for quality in Quality),
                *map(percent, (model.refuses_when_absent, model.variation, model.verbose)),
                *map(percent, (model.no_citation, model.invalid_citation)),
            )
            for model in GENERATORS
        ],
    )
    judges = table(
        (
            "simulated judge",
            "sensitivity",
            "specificity",
            "bias",
            "noise",
            "repeats decided anew",
            "unreadable",
            "position bias",
            "length bias",
            "style bias",
        ),
        [
            (
                f"`{model.name}`",
                *map(percent, (model.sensitivity, model.specificity)),
                signed(model.bias),
                *map(percent, (model.noise, model.variation, model.unreadable)),
                *map(signed, (model.position_bias, model.length_bias, model.style_bias)),
            )
            for model in JUDGES
        ],
    )
    gates = table(
        ("simulated production judge", "sensitivity", "specificity", "unreadable"),
        [
            (
                f"`{model.name}`",
                *map(percent, (model.sensitivity, model.specificity, model.unreadable)),
            )
            for model in GATES
        ],
    )
    worth = table(
        ("worth of an answer", *Quality),
        [(f"`{rubric}`", *row.values()) for rubric, row in WORTH.items()],
    )
    return "\n\n".join((generators, judges, gates, worth))
