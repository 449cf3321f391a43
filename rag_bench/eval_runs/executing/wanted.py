"""What a run measures, by who computes it: only what was asked for is."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rag_bench.eval_runs.config import RunConfig
from rag_bench.evaluation import catalogue
from rag_bench.evaluation.metrics import citations, ragas, retrieval, target_retrieval
from rag_bench.evaluation.metrics.bertscore import BERTSCORE_NAMES
from rag_bench.evaluation.metrics.context_ids import NAMES as BY_IDS
from rag_bench.evaluation.rubrics import PREFIX, rubrics_of
from rag_bench.tiers.base.asked_rubrics import default_rubrics

_CITATIONS = frozenset(metric.name for metric in citations.METRICS)
_OWN_RETRIEVAL = frozenset(metric.name for metric in target_retrieval.METRICS)
_TIER_1 = frozenset(metric.name for metric in retrieval.METRICS) | frozenset(BY_IDS)
_BY_CHUNKS = _TIER_1 | _OWN_RETRIEVAL
_RAGAS_ANSWERS = frozenset(ragas.RAGAS_ANSWER_NAMES)
_RAGAS_CONTEXTS = frozenset(ragas.RAGAS_CONTEXT_NAMES)
_RAGAS = _RAGAS_ANSWERS | _RAGAS_CONTEXTS


@dataclass(frozen=True)
class Wanted:
    """What is measured.

    Attributes:
        of_answers: metrics of an answer by itself, or of its own contexts by their ids.
        judged_metrics: metrics that a judge is asked for, and RAGAS' similarity beside them.
        all_rubrics: also for those that tier 3 is not scored by unless it is asked for.
        retrieval: whether what our retrieval found is measured.
        bertscore: whether BERTScore's model is loaded.
        custom: metrics of RAG_BENCH_CUSTOM_METRICS.
    """

    of_answers: frozenset[str]
    judged_metrics: frozenset[str]
    all_rubrics: bool
    retrieval: bool
    bertscore: bool
    custom: tuple[str, ...]

    @classmethod
    def of(cls, config: RunConfig) -> Wanted:
        """Return what a run's configuration asks for."""
        types, named = set(config.eval_types), set(config.metrics)
        rubrics = {name for name in named if name.startswith(PREFIX)}
        by_default = {PREFIX + name for name in rubrics_of("3")}
        found_by_us = "retrieval" in types or any(_is_of(name, _TIER_1) for name in named)
        of_answers = named & _names_of_answers()
        if "retrieval" in types:
            of_answers |= _CITATIONS | _OWN_RETRIEVAL
        return cls(
            of_answers=frozenset(of_answers | (named & _OWN_RETRIEVAL)),
            judged_metrics=frozenset(
                (named & _RAGAS)
                | (_RAGAS if "ragas" in types else set())
                | rubrics
                | ({PREFIX + name for name in default_rubrics("3")} if "rubric" in types else set())
            ),
            all_rubrics=bool(rubrics - by_default),
            retrieval=found_by_us,
            bertscore=bool(named & set(BERTSCORE_NAMES)),
            custom=tuple(name for name in config.metrics if catalogue.known(name) is None),
        )

    @property
    def ragas_answers(self) -> bool:
        """Whether RAGAS measures answers."""
        return bool(self.judged_metrics & _RAGAS_ANSWERS)

    @property
    def ragas_contexts(self) -> bool:
        """Whether RAGAS measures contexts."""
        return bool(self.judged_metrics & _RAGAS_CONTEXTS)

    @property
    def rubrics(self) -> bool:
        """Whether a judge scores by rubrics."""
        return any(name.startswith(PREFIX) for name in self.judged_metrics)

    @property
    def judged(self) -> bool:
        """Whether a judge is asked for anything."""
        return bool(self.judged_metrics)

    @property
    def extra(self) -> bool:
        """Whether anything is measured by others' code, or by BERTScore's model."""
        return self.bertscore or bool(self.custom)

    def counts(self, kind: str, name: str) -> bool:
        """Tell whether a metric of an evaluation of this kind was asked for."""
        match kind:
            case "answers":
                return self.shows(name)
            case "metrics":
                return self.retrieval and is_by_chunks(name)
            case "ragas" | "scores":
                return name in self.judged_metrics
        return True

    def shows(self, name: str) -> bool:
        """Tell whether a metric of an answer was asked for: others may have been measured, too."""
        return name in self.of_answers


def is_by_chunks(name: str) -> bool:
    """Tell whether a metric needs to know which chunks answer the question."""
    return _is_of(name, _BY_CHUNKS)


def _names_of_answers() -> set[str]:
    return {metric.name for _, metrics in catalogue.of_answers("3") for metric in metrics}


def _is_of(name: str, names: Collection[str]) -> bool:
    known = catalogue.known(name)
    return known is not None and known.name in names
