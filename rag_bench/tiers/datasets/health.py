"""The health of a run's dataset: coverage, leaks, questions that decide, answers gone stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rag_bench.errors import RagBenchError
from rag_bench.evaluation.datasets.health import (
    Asked,
    coverage,
    discrimination,
    leakage,
    topic_coverage,
)
from rag_bench.privacy.given_names import placed
from rag_bench.store.case_scores import case_scores
from rag_bench.store.datasets import items_of
from rag_bench.store.evaluations.measured_settings import MeasuredSettings
from rag_bench.store.public_names import masked, masked_given
from rag_bench.tiers.datasets.stale import Stale, stale_items

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from rag_bench.tiers.base.bench import Bench

#: What says whether an answer is right, the first that was measured: tier, kind, metric.
_MEASURES = (("3", "scores", "rubric_e2e_quality"), ("2", "scores", "rubric_answer_correctness"))

#: What of a discrimination names items.
_ITEMS = ("all_right", "all_wrong", "telling", "unmeasured")


def health_of(bench: Bench) -> dict[str, Any]:
    """Return what a run's dataset covers, gives away and can still tell, for the current snapshot.

    ``coverage``: over chunks, pages and topics of real questions. ``leakage``: wording of chunks
    in questions. ``discrimination``: by the newest scores of the whole dataset; None: it was not
    scored. ``stale``: items that name chunks which are gone. Words and names of items are masked,
    as reports and registries keep what is said here.
    """
    items = bench.items
    pages = {chunk.page_url for chunk in bench.chunks}
    stale = stale_items(bench.engine, bench.dataset)
    waiting = [one for one in stale if one.decision is None]
    mask = partial(masked_given, bench.engine)
    whole = items_of(bench.engine, bench.dataset.id)  # a run's items may be its first
    names = placed({item.item_id: place for place, item in enumerate(whole, 1)}, mask)
    return {
        "dataset_id": bench.dataset.id,
        "dataset": bench.public_dataset.name,
        "n_items": len(items),
        "dump_sha256": bench.snapshot.sha256,
        "coverage": {
            "chunks": coverage(
                {h for item in items for h in item.chunk_hashes}, bench.chunk_by_hash
            ),
            "pages": coverage({url for item in items for url in item.page_urls}, pages),
            "topics": _topics(bench),
        },
        "leakage": _shown(
            bench,
            names,
            [
                Asked(
                    item.item_id,
                    item.question,
                    [
                        bench.chunk_by_hash[h].text
                        for h in item.chunk_hashes
                        if h in bench.chunk_by_hash
                    ],
                    item.cluster,
                )
                for item in items
            ],
        ),
        "discrimination": _discrimination(bench, names),
        "stale": {
            "items": len({one.item.item_id for one in stale}),
            "waiting": len({one.item.item_id for one in waiting}),
            "examples": _examples(bench, names, waiting[:5]),
        },
    }


def _shown(bench: Bench, names: Mapping[str, str], asked: Sequence[Asked]) -> dict[str, Any]:
    """Return the leaks with the copied questions as they may be shown."""
    found = leakage(asked)
    texts = masked(bench.engine, [one["question"] for one in found["copied"]])
    found["copied"] = [
        {**one, "id": names[one["id"]], "question": text}
        for one, text in zip(found["copied"], texts, strict=True)
    ]
    return found


def _examples(
    bench: Bench, names: Mapping[str, str], stale: Sequence[Stale]
) -> list[dict[str, str]]:
    """Return stale items as they may be shown."""
    texts = masked(bench.engine, [t for one in stale for t in (one.item.question, one.difference)])
    return [
        {"id": names[one.item.item_id], "question": question, "what": what}
        for one, question, what in zip(stale, texts[::2], texts[1::2], strict=True)
    ]


def scores_of(
    engine: Engine, dataset_id: str
) -> tuple[Mapping[str, Mapping[str, float]], str] | None:
    """Return the newest scores of a dataset that was asked whole, by model and item (the mean of
    the judges'), and what they are of; None: it was not scored.
    """
    for measured in MeasuredSettings.newest_first(engine):
        if measured.limit is not None or measured.dataset_id != dataset_id:
            continue
        for tier, kind, metric in _MEASURES:
            cells = case_scores(engine, measured.settings_hash, tier=tier, kind=kind, metric=metric)
            if cells:
                by_model: dict[str, dict[str, list[float]]] = {}
                for (model, _), found in sorted(cells.items(), key=lambda one: str(one[0])):
                    for item, score in found.items():
                        by_model.setdefault(model, {}).setdefault(item, []).append(score)
                means = {
                    model: {item: sum(s) / len(s) for item, s in found.items()}
                    for model, found in by_model.items()
                }
                return means, f"tier_{tier}.{metric}"
    return None


def _discrimination(bench: Bench, names: Mapping[str, str]) -> dict[str, Any] | None:
    found = scores_of(bench.engine, bench.dataset.id)
    if found is None:
        return None
    scores, measure = found
    asked = [(item.item_id, item.cluster) for item in bench.items]
    told = discrimination(asked, scores).as_json()
    told |= {kind: [names[one] for one in told[kind]] for kind in _ITEMS}
    return {**told, "by": measure}


def _topics(bench: Bench) -> dict[str, Any] | None:
    """Return which of the newest topics of real questions the dataset asks about; None: there are
    no topics by this encoder under the default settings, or the questions have no vectors yet.
    """
    from rag_bench.analytics.topic_model import assign
    from rag_bench.store.topics.models import newest_models
    from rag_bench.tiers.traffic.analytics import TopicsConfig
    from rag_bench.tiers.traffic.topics import kind_of

    config, identity = TopicsConfig(), bench.encoder_identity
    known = newest_models(
        bench.engine, kind_of(identity.key, config.n_topics, config.reduction), limit=1
    )
    if not known:
        return None
    [model] = known
    questions = [item.question for item in bench.items]
    try:
        vectors = bench.vectors([identity.query_text(question) for question in questions])
    except RagBenchError:
        return None
    placed = assign(model, questions, vectors)
    inside = Counter(
        model.topics[label].name
        for label, outside in zip(placed.labels.tolist(), placed.outside.tolist(), strict=True)
        if not outside
    )
    users = {topic.name: topic.n_questions for topic in model.topics}
    return topic_coverage(users, inside, int(placed.outside.sum()))
