"""A judge's calibration by one metric: figures, by model and language, what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rag_bench.evaluation.people.calibration import alike, by_group, calibration_metrics
from rag_bench.evaluation.people.measures import measure_of
from rag_bench.evaluation.types import Metric
from rag_bench.hashing import content_hash
from rag_bench.store.labels.judged import Labelled, LabelledRow, labelled, labelled_scores

if TYPE_CHECKING:
    from sqlalchemy import Engine

#: Of groups only these are told: the others are too thin there.
_OF_GROUPS = ("sensitivity", "specificity", "severity")
_UNLIKE = 0.05


@dataclass(frozen=True)
class Calibration:
    """How well a judge follows people.

    Attributes:
        prompts: Of the texts that the judge was asked by, and of no others.
        labels: That it rests on.
        by_generator, by_language: The same figures of each group.
        p_generators, p_languages: Of "it errs alike in all groups"; None: cannot be told.
    """

    judge: str
    metric: str
    prompts: str
    labels: Labelled
    n_labels: int
    metrics: Mapping[str, Metric]
    by_generator: Mapping[str, Mapping[str, Metric]]
    by_language: Mapping[str, Mapping[str, Metric]]
    p_generators: float | None
    p_languages: float | None

    def inputs(self) -> dict[str, Any]:
        """Return what it was made from: when one of these changes, it is stale."""
        from rag_bench.evaluation.people.guidelines import judge_guideline

        return {
            "judge": self.judge,
            "prompts": self.prompts,
            "rubric": content_hash(judge_guideline(self.metric)),
            "guidelines": list(self.labels.guidelines),
            "labels": self.labels.hash,
        }

    def shown(self) -> Iterator[tuple[str, Mapping[str, Metric]]]:
        """Yield what a table shows: all, then each group's most telling figures."""
        yield "all", self.metrics
        for groups in (self.by_generator, self.by_language):
            if len(groups) > 1:
                for name, found in groups.items():
                    yield name, {one: found[one] for one in _OF_GROUPS}

    def notes(self) -> list[str]:
        """Return what must be known of it, in sentences."""
        found = []
        for p_value, groups in ((self.p_generators, "models"), (self.p_languages, "languages")):
            if p_value is not None and p_value < _UNLIKE:
                found.append(
                    f"{self.judge} errs otherwise on some {groups} (p = {p_value:.3f}): labels of "
                    "one do not correct the scores of another."
                )
        if len(self.labels.guidelines) > 1:
            found.append(f"Labels by several guidelines: {', '.join(self.labels.guidelines)}.")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return it for programs."""

        def figures(of: Mapping[str, Metric]) -> dict[str, Any]:
            return {name: metric.to_json() for name, metric in of.items()}

        return {
            "judge": self.judge,
            "metric": self.metric,
            "n_labels": self.n_labels,
            "metrics": figures(self.metrics),
            "by_generator": {name: figures(of) for name, of in self.by_generator.items()},
            "by_language": {name: figures(of) for name, of in self.by_language.items()},
            "p_generators": self.p_generators,
            "p_languages": self.p_languages,
            "notes": self.notes(),
            "inputs": self.inputs(),
        }


def calibrations(engine: Engine, metric: str) -> list[Calibration]:
    """Return the calibration of every judge that scored labelled answers, by name: of benchmark
    judges, or by the verdict's metric of production judges.

    Of a judge that scored them by several prompts, by those that it was asked last.
    """
    labels = labelled(engine, metric)
    newest = {
        judge: (prompts, rows) for (judge, prompts), rows in labelled_scores(engine, labels).items()
    }
    return [
        _calibration(judge, newest[judge][0], metric, labels, newest[judge][1])
        for judge in sorted(newest)
    ]


def _calibration(
    judge: str, prompts: str, metric: str, labels: Labelled, rows: Sequence[LabelledRow]
) -> Calibration:
    measure = measure_of(metric)
    return Calibration(
        judge,
        metric,
        prompts,
        labels,
        len(rows),
        calibration_metrics(rows, measure),
        by_group(rows, lambda row: row.generator, measure),
        by_group(rows, lambda row: row.language, measure),
        alike(rows, lambda row: row.generator, measure.good_from),
        alike(rows, lambda row: row.language, measure.good_from),
    )


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what changed between the inputs of two calibrations, in words; empty: nothing."""
    words = {
        "judge": "the judge",
        "prompts": "the judge's prompts",
        "rubric": "the rubric",
        "guidelines": "the guideline",
        "labels": "the labels",
    }
    return [word for name, word in words.items() if before.get(name) != now.get(name)]
