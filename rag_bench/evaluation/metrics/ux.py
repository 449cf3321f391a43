"""Tier ux: what real dialogs say about the cache of answers and about turns after the first.

Pure: turns with vectors come in, metrics and one record per turn go out.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_bench.evaluation.metric_spec import COSINE, UNIT, entries
from rag_bench.evaluation.nearest import best_match, unit_vectors
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.statistics import mean_metric, rate_metric
from rag_bench.evaluation.traffic.dialogs import Repeat, Turn, agreement, dialogs_of, repeats_of
from rag_bench.evaluation.types import Metric

# How users ask is no quality; that the same question is answered alike is.
METRICS = (
    *entries(
        ("cache_hit_rate",),
        ("ux",),
        "rate",
        UNIT,
        None,
        "share of questions q with max cos(q, c) ≥ τ over c in C, c ≠ q, whenever c was "
        "asked; null if C is empty. The forerunner's name and definition, on real "
        "questions in place of the dataset's, and never a row with itself",
    ),
    *entries(
        ("earlier_cache_hit_rate",),
        ("ux",),
        "rate",
        UNIT,
        None,
        "the same over c asked strictly before q: what the cache could have known. A "
        "question before the first of C misses; one without a time is missing, and a c "
        "without one is not open to any",
    ),
    *entries(
        ("dataset_cache_hit_rate",),
        ("ux",),
        "rate",
        UNIT,
        None,
        "share of the dataset's questions with a hit among the rows that production could "
        "serve: in C, with answer and page, not the question's own row. It is what "
        "`cached_answers` serves; null if there is no such row",
    ),
    *entries(
        ("dataset_cache_hit_precision",),
        ("ux",),
        "rate",
        UNIT,
        True,
        "of those hits whose relevant pages are known, the share whose stored answer is "
        "of one of them; null without such hits",
    ),
    *entries(
        ("context_preservation",),
        ("ux",),
        "mean",
        COSINE,
        None,
        "mean cos(q_i, q_(i+1)) over consecutive questions of a dialog",
    ),
    *entries(
        ("context_preservation_baseline",),
        ("ux",),
        "summary",
        COSINE,
        None,
        "mean cos over all pairs of questions of different users: what the encoder gives "
        "to questions that have nothing to do with each other. e5's is near 0.8, so "
        "`context_preservation` says something only above it",
    ),
    *entries(
        ("multi_turn_consistency",),
        ("ux",),
        "rate",
        UNIT,
        True,
        "of the questions that were asked before, the share answered alike (below)",
    ),
    *entries(
        ("within_dialog_consistency",),
        ("ux",),
        "rate",
        UNIT,
        True,
        "of those, the pairs inside one dialog",
    ),
    *entries(
        ("repeated_answer_similarity",),
        ("ux",),
        "mean",
        COSINE,
        True,
        "mean cosine of the two answers' vectors, where both were answered",
    ),
    *entries(
        ("follow_up_rate",),
        ("ux",),
        "rate",
        UNIT,
        None,
        "share of questions that are not the first of their dialog",
    ),
    *entries(
        ("multi_turn_dialog_rate",),
        ("ux",),
        "rate",
        UNIT,
        None,
        "share of dialogs with two questions or more",
    ),
    *entries(
        ("avg_turns",),
        ("ux",),
        "mean",
        None,
        None,
        "mean questions per dialog",
    ),
    *entries(
        ("n_questions", "n_users", "n_dialogs", "n_cache_entries", "n_servable_entries"),
        ("ux",),
        "count",
        None,
        None,
        "rows; users; dialogs; C with text; of C those with an answer and a page",
    ),
)
UX_NAMES = tuple(metric.name for metric in METRICS)


@dataclass(frozen=True)
class UxCase:
    """What is known of one turn; None where it cannot be known."""

    best_rated: float | None = None  # cosine with the nearest other question rated 5
    best_earlier: float | None = None  # the same, of those asked before
    dialog: int | None = None  # number of its dialog
    turn: int | None = None  # its place there, from 1
    previous: float | None = None  # cosine with the question before it in the dialog
    agrees: bool | None = None  # its answer with that of the same question before


def unrelated_similarity(vectors: np.ndarray, users: Sequence[Hashable]) -> float | None:
    """Return the mean cosine over all pairs of questions of different users.

    ``vectors``: unit vectors (n, d). In closed form: the sum of all cosines is |sum of vectors|^2,
    and from it each user's own is taken. None with fewer than two users.
    """
    groups: dict[Hashable, list[int]] = {}
    for position, user in enumerate(users):
        groups.setdefault(user, []).append(position)
    if len(groups) < 2:
        return None
    total = vectors.sum(axis=0)
    own = [vectors[positions].sum(axis=0) for positions in groups.values()]
    n_pairs = len(vectors) ** 2 - sum(len(positions) ** 2 for positions in groups.values())
    value = (float(total @ total) - sum(float(mine @ mine) for mine in own)) / n_pairs
    return settled(min(max(value, -1.0), 1.0))


def dialog_metrics(
    turns: Sequence[Turn],
    vectors: Sequence[np.ndarray | None],
    *,
    cache_threshold: float,
) -> tuple[dict[str, Metric], list[UxCase], list[Repeat]]:
    """Measure real dialogs. Returns metrics, a case per turn, and the repeated questions.

    ``vectors``: the questions' embeddings, None for a question without text, which is in no
    dialog. Every turn counts in ``n_expected``; what it lacks (text, time, user) keeps it out of
    ``n_scored`` where that is needed. Intervals are clustered by user.

    - ``cache_hit_rate`` = share of questions whose greatest cosine with *another* row rated 5
      reaches ``cache_threshold``, whenever that was asked. None if no row is rated 5.
    - ``earlier_cache_hit_rate`` = the same, only with rows asked strictly before: what the cache
      could have known. When the rating came is not recorded, so it is an upper bound.
    - ``context_preservation`` = mean cosine of consecutive questions of a dialog, over all such
      pairs; ``context_preservation_baseline`` = mean cosine of questions of different users: what
      the encoder gives to questions that have nothing to do with each other.
    - ``multi_turn_consistency`` = of questions that were asked before (``repeats_of``) and
      answered at least once of the two times, the share whose answers agree (``agreement``): the
      same question in another turn should lead to the same source. None without such pairs.
      ``within_dialog_consistency`` = of those, the pairs inside one dialog.
    - ``follow_up_rate`` = share of questions that are not the first of their dialog;
      ``multi_turn_dialog_rate`` = share of dialogs with two questions or more; ``avg_turns`` =
      mean questions per dialog.

    Raises ValueError for unequal lengths or a vector without a direction.
    """
    if len(turns) != len(vectors):
        raise ValueError(f"{len(turns)} turns but {len(vectors)} vectors")
    told = [position for position, vector in enumerate(vectors) if vector is not None]
    mine = [turns[position] for position in told]
    given = [vector for vector in vectors if vector is not None]
    units = unit_vectors(np.stack(given)) if given else np.zeros((0, 0))
    dialogs = dialogs_of(mine)
    best, earlier = _nearest_rated(mine, units)
    repeats = repeats_of(mine, units, dialogs) if given else []
    agrees = {pair.later: agreement(mine[pair.earlier], mine[pair.later]) for pair in repeats}
    place = {
        position: (number, turn)
        for number, dialog in enumerate(dialogs)
        for turn, position in enumerate(dialog, 1)
    }
    before = {b: a for dialog in dialogs for a, b in itertools.pairwise(dialog)}
    cosine = {b: settled(float(np.clip(units[a] @ units[b], -1.0, 1.0))) for b, a in before.items()}

    cases = [UxCase() for _ in turns]
    for position, original in enumerate(told):
        number, turn = place.get(position, (None, None))
        cases[original] = UxCase(
            _number(best[position]),
            _number(earlier[position]),
            number,
            turn,
            cosine.get(position),
            agrees.get(position),
        )
    clusters = [turn.cluster for turn in turns]
    hits = [_reaches(case.best_rated, cache_threshold) for case in cases]
    # Before the first rating the cache was empty: known to be a miss, unlike a row without time.
    rated = any(turn.rated_5 and turn.asked_at is not None for turn in mine)
    earlier_hits = [
        (_reaches(case.best_earlier, cache_threshold) or False)
        if rated and turn.asked_at is not None and vector is not None
        else None
        for case, turn, vector in zip(cases, turns, vectors, strict=True)
    ]
    compared = [pair for pair in repeats if agrees[pair.later] is not None]
    inside = [pair for pair in compared if pair.same_dialog]
    heads = [mine[dialog[0]].cluster for dialog in dialogs]
    followers = sorted(before)
    in_dialogs = [position for dialog in dialogs for position in dialog]
    baseline = (
        unrelated_similarity(units[in_dialogs], [mine[p].user for p in in_dialogs])
        if in_dialogs
        else None
    )
    n_placed = len(in_dialogs) if baseline is not None else 0
    metrics = {
        "cache_hit_rate": rate_metric(hits, clusters=clusters),
        "earlier_cache_hit_rate": rate_metric(earlier_hits, clusters=clusters),
        "context_preservation": mean_metric(
            [cosine[p] for p in followers], [mine[p].cluster for p in followers], scale=COSINE
        ),
        "context_preservation_baseline": Metric(baseline, n_placed, len(turns), scale=COSINE),
        "multi_turn_consistency": _agreement_rate(compared, mine, agrees),
        "within_dialog_consistency": _agreement_rate(inside, mine, agrees),
        "avg_turns": mean_metric([len(dialog) for dialog in dialogs], heads),
        "multi_turn_dialog_rate": rate_metric([len(d) > 1 for d in dialogs], clusters=heads),
        "follow_up_rate": rate_metric(
            [None if case.turn is None else case.turn > 1 for case in cases], clusters=clusters
        ),
        "n_questions": count(len(turns), len(turns)),
        "n_users": count(len({turn.user for turn in turns} - {None}), len(turns)),
        "n_dialogs": count(len(dialogs), len(turns)),
        "n_cache_entries": count(sum(turn.rated_5 for turn in mine), len(turns)),
    }
    originals = [Repeat(told[p.later], told[p.earlier], p.same_dialog) for p in repeats]
    return metrics, cases, originals


def count(value: int, n: int) -> Metric:
    """Return a count over ``n`` rows; None over none."""
    return Metric(float(value) if n else None, n, n)


def _agreement_rate(
    pairs: Sequence[Repeat], turns: Sequence[Turn], agrees: dict[int, bool | None]
) -> Metric:
    clusters = [turns[pair.later].cluster for pair in pairs]
    return rate_metric([agrees[pair.later] for pair in pairs], clusters=clusters)


def _nearest_rated(turns: Sequence[Turn], units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each turn's greatest cosine with another turn rated 5, and with an earlier one."""
    rated = [position for position, turn in enumerate(turns) if turn.rated_5]
    entry_of = np.full(len(turns), -1)
    entry_of[rated] = np.arange(len(rated))
    best, _ = best_match(units, units[rated], own=entry_of)
    nowhere = np.inf
    times = np.array([t.asked_at.timestamp() if t.asked_at else nowhere for t in turns])
    dated = sorted((p for p in rated if np.isfinite(times[p])), key=lambda p: times[p])
    first = np.searchsorted(times[dated], times, side="left")
    first[~np.isfinite(times)] = 0
    earlier, _ = best_match(units, units[dated], first=first)
    return best, earlier


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _reaches(cosine: float | None, threshold: float) -> bool | None:
    return None if cosine is None else cosine >= threshold
