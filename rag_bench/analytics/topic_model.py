"""Topics that stay: centroids and names, by which questions of any later dump are assigned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rag_bench.analytics.clusters import (
    NAME_WORDS,
    Clusters,
    Reduction,
    cluster,
    common_centre,
    directions_from,
    mean_directions,
    measured,
)
from rag_bench.analytics.traffic import SEED
from rag_bench.evaluation.precision import settled
from rag_bench.evaluation.text.text_folding import fold
from rag_bench.hashing import content_hash, text_hash
from rag_bench.privacy.public_names import NOBODY, PublicNames

#: Part of a model's address; raised when the same questions would give other topics.
VERSION = "1"
#: Centroids nearer to each other than this, seen from a question, are equally near: machines
#: round vectors differently by up to 2e-6 a component. The topic's key decides, not its place.
TIE = 1e-5
#: Questions farther from every centroid than this share of those that the topics were made from
#: lie outside of all topics.
_REACH = 0.99
_KEY_DIGITS = 10
_TEXT_DIGITS = 12


@dataclass(frozen=True)
class KnownTopic:
    """A topic of a model.

    Attributes:
        key: its name for good; another generation's topic that is the same one keeps it.
        name: its most telling words when it was first seen.
        keywords: most telling words, best first.
        n_questions: of those that the generation was made from.
        halves: silhouette of its two halves when the generation was made (see
            `topic_changes.halves`); None where it is too small to be halved.
        born: number of the generation in which it appeared.
    """

    key: str
    name: str
    keywords: tuple[str, ...]
    n_questions: int
    halves: float | None = None
    born: int = 1


@dataclass(frozen=True)
class TopicModel:
    """One generation of topics.

    Attributes:
        id: its address: of what it was made from (encoder, settings, questions, parent), not of
            its centroids, which another processor would round otherwise.
        line: id of the first generation; generations of one line follow each other.
        generation: 1, 2, …
        parent: id of the generation before; None for the first.
        made_from: address of encoder, settings and questions.
        topics: the largest first.
        centre: common centre of the questions' vectors, float64, shape (d,).
        centroids: unit directions from it, float64, shape (topics, d).
        reach: greatest distance (1 − cosine) at which a question still lies in a topic.
        texts: short hashes of the folded texts that it was made from.
    """

    id: str
    line: str
    generation: int
    parent: str | None
    made_from: str
    topics: tuple[KnownTopic, ...]
    centre: np.ndarray
    centroids: np.ndarray
    reach: float
    texts: frozenset[str]

    def to_json(self) -> dict[str, Any]:
        """Return all of it but the id, JSON-safe; vectors with six decimals."""
        return {
            "line": self.line,
            "generation": self.generation,
            "parent": self.parent,
            "made_from": self.made_from,
            "topics": [{**vars(topic), "keywords": list(topic.keywords)} for topic in self.topics],
            "centre": settled(self.centre).tolist(),
            "centroids": settled(self.centroids).tolist(),
            "reach": self.reach,
            "texts": sorted(self.texts),
        }

    @classmethod
    def from_json(cls, model_id: str, data: Mapping[str, Any]) -> TopicModel:
        """Read back what ``to_json`` wrote."""
        return cls(
            model_id,
            data["line"],
            data["generation"],
            data["parent"],
            data["made_from"],
            tuple(
                KnownTopic(**{**topic, "keywords": tuple(topic["keywords"])})
                for topic in data["topics"]
            ),
            np.array(data["centre"], dtype=np.float64),
            np.array(data["centroids"], dtype=np.float64),
            data["reach"],
            frozenset(data["texts"]),
        )


@dataclass(frozen=True)
class Assigned:
    """Questions in a model's topics.

    Attributes:
        labels: int, shape (n,): position among the model's topics; every question has one.
        distances: shape (n,): 1 − cosine to that topic's centroid.
        outside: bool, shape (n,): farther from every topic than the model reaches, and not of the
            questions that it was made from.
        directions: shape (n, d).
    """

    labels: np.ndarray
    distances: np.ndarray
    outside: np.ndarray
    directions: np.ndarray


def short_hash(text: str) -> str:
    """Return what tells one question's text from another's; spelling variants are one text."""
    return text_hash(fold(text))[:_TEXT_DIGITS]


def made_from(
    encoder: str, texts: Sequence[str], n_topics: int, reduction: Reduction, seed: int = SEED
) -> str:
    """Return the address of what topics are made from; the questions' order does not matter."""
    return content_hash([VERSION, encoder, n_topics, reduction, seed, sorted(texts)])


