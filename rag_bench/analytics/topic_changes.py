"""What became of topics: born, died, split, merged; since they were made, and by a new generation.

Between two generations topics are compared by the questions that they share, as MONIC does for
clusters (Spiliopoulou, Ntoutsi, Theodoridis and Schult, KDD 2006), with its usual thresholds: half
for the same topic, a quarter for a part.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rag_bench.analytics.clusters import mean_directions
from rag_bench.analytics.topic_model import Assigned, TopicModel, short_hash, telling_words
from rag_bench.analytics.traffic import SEED
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.statistics import rate_metric
from rag_bench.evaluation.types import Metric

#: Of so few questions no topic is made, and none is said to have died or split.
LEAST = 10
SAME, PART = 0.5, 0.25
#: Cosine of the mean directions from which two topics are one for a new generation. Between those
#: of real questions it is seldom above a half.
MERGED = 0.8
#: A topic that gets at most so much of the questions that its share promised has died: each
#: question goes to its nearest topic, so some always stray in.
FADED = 0.1
# Two halves are two topics if they are apart, and clearly more so than when the topic was made.
_APART, _MORE_APART = 0.25, 0.1


@dataclass(frozen=True)
class Halves:
    """A group cut in two; ``silhouette`` is None where either half is too small."""

    silhouette: float | None
    labels: np.ndarray


@dataclass(frozen=True)
class TopicChanges:
    """What became of topics.

    Attributes:
        born, died, split, merged: a record each: ``key``, ``name``, ``n_questions``, and ``into``
            (of a split) or ``out_of`` (of a merger), themselves such records.
        moved: share of the questions whose topic is another one now.
        outside: share of the questions that lie outside of all topics.
    """

    born: Sequence[dict[str, Any]] = ()
    died: Sequence[dict[str, Any]] = ()
    split: Sequence[dict[str, Any]] = ()
    merged: Sequence[dict[str, Any]] = ()
    moved: Metric = field(default_factory=lambda: rate_metric([]))
    outside: Metric = field(default_factory=lambda: rate_metric([]))

    def as_json(self) -> dict[str, Any]:
        """Return it JSON-safe."""
        return {
            **{name: list(getattr(self, name)) for name in ("born", "died", "split", "merged")},
            "moved": self.moved.to_json(),
            "outside": self.outside.to_json(),
        }


def halves(directions: np.ndarray, seed: int = SEED) -> Halves:
    """Cut a group in two by KMeans and say how far the halves are apart: their mean silhouette.

    None where a half has fewer than `LEAST` questions or less than a quarter of the group, or all
    questions are alike.
    """
    n = len(directions)
    alone = Halves(None, np.zeros(n, dtype=np.int64))
    if n < 2 * LEAST or len(np.unique(np.round(directions, 5), axis=0)) < 2:
        return alone
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    labels = KMeans(2, random_state=seed, n_init=5).fit_predict(directions)
    smaller = int(np.bincount(labels, minlength=2).min())
    if smaller < max(LEAST, PART * n):
        return alone
    return Halves(settled(float(silhouette_score(directions, labels))), labels)


def since_made(
    model: TopicModel,
    texts: Sequence[str],
    words: Sequence[Sequence[str]],
    clusters: Sequence[Hashable],
    placed: Assigned,
) -> TopicChanges:
    """Say what became of a model's topics in later questions.

    Args:
        model: the topics.
        texts: n questions.
        words: of each, those that say what it is about, without personal data.
        clusters: of each, whose it is, for the intervals.
        placed: where they are.

    A group of at least `LEAST` questions outside of all topics, alike among themselves, is born. A
    topic has died that gets at most a tenth of the questions that its share of those it was made
    from promised, where it promised `LEAST`. A topic has split whose halves are further apart than
    they were. Of the questions that the topics were made from nothing of this is said.
    """
    rest = [words[i] for i in np.flatnonzero(~placed.outside).tolist()]
    born = []
    for members in _born(placed):
        name = telling_words([words[i] for i in members], rest)
        key = short_hash(min(texts[i] for i in members))
        born.append({"key": key, "name": ", ".join(name), "n_questions": len(members)})
    split = []
    for number, first, second in _split(model, placed):
        parts = [
            {
                "name": ", ".join(
                    telling_words([words[i] for i in one], [words[i] for i in other])
                ),
                "n_questions": len(one),
            }
            for one, other in ((first, second), (second, first))
        ]
        topic, n = model.topics[number], len(first) + len(second)
        split.append({"key": topic.key, "name": topic.name, "n_questions": n, "into": parts})
    return TopicChanges(
        born=born,
        died=[
            {
                "key": model.topics[number].key,
                "name": model.topics[number].name,
                "n_questions": now,
                "expected": round(due, 1),
            }
            for number, now, due in _faded(model, placed)
        ],
        split=split,
        outside=rate_metric([bool(out) for out in placed.outside], clusters=clusters),
    )


def changed_groups(model: TopicModel, placed: Assigned) -> np.ndarray:
    """Return the groups that a new generation starts from, int, shape (n,): a model's topics with
    what was born, without those that died, cut where they split, joined where they came together.
    """
    labels = placed.labels.copy()
    gone = [number for number, _, _ in _faded(model, placed)]
    if gone and len(gone) < len(model.topics):
        distances = 1 - placed.directions @ model.centroids.T
        distances[:, gone] = np.inf
        strays = np.isin(labels, gone)
        labels[strays] = np.argmin(settled(distances[strays]), axis=1)
    added = len(model.topics)
    for _, _, smaller in _split(model, placed):
        labels[smaller] = added
        added += 1
    for members in _born(placed):
        labels[members] = added
        added += 1
    return _joined(placed.directions, labels)


def _joined(directions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Join groups whose mean directions have come together, the nearest first."""
    while True:
        numbers, labels = np.unique(labels, return_inverse=True)
        if len(numbers) < 2:
            return np.asarray(labels)
        means = mean_directions(directions, labels, len(numbers))
        alike = settled(means @ means.T)
        np.fill_diagonal(alike, -1.0)
        one, other = np.unravel_index(int(np.argmax(alike)), alike.shape)
        if alike[one, other] < MERGED:
            return np.asarray(labels)
        labels = np.where(labels == other, one, labels)


