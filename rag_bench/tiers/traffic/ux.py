"""Tier ux: the cache of answers and the dialogs of real users; no language model is asked.

All vectors are of questions by this run's encoder. Those that production stored beside its rows
are not read: for many of them they are vectors of the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_bench.evaluation.metrics.ux import UxCase, count, dialog_metrics
from rag_bench.evaluation.nearest import unit_vectors
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.traffic.dialogs import Repeat, Turn
from rag_bench.evaluation.traffic.ratings import FIVE, RatingScale
from rag_bench.evaluation.types import Metric
from rag_bench.hashing import content_hash
from rag_bench.llm.tasks.pipeline import is_refusal
from rag_bench.store import traffic
from rag_bench.store.evaluations import Case
from rag_bench.tiers.answers import cached_answers
from rag_bench.tiers.answers.cached_answers import normalised
from rag_bench.tiers.base.bench import Bench
from rag_bench.tiers.base.evaluate import Declared, Measured, Task, Work

if TYPE_CHECKING:
    from rag_bench.store.snapshots import QuestionRecord
    from rag_bench.tiers.base.models import Models

#: What keeps a row out of a measure, as flags of its case.
NO_TEXT, NO_USER, NO_TIME = "no_text", "no_user", "no_time"


def dialog_tasks(
    bench: Bench, models: Models | None, step: Declared, keys: Sequence[None]
) -> Sequence[Task[None]]:
    """Return the task of the snapshot's real dialogs; each row is a case, named by its id in the
    dump. Without any questions of users every measure is undefined.
    """
    rows = traffic.questions_by_time(bench.engine, bench.snapshot.sha256)
    scale = traffic.rating_scale(bench.engine, bench.snapshot.sha256)
    # The usual scale is not named, so that what was measured on it stays found.
    of_scale = [] if scale.name == FIVE.name else [scale.name]
    return [
        Task(
            None,
            step.tier,
            step.kind,
            (step.kind, step.tier, step.version, _traffic_hash(rows), *of_scale),
            step.version,
            lambda: Work([], lambda _: _measured(bench, rows, scale)),
            inputs={"ratings": scale.name, "ratings_note": scale.note},
        )
    ]


def _measured(bench: Bench, rows: Sequence[QuestionRecord], scale: RatingScale) -> Measured:
    turns = [turn_of(row, scale) for row in rows]
    metrics, cases, repeats = dialog_metrics(
        turns, _question_vectors(bench, rows), cache_threshold=bench.run.cache_threshold
    )
    n_servable = len(traffic.servable_answers(bench.engine, bench.snapshot.sha256))
    metrics |= {
        "repeated_answer_similarity": _answer_similarity(bench, turns, rows, repeats),
        "n_servable_entries": count(n_servable, len(rows)),
        **dataset_metrics(bench),
    }
    stored = [_case(row, case) for row, case in zip(rows, cases, strict=True)]
    return Measured(metrics, stored, n_scored=len(stored))


def turn_of(row: QuestionRecord, scale: RatingScale = FIVE) -> Turn:
    """Return a row of the snapshot as a turn; ``scale`` is that of its ratings.

    «Ответ не найден» is no answer.
    """
    text = (row.answer or "").strip()
    answered = bool(text) and not is_refusal(text)
    return Turn(
        key=row.source_id,
        user=row.user_id,
        asked_at=row.created_at,
        rated_5=bool(scale.satisfied(row.score)),
        ends_dialog=bool(row.stop_point),
        answer=normalised(text) if answered else None,
        page=(row.page_url or "").strip() or None if answered else None,
    )


def dataset_metrics(bench: Bench) -> dict[str, Metric]:
    """Return how much the cache would answer of the dataset, and how rightly.

    - ``dataset_cache_hit_rate`` = share of the dataset's questions whose nearest servable row
      (rated 5, with answer and page; never the question's own row) reaches the threshold: what
      ``cached_answers`` serves in tier 3. None if there is no such row.
    - ``dataset_cache_hit_precision`` = of the hits whose relevant pages are known, the share whose
      cached answer is of one of them. None without such hits.
    """
    cached_answers.encode_questions(bench)
    matches = cached_answers.matches(bench)
    hits: list[bool | None] = []
    right: list[bool] = []
    pages: list[str] = []
    # Without any match there is no cache; beside others, an item without one has its own row only.
    for item in bench.items:
        match = matches.get(item.item_id)
        hit = match is not None and match.cosine >= bench.run.cache_threshold
        hits.append(hit if matches else None)
        if match is not None and hit and item.page_urls:
            right.append(match.entry.page_url in item.page_urls)
            pages.append(item.cluster)
    clusters = [item.cluster for item in bench.items]
    return {
        "dataset_cache_hit_rate": rate_metric(hits, clusters=clusters),
        "dataset_cache_hit_precision": rate_metric(right, clusters=pages),
    }


def hit_curve(cases: Sequence[Case], name: str, thresholds: Sequence[float]) -> list[float | None]:
    """Return the share of a tier ux evaluation's cases that hit at each threshold.

    ``name``: the score that is compared, ``best_rated`` or ``best_earlier``. None where no case
    has it; else a case without it misses, unless it lacks what it takes to tell.
    """
    unknown = {NO_TEXT, NO_TIME} if name == "best_earlier" else {NO_TEXT}
    known = [case.scores.get(name) for case in cases if unknown.isdisjoint(case.flags)]
    cosines = np.array([-np.inf if cosine is None else cosine for cosine in known])
    there = bool(np.isfinite(cosines).any())
    return [float((cosines >= t).mean()) if there else None for t in thresholds]


def _question_vectors(bench: Bench, rows: Sequence[QuestionRecord]) -> list[np.ndarray | None]:
    exact = [
        bench.encoder_identity.query_text(row.question) if row.question.strip() else None
        for row in rows
    ]
    texts = [text for text in exact if text is not None]
    bench.embed(texts, "encoding questions of users")
    matrix = iter(bench.vectors(texts))
    return [None if text is None else next(matrix) for text in exact]


def _answer_similarity(
    bench: Bench, turns: Sequence[Turn], rows: Sequence[QuestionRecord], repeats: Sequence[Repeat]
) -> Metric:
    """Return the mean cosine of the two answers of questions asked again, both answered.

    Beside ``multi_turn_consistency``, which compares the sources: one page may give two answers.
    """
    pairs = [p for p in repeats if turns[p.later].answer and turns[p.earlier].answer]
    query_text = bench.encoder_identity.query_text
    exact = [
        [query_text((rows[position].answer or "").strip()) for position in positions]
        for positions in ([p.later for p in pairs], [p.earlier for p in pairs])
    ]
    bench.embed([*exact[0], *exact[1]], "encoding answers to repeated questions")
    cosines: list[float] = []
    if pairs:
        later, earlier = (unit_vectors(bench.vectors(texts)) for texts in exact)
        cosines = settled(np.einsum("ij,ij->i", later, earlier)).tolist()
    clusters = [turns[pair.later].cluster for pair in pairs]
    return mean_metric(cosines, clusters, scale=(-1.0, 1.0))


def _case(row: QuestionRecord, case: UxCase) -> Case:
    lacks: Mapping[str, bool] = {
        NO_TEXT: not row.question.strip(),
        NO_USER: row.user_id is None,
        NO_TIME: row.created_at is None,
    }
    scores: dict[str, Any] = {
        "best_rated": case.best_rated,
        "best_earlier": case.best_earlier,
        "dialog": case.dialog,
        "turn": case.turn,
        "previous": case.previous,
        "agrees": case.agrees,
    }
    return Case(
        str(row.source_id),
        scores={name: value for name, value in scores.items() if value is not None},
        flags=[flag for flag, lacking in lacks.items() if lacking],
    )


def _traffic_hash(rows: Sequence[QuestionRecord]) -> str:
    return content_hash(
        [
            [
                *(row.source_id, row.question, row.answer, row.page_url, row.score, row.user_id),
                *(bool(row.stop_point), row.created_at and row.created_at.timestamp()),
            ]
            for row in rows
        ]
    )