def new_model(
    texts: Sequence[str],
    vectors: np.ndarray,
    *,
    encoder: str,
    n_topics: int,
    reduction: Reduction = "pca",
    parent: TopicModel | None = None,
    seed: int = SEED,
    public_names: PublicNames = NOBODY,
) -> TopicModel:
    """Make topics of questions.

    Args:
        texts: n questions.
        vectors: float32, shape (n, d), unit length.
        encoder: key of the encoder that made the vectors.
        n_topics: at most.
        reduction: how the start of the grouping is found.
        seed: of that.
        public_names: these may name a topic.
        parent: the generation before. The new one starts from its topics: those that have died go,
            those that split are cut, what was born is added, those that have come together are
            one; made from nothing, most questions would change their topic, as they shade into
            each other. Topics that are found again (most of either's questions are the other's)
            keep their key and name.

    Raises:
        as `clusters.cluster`.
    """
    from rag_bench.analytics.topic_changes import changed_groups, halves, same_topics

    start = None if parent is None else changed_groups(parent, assign(parent, texts, vectors))
    found = cluster(texts, vectors, n_topics, reduction, seed, public_names, start)
    source = made_from(encoder, texts, n_topics, reduction, seed)
    model_id = content_hash([source, parent.id if parent else None])
    generation = parent.generation + 1 if parent else 1
    centre = common_centre(vectors)
    directions = directions_from(vectors, centre)
    centroids = mean_directions(directions, found.labels, len(found.keywords))
    topics = tuple(
        KnownTopic(
            content_hash([model_id, number])[:_KEY_DIGITS],
            found.name(number),
            tuple(words),
            0,
            born=generation,
        )
        for number, words in enumerate(found.keywords)
    )
    model = TopicModel(
        model_id,
        parent.line if parent else model_id,
        generation,
        parent.id if parent else None,
        source,
        topics,
        settled(centre),
        settled(centroids),
        2.0,
        frozenset(short_hash(text) for text in texts),
    )
    placed = assign(model, texts, vectors)
    if parent is not None:
        before = assign(parent, texts, vectors)
        kept = same_topics(before, placed)
        topics = tuple(
            replace(
                topic,
                key=parent.topics[kept[number]].key,
                name=parent.topics[kept[number]].name,
                born=parent.topics[kept[number]].born,
            )
            if number in kept
            else topic
            for number, topic in enumerate(topics)
        )
        model = replace(model, topics=topics)
        placed = assign(model, texts, vectors)
    measured_topics = tuple(
        replace(
            topic,
            n_questions=int((placed.labels == number).sum()),
            halves=halves(placed.directions[placed.labels == number]).silhouette,
        )
        for number, topic in enumerate(topics)
    )
    reach = settled(float(np.quantile(placed.distances, _REACH)))
    return replace(model, topics=measured_topics, reach=reach)


def assign(model: TopicModel, texts: Sequence[str], vectors: np.ndarray) -> Assigned:
    """Return the nearest topic of each question.

    ``vectors``: float32, shape (n, d), unit length, by the model's encoder. Nearest by cosine of
    the directions from the model's centre; of topics that are equally near (within `TIE`) the one
    whose key is the first.
    """
    directions = directions_from(vectors, model.centre)
    distances = settled(1 - directions @ model.centroids.T)
    order = np.argsort([topic.key for topic in model.topics], kind="stable")
    by_key = distances[:, order]
    near = by_key <= by_key.min(axis=1, keepdims=True) + TIE
    labels = order[np.argmax(near, axis=1)]
    own = distances[np.arange(len(labels)), labels]
    known = np.array([short_hash(text) in model.texts for text in texts], dtype=bool)
    return Assigned(labels, own, (own > model.reach + TIE) & ~known, directions)


def share_known(model: TopicModel, texts: Sequence[str]) -> float:
    """Return what share of the smaller of both sets of texts is common to these and the model's."""
    there = {short_hash(text) for text in texts}
    smaller = min(len(there), len(model.texts))
    return len(there & model.texts) / smaller if smaller else 0.0


def as_clusters(
    model: TopicModel, placed: Assigned, seed: int = SEED
) -> tuple[Clusters, list[KnownTopic]]:
    """Return the topics that have questions, the largest first, and which of the model's they are.

    Of topics of one size the one whose key is the first stands first.
    """
    sizes = np.bincount(placed.labels, minlength=len(model.topics))
    there = [number for number in range(len(model.topics)) if sizes[number]]
    there.sort(key=lambda number: (-sizes[number], model.topics[number].key))
    rank = np.zeros(len(model.topics), dtype=np.int64)
    rank[there] = np.arange(len(there))
    topics = [model.topics[number] for number in there]
    found = measured(
        placed.directions, rank[placed.labels], [list(topic.keywords) for topic in topics], seed
    )
    return replace(found, names=[topic.name for topic in topics]), topics


def telling_words(
    group: Sequence[Sequence[str]], others: Sequence[Sequence[str]], n: int = NAME_WORDS
) -> list[str]:
    """Return the words of a group of documents that tell it from others, best first.

    By c-TF-IDF with the others as one more class: tf · log(1 + A / f), tf the word's frequency in
    the group, f in all, A the mean number of words per class (Grootendorst 2022, section 3.3).
    """
    from collections import Counter

    inside = Counter(word for words in group for word in words)
    everywhere = inside + Counter(word for words in others for word in words)
    mean = sum(everywhere.values()) / 2
    weights = {
        word: settled(times * float(np.log(1 + mean / everywhere[word])))
        for word, times in inside.items()
    }
    return sorted(weights, key=lambda word: (-weights[word], word))[:n]
