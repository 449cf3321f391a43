"""Which topic of users' traffic each benchmark question belongs to. No model is asked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rag_bench.analytics.traffic import Asked, Population
from rag_bench.errors import RagBenchError
from rag_bench.evaluation.metric_spec import UNIT
from rag_bench.evaluation.metrics.source_analytics import BENCHMARK, TOPICS
from rag_bench.evaluation.types import Metric
from rag_bench.store import datasets, evaluations
from rag_bench.store.evaluations import Case, StoredEvaluation
from rag_bench.store.topics.models import model_of
from rag_bench.tiers.base.bench import resolve_dataset
from rag_bench.tiers.traffic.analysis import Analysis, Found, NoQuestionsError, Questions
from rag_bench.tiers.traffic.analytics import newest

if TYPE_CHECKING:
    from rag_bench.store.datasets import DatasetInfo

VERSION = "1"


def benchmark_topics(analysis: Analysis) -> list[StoredEvaluation]:
    """Put the questions of every dataset that models were measured on into the newest topics, and
    those of the snapshot's default one. One evaluation per dataset, one case per question.

    Raises:
        NoQuestionsError: there are no topics, or no questions to put into them.
    """
    topics = newest(analysis.engine, TOPICS)
    if topics is None or not topics.inputs["result"].get("topic_model"):
        raise NoQuestionsError(
            "There are no topics of users' questions yet: materialize topic_coverage first."
        )
    [(_, settings), *_] = evaluations.settings_seen(analysis.engine, tier=TOPICS, kind="metrics")
    if settings.get("encoder", analysis.encoder_identity.key) != analysis.encoder_identity.key:
        raise NoQuestionsError(
            "The topics of users' questions were made by another encoder than the one of now: "
            "materialize topic_coverage first."
        )
    found = _datasets(analysis)
    if not found:
        raise NoQuestionsError(
            "There is no dataset of questions about the current snapshot: import one, or "
            "materialize synthetic_dataset."
        )
    return [_of_dataset(analysis, dataset, topics) for dataset in found]


def _datasets(analysis: Analysis) -> list[DatasetInfo]:
    """Return the datasets, each once, sorted by id."""
    wanted = {
        one.dataset_id
        for one in evaluations.MeasuredSettings.newest_first(analysis.engine)
        if one.dataset_id
    }
    with suppress(RagBenchError):  # none was made yet: those that were measured are enough
        wanted.add(resolve_dataset(analysis.engine, analysis.snapshot, None, None).id)
    found = [datasets.get_dataset(analysis.engine, one) for one in sorted(wanted)]
    return [one for one in found if one.kind not in (datasets.PAIRS, datasets.EVALUATED)]


def _of_dataset(
    analysis: Analysis, dataset: DatasetInfo, topics: StoredEvaluation
) -> StoredEvaluation:
    items = datasets.items_of(analysis.engine, dataset.id)
    asked = [Asked(item.item_id, item.question, group=item.cluster) for item in items]
    questions = Questions(asked, Population(len(asked), 0, len(asked)), dataset.id, dataset.id)
    model_id = topics.inputs["result"]["topic_model"]

    def measure() -> Found:
        from rag_bench.analytics import topic_model

        model = model_of(analysis.engine, model_id)
        assert model is not None, "a stored coverage names a stored model"
        texts = [question.text for question in asked]
        placed = topic_model.assign(model, texts, analysis.question_vectors(asked))
        keys = [model.topics[label].key for label in placed.labels.tolist()]
        traffic = {
            case.scores["topic_key"]: case.scores["question_count"]
            for case in evaluations.cases_of(analysis.engine, topics.id)
        }
        n = sum(traffic.values())
        covered = sum(count for key, count in traffic.items() if key in set(keys))
        missing = sum(key not in set(keys) for key in traffic)
        metrics = {
            "covered_traffic_rate": Metric(covered / n, n, n, scale=UNIT),
            "n_uncovered_topics": Metric(missing, len(traffic), len(traffic)),
        }
        cases = [
            Case(
                item.item_id,
                scores={"topic_key": key, "distance": distance, "outside": bool(outside)},
            )
            for item, key, distance, outside in zip(
                items, keys, placed.distances.tolist(), placed.outside.tolist(), strict=True
            )
        ]
        return metrics, {"topic_model": model_id, "topics_evaluation": topics.id}, cases

    settings = {"topics": topics.settings_hash}
    return analysis.once(BENCHMARK, questions, settings, measure, version=VERSION)
