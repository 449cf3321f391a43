"""What people can label: each a score or a verdict of a judge, with the scale of its labels.

A label is on the scale of what it checks, so that both can be compared: a rubric's 1 to 5; for
RAGAS 0 to 1 in quarters, of which 0 and 1 are no and yes; show (1) or hide (0) for a production
judge. A label, like a score, is *good* from three quarters of its scale on: 4 of 1 to 5, 0.75 of 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rag_bench.evaluation.catalogue import spec
from rag_bench.evaluation.metric_spec import UNIT, Need
from rag_bench.evaluation.metrics.ragas import RAGAS_CONTEXT_NAMES
from rag_bench.evaluation.rubrics import PREFIX, RUBRICS, SCALE
from rag_bench.evaluation.types import Scale

Source = Literal["rubric", "ragas", "contexts", "gate"]
Read = Literal["question", "answer", "reference_answer", "context"]

#: The name under which a production judge's case holds its verdict.
GATE_METRIC = "predicted_show"
_RAGAS_PREFIX = "ragas_"
_RAGAS_READS: dict[str, tuple[Read, ...]] = {
    "ragas_faithfulness": ("question", "answer", "context"),
    "ragas_answer_relevancy": ("question", "answer"),
    "ragas_answer_correctness": ("question", "answer", "reference_answer"),
    "ragas_context_precision": ("question", "reference_answer", "context"),
    "ragas_context_recall": ("question", "reference_answer", "context"),
}
_GOOD = 0.75
_YES, _NO = ("yes", "да", "true"), ("no", "нет", "false")


@dataclass(frozen=True)
class Measure:
    """What is labelled.

    Attributes:
        metric: Its name, under which cases hold the judge's score.
        source: Whose it is: a rubric's or RAGAS' score of an answer, RAGAS' score of the contexts,
            which reads no answer, or a production judge's verdict (gate).
        scale: Of labels and scores.
        values: What a person may say, ascending.
        reads: What a person is shown.
        needs_reference: Whether only questions with a reference answer can be labelled.
    """

    metric: str
    source: Source
    scale: Scale
    values: tuple[float, ...]
    reads: tuple[str, ...]
    needs_reference: bool

    @property
    def good_from(self) -> float:
        """From which label or score on something is good."""
        low, high = self.scale
        return low + _GOOD * (high - low)

    @property
    def step(self) -> float:
        """Between two values."""
        return self.values[1] - self.values[0]

    @property
    def gap(self) -> Scale:
        """What a score minus a label can be."""
        low, high = self.scale
        return (low - high, high - low)

    @property
    def said(self) -> str:
        """What a label can be, in words."""
        if self.source == "rubric":
            return f"a whole number from {self.values[0]:g} to {self.values[-1]:g}"
        if self.source == "gate":
            return "1 (show) or 0 (hide)"
        return f"one of {', '.join(f'{value:g}' for value in self.values)} (no is 0, yes is 1)"

    def value_of(self, text: str) -> float | None:
        """Return the value that a text names; None if it names none."""
        word = text.strip().casefold()
        if self.scale == UNIT and word in (*_YES, *_NO):
            return 1.0 if word in _YES else 0.0
        if self.source == "gate" and word in ("show", "hide"):
            return 1.0 if word == "show" else 0.0
        try:
            value = float(word.replace(",", "."))
        except ValueError:
            return None
        return value if value in self.values else None

    def nearest(self, share: float) -> float:
        """Return the value nearest to a share of the scale (0: its least, 1: its greatest)."""
        low, high = self.scale
        wanted = low + share * (high - low)
        return min(self.values, key=lambda value: (abs(value - wanted), value))


def measures() -> dict[str, Measure]:
    """Return all that can be labelled, by metric: rubrics first."""
    of_rubrics = [
        Measure(
            rubric.metric.name,
            "rubric",
            SCALE,
            tuple(float(value) for value in range(int(SCALE[0]), int(SCALE[1]) + 1)),
            rubric.inputs,
            rubric.needs_reference,
        )
        for rubric in RUBRICS.values()
    ]
    of_ragas = [
        Measure(
            name,
            "contexts" if name in RAGAS_CONTEXT_NAMES else "ragas",
            UNIT,
            (0.0, 0.25, 0.5, 0.75, 1.0),
            reads,
            Need.reference in spec(name).needs,
        )
        for name, reads in _RAGAS_READS.items()
    ]
    gate = Measure(GATE_METRIC, "gate", UNIT, (0.0, 1.0), ("question", "answer", "context"), False)
    return {one.metric: one for one in (*of_rubrics, *of_ragas, gate)}


def measure_of(metric: str) -> Measure:
    """Return what is labelled by a metric; a rubric also without its prefix.

    Raises:
        ValueError: there is nothing of this name; the message names what there is.
    """
    known = measures()
    for name in (metric, f"{PREFIX}{metric}", f"{_RAGAS_PREFIX}{metric}"):
        if name in known:
            return known[name]
    raise ValueError(f"{metric!r} cannot be labelled; there are {', '.join(known)}")
