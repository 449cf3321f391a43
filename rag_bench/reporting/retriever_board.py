"""Retrievers side by side: what each finds, what it costs, and which differences are real.

Read from what was measured; the terminal, the asset and the report show this one board.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.comparison import Contrast
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.retrievers.retriever_comparison import RetrievedRun, compare_retrievers
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.types import FEW_CLUSTERS, Metric
from rag_bench.hashing import content_hash
from rag_bench.store import evaluations
from rag_bench.store.datasets import DatasetInfo
from rag_bench.store.public_names import with_name_masked
from rag_bench.store.retrieving.retriever_costs import costs_under

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.retrievers import Retriever

ALPHA = 0.05
_TITLES = {"hit_rate": "hit", "mrr": "MRR", "ndcg": "nDCG", "recall": "recall"}


class NothingToCompareError(RagBenchError):
    """The retriever that others are compared with was not measured, or no question is judged."""


@dataclass(frozen=True)
class Asked:
    """A retriever that is to be shown, and the settings that it is measured under."""

    name: str
    words: str
    settings_hash: str
    top_k: int


@dataclass(frozen=True)
class Line:
    """One retriever.

    Attributes:
        metrics: over the judged questions, by measure, as results have them.
        contrasts: against the baseline, by measure; empty for the baseline itself.
        costs: the newest that were measured, by metric; None: none were.
    """

    asked: Asked
    version: str
    metrics: Mapping[str, Mapping[str, Any]]
    contrasts: Mapping[str, Contrast]
    costs: Mapping[str, Mapping[str, Any]] | None

    @property
    def name(self) -> str:
        """The retriever's name."""
        return self.asked.name

    def cost(self, name: str) -> float | None:
        """Return a cost; None where it was not measured."""
        value = (self.costs or {}).get(name, {}).get("value")
        return None if value is None else float(value)

    @property
    def latency_known(self) -> bool:
        """Whether whole queries were measured."""
        return self.cost("p50_query_latency_ms") is not None

    @property
    def megabytes(self) -> float | None:
        """What the index holds, in millions of bytes."""
        size = self.cost("index_bytes")
        return None if size is None else size / 1e6


@dataclass(frozen=True)
class RetrieverBoard:
    """All measured retrievers; the baseline first, then in the order asked for.

    ``missing``: retrievers without a result under their settings. ``questions``: texts by id.
    ``unusable``: retrievers that cannot be used under these settings, and why.
    """

    baseline: str
    level: str
    top_k: int
    measures: Sequence[str]
    lines: Sequence[Line]
    missing: Sequence[str]
    dataset: DatasetInfo
    n_judged: int
    n_pages: int
    questions: Mapping[str, str]
    unusable: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The address of the results compared; what they cost is a fact of a machine."""
        return content_hash([[line.name, line.version] for line in self.lines])

    @property
    def contrasts(self) -> list[Contrast]:
        """All of them, by retriever, then by measure."""
        return [one for line in self.lines for one in line.contrasts.values()]

    def as_json(self) -> dict[str, Any]:
        """Return everything, for programs and the report's file."""
        return {
            "baseline": self.baseline,
            "dataset_id": self.dataset.id,
            "level": self.level,
            "top_k": self.top_k,
            "measures": list(self.measures),
            "n_questions": self.n_judged,
            "n_pages": self.n_pages,
            "not_measured": list(self.missing),
            "notes": notes(self),
            "retrievers": [
                {
                    "name": line.name,
                    "what": line.asked.words,
                    "settings_hash": line.asked.settings_hash,
                    "metrics": dict(line.metrics),
                    "against_baseline": {
                        measure: _contrast_json(one) for measure, one in line.contrasts.items()
                    },
                    "costs": line.costs,
                }
                for line in self.lines
            ],
        }


def build(
    engine: Engine,
    asked: Sequence[Asked],
    clusters: Mapping[str, Hashable],
    questions: Mapping[str, str],
    dataset: DatasetInfo,
    baseline: str,
) -> RetrieverBoard:
    """Read what was measured of these retrievers and compare all with ``baseline``.

    Args:
        engine: The database.
        asked: The retrievers, the baseline among them.
        clusters: Of each judged question, by id, its page.
        questions: Texts of questions by id.
        dataset: That they are of.
        baseline: Name of the retriever that all others are compared with.

    Raises:
        NothingToCompareError: the baseline was not measured, or no question can be judged.
    """
    found = {
        one.name: evaluation
        for one in asked
        if (
            evaluation := evaluations.latest(
                engine, tier="1", kind="metrics", settings_hash=one.settings_hash
            )
        )
    }
    if baseline not in found:
        raise NothingToCompareError(
            f"The retriever {baseline!r}, which the others are compared with, was not measured "
            "under these settings. Materialize retrieval_lab with the same run config, or run "
            "`rag-bench retrievers compare`."
        )
    ordered = sorted(
        (one for one in asked if one.name in found), key=lambda one: one.name != baseline
    )
    runs = {
        one.name: RetrievedRun(
            one.top_k,
            {
                case.case_id: case.scores
                for case in evaluations.cases_of(engine, found[one.name].id)
                if not case.error_code
            },
        )
        for one in ordered
    }
    try:
        compared = compare_retrievers(runs, baseline, clusters, alpha=ALPHA)
    except ValueError as error:
        raise NothingToCompareError(
            f"Retrievers cannot be compared on {dataset}: {error}."
        ) from None
    lines = []
    for one in ordered:
        costs = costs_under(engine, one.settings_hash)
        lines.append(
            Line(
                one,
                found[one.name].version,
                {
                    measure: _over_questions(measure, scores, clusters).to_json()
                    for measure, scores in compared.scores[one.name].items()
                },
                {
                    contrast.measure: contrast
                    for contrast in compared.contrasts
                    if contrast.name == one.name
                },
                costs.metrics if costs else None,
            )
        )
    return RetrieverBoard(
        baseline,
        compared.level,
        compared.top_k,
        compared.measures,
        lines,
        [one.name for one in asked if one.name not in found],
        with_name_masked(engine, dataset),
        len(clusters),
        len(set(clusters.values())),
        questions,
    )