def _faded(model: TopicModel, placed: Assigned) -> list[tuple[int, int, float]]:
    """Return the topics that have died: number, questions now (those outside apart), and those
    that its share promised.
    """
    made_of = sum(topic.n_questions for topic in model.topics)
    now = np.bincount(placed.labels[~placed.outside], minlength=len(model.topics)).tolist()
    due = [len(placed.labels) * topic.n_questions / made_of for topic in model.topics]
    return [
        (number, now[number], due[number])
        for number in range(len(model.topics))
        if due[number] >= LEAST and now[number] <= FADED * due[number]
    ]


def _born(placed: Assigned) -> list[np.ndarray]:
    """Group the questions outside of all topics among themselves; positions, largest first."""
    outside = np.flatnonzero(placed.outside & placed.directions.any(axis=1))
    if len(outside) < LEAST:
        return []
    from sklearn.cluster import AgglomerativeClustering

    # Nearer to each other than to what is at right angles: alike by more than nothing.
    cutter = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=SAME
    )
    labels = cutter.fit_predict(placed.directions[outside])
    groups = [outside[labels == group] for group in range(int(labels.max()) + 1)]
    return sorted(
        (members for members in groups if len(members) >= LEAST),
        key=lambda members: (-len(members), int(members[0])),
    )