def words_of(retriever: Retriever) -> str:
    """Return what a retriever does, in short: ``hybrid of dense_exact and bm25``."""
    fused = f" of {' and '.join(retriever.fuse)}" if retriever.search == "hybrid" else ""
    reranked = f", reranked by {retriever.reranker}" if retriever.reranker else ""
    encoder = f", encoder {retriever.encoder}" if retriever.encoder else ""
    return f"{retriever.search}{fused}{encoder}{reranked}"


def title_of(measure: str) -> str:
    """Return a measure as tables call it: ``hit@1`` of ``chunk_hit_rate@1``."""
    name, at, cutoff = measure.partition("_")[2].partition("@")
    return f"{_TITLES[name]}{at}{cutoff}"


def notes(board: RetrieverBoard) -> list[str]:
    """Return what a reader has to know to read the board rightly."""
    said = [
        f"{board.n_judged} questions of {board.dataset.name}, {board.n_pages} pages; "
        f"{board.level}s are looked for among the first {board.top_k}.",
        f"Against {board.baseline}: paired by question, clustered by page, two-sided; p is Holm's "
        f"over all {len(board.contrasts)} comparisons of this table, so all verdicts together are "
        f"wrong with a chance of at most {ALPHA:.0%}.",
    ]
    real = [one for one in board.contrasts if one.verdict != "cannot tell"]
    said += [
        f"{name} is {' and '.join(parts)} than {board.baseline}."
        for name, parts in _in_words(real).items()
    ]
    if board.contrasts and not real:
        said.append(f"No retriever can be told from {board.baseline} by this data.")
    same = [
        line.name
        for line in board.lines
        if line.contrasts and not any(one.gained or one.lost for one in line.contrasts.values())
    ]
    said += [f"{name} finds the same as {board.baseline} for every question." for name in same]
    if board.n_pages < FEW_CLUSTERS:
        said.append(
            f"Fewer than {FEW_CLUSTERS} pages ({board.n_pages}): intervals are too narrow, and no "
            "p can be small."
        )
    if board.missing:
        said.append(
            f"Not measured under these settings: {', '.join(board.missing)}. Materialize these "
            "partitions of retrieval_lab."
        )
    said += [
        f"{name} cannot be used under these settings: {why}" for name, why in board.unusable.items()
    ]
    if len({line.asked.top_k for line in board.lines}) > 1:
        said.append("Lists of different lengths are compared down to the shortest.")
    by_service = [line.name for line in board.lines if line.costs and not line.latency_known]
    if by_service:
        said.append(
            f"The latency of {', '.join(by_service)} is not measured: the service that reranks for "
            "it would be paid for that."
        )
    if any(line.costs for line in board.lines):
        said.append(
            "Latency is of one query asked alone, warm, on the machine that measured it; build and "
            "memory are of the search, without models' weights."
        )
    return said


def _in_words(contrasts: Sequence[Contrast]) -> dict[str, list[str]]:
    """Return by retriever: ``better by hit@1, MRR``, ``worse by nDCG@10``."""
    found: dict[str, dict[str, list[str]]] = {}
    for one in contrasts:
        by = found.setdefault(one.name, {}).setdefault(one.verdict, [])
        by.append(title_of(one.measure))
    return {
        name: [f"{verdict} by {', '.join(by)}" for verdict, by in verdicts.items()]
        for name, verdicts in found.items()
    }


def _over_questions(
    measure: str, scores: Mapping[str, float | None], clusters: Mapping[str, Hashable]
) -> Metric:
    cases = sorted(clusters)
    values = [scores.get(case) for case in cases]
    labels = [clusters[case] for case in cases]
    if "_hit_rate@" in measure:
        return rate_metric([None if v is None else bool(v) for v in values], clusters=labels)
    return mean_metric(values, labels, scale=(0.0, 1.0))


def _contrast_json(one: Contrast) -> dict[str, Any]:
    detectable = one.comparison.minimum_detectable
    return {
        "difference": one.comparison.difference.to_json(),
        "p_value": _settled(one.comparison.p_value),
        "p_exact": _settled(one.comparison.p_exact),
        "p_adjusted": _settled(one.p_adjusted),
        "method": one.comparison.method,
        "minimum_detectable": _settled(detectable),
        "verdict": one.verdict,
        "gained": list(one.gained),
        "lost": list(one.lost),
    }


def _settled(value: float | None) -> float | None:
    return None if value is None else settled(value)