def _split(model: TopicModel, placed: Assigned) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Return the topics that have split: number, positions of the larger half, of the smaller."""
    found = []
    for number, topic in enumerate(model.topics):
        members = np.flatnonzero((placed.labels == number) & ~placed.outside)
        cut = halves(placed.directions[members])
        # A topic that could not be halved when it was made was of one piece, or small.
        before = topic.halves or 0.0
        if cut.silhouette is not None and cut.silhouette >= max(_APART, before + _MORE_APART):
            parts = [members[cut.labels == half] for half in (0, 1)]
            parts.sort(key=lambda part: (-len(part), int(part[0])))
            found.append((number, parts[0], parts[1]))
    return found


def same_topics(before: Assigned, after: Assigned) -> dict[int, int]:
    """Return which earlier topic each later one is, where it is one: at least half of either's
    questions are the other's. Of equals the one with the lower number.

    ``before``, ``after``: the same questions in the topics of two generations.
    """
    shared = _shared(before, after)
    of_before, of_after = shared.sum(axis=1), np.bincount(after.labels)
    pairs = [
        (-int(shared[old, new]), old, new)
        for old, new in np.argwhere(shared > 0).tolist()
        if shared[old, new] >= SAME * of_before[old] and shared[old, new] >= SAME * of_after[new]
    ]
    found: dict[int, int] = {}
    for _, old, new in sorted(pairs):
        if new not in found and old not in found.values():
            found[new] = old
    return found


def between_generations(
    parent: TopicModel,
    model: TopicModel,
    before: Assigned,
    after: Assigned,
    clusters: Sequence[Hashable],
) -> TopicChanges:
    """Say what a new generation made of the topics of the one before, by the same questions.

    A later topic is born unless it is the same as an earlier one, a part of a split, or a merger.
    An earlier topic has died unless it is the same as a later one, has split, or was merged: one
    that has no question left, or whose questions are spread over others.
    """
    shared = _shared(before, after, len(parent.topics))
    of_before = shared.sum(axis=1)
    of_after = np.bincount(after.labels, minlength=len(model.topics))
    split, merged = [], []
    gone, come = set(), set()
    for old in range(len(parent.topics)):
        parts = [
            new
            for new in range(shared.shape[1])
            if of_before[old]
            and shared[old, new] >= PART * of_before[old]
            and shared[old, new] >= SAME * of_after[new]
        ]
        if len(parts) >= 2:
            into = [_record(model, new, int(shared[old, new])) for new in parts]
            split.append({**_record(parent, old, int(of_before[old])), "into": into})
            gone.add(old)
            come.update(parts)
    for new in range(shared.shape[1]):
        sources = [
            old
            for old in range(len(parent.topics))
            if of_after[new]
            and shared[old, new] >= SAME * of_before[old] > 0
            and shared[old, new] >= PART * of_after[new]
        ]
        if len(sources) >= 2:
            out_of = [_record(parent, old, int(shared[old, new])) for old in sources]
            merged.append({**_record(model, new, int(of_after[new])), "out_of": out_of})
            come.add(new)
            gone.update(sources)
    kept = {topic.key for topic in parent.topics} & {topic.key for topic in model.topics}
    keys_before = [parent.topics[label].key for label in before.labels.tolist()]
    keys_after = [model.topics[label].key for label in after.labels.tolist()]
    return TopicChanges(
        born=[
            _record(model, new, int(of_after[new]))
            for new, topic in enumerate(model.topics)
            if topic.key not in kept and new not in come
        ],
        died=[
            _record(parent, old, int(of_before[old]))
            for old, topic in enumerate(parent.topics)
            if topic.key not in kept and old not in gone
        ],
        split=split,
        merged=merged,
        moved=rate_metric(
            [one != other for one, other in zip(keys_before, keys_after, strict=True)],
            clusters=clusters,
        ),
    )


def _record(model: TopicModel, number: int, n_questions: int) -> dict[str, Any]:
    topic = model.topics[number]
    return {"key": topic.key, "name": topic.name, "n_questions": n_questions}


def _shared(before: Assigned, after: Assigned, n_before: int = 0) -> np.ndarray:
    """Return how many questions each earlier topic shares with each later one, shape
    (earlier, later). Those that lay outside of all earlier topics are of none.
    """
    inside = ~before.outside
    rows = max(n_before, int(before.labels.max()) + 1)
    found = np.zeros((rows, int(after.labels.max()) + 1), dtype=np.int64)
    np.add.at(found, (before.labels[inside], after.labels[inside]), 1)
    return found
