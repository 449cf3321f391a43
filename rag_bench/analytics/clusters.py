"""Groups of questions by meaning, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np

from rag_bench.analytics.text import content_words
from rag_bench.analytics.traffic import SEED, sample
from rag_bench.errors import NotInstalledError, RagBenchError
from rag_bench.evaluation.precision import settled
from rag_bench.privacy.public_names import NOBODY, PublicNames

Reduction = Literal["pca", "umap"]

_COMPONENTS = 50
_UMAP_COMPONENTS = 5
_UMAP_NEIGHBOURS = 15
_LEAST_FOR_UMAP = 30
# Equal vectors leave rounding noise, which must not become directions.
_LEAST_LENGTH = 1e-5
# Decimals of a vector's components (float32) that tell two texts apart.
_EQUAL_DIGITS = 5
_SILHOUETTE_SAMPLE = 5000
_MOST_MOVES = 100
NAME_WORDS = 4
_CANDIDATE_WORDS = 20
# What BERTopic puts in place of an empty document.
_NO_WORDS = "emptydoc"


@dataclass(frozen=True)
class Clusters:
    """Questions by topic.

    Attributes:
        labels: int, shape (n,): topic of each question, 0 the largest; every question has one.
        keywords: the most telling words of each topic, best first; may be empty.
        silhouette: mean silhouette of a sample of the questions, by their directions from the
            common centre; None where it is not defined (one topic, or as many as questions).
        by_topic: the same per topic; None for a topic outside the sample.
        n_measured: questions in that sample.
        distances: shape (n,): 1 − cosine of a question's direction and its topic's.
        names: of the topics, where they have names already.
    """

    labels: np.ndarray
    keywords: Sequence[Sequence[str]]
    silhouette: float | None
    by_topic: Sequence[float | None]
    n_measured: int
    distances: np.ndarray
    names: Sequence[str] = ()

    def name(self, topic: int) -> str:
        """Return a topic's name: the one it has, else its most telling words."""
        if self.names:
            return self.names[topic]
        return ", ".join(self.keywords[topic][:NAME_WORDS]) or f"topic {topic}"


def cluster(
    texts: Sequence[str],
    vectors: np.ndarray,
    n_topics: int,
    reduction: Reduction = "pca",
    seed: int = SEED,
    public_names: PublicNames = NOBODY,
    start: np.ndarray | None = None,
) -> Clusters:
    """Group questions by meaning and name the groups with BERTopic's c-TF-IDF.

    ``vectors``: float32, shape (n, d), unit length. KMeans in the space of PCA (up to 50
    components) or UMAP (5), both with a fixed seed, gives the start; then each question goes to
    the nearest mean direction until none moves (spherical k-means, Dhillon and Modha 2001), so that
    topics are their centroids, by which later questions are assigned. No question is left outside,
    as density clustering would. At most as many topics as there are different vectors. No personal
    data names a topic; ``public_names`` may.

    ``start``: int, shape (n,): groups to start from in place of those of KMeans; then ``n_topics``
    and ``reduction`` say nothing.

    Raises:
        ValueError: no questions, or ``n_topics`` below 1.
        NotInstalledError: BERTopic is not installed.
        RagBenchError: too few questions for UMAP.
    """
    if not len(texts) or n_topics < 1:
        raise ValueError("topics need questions and a number of topics of at least 1")
    if find_spec("bertopic") is None:
        raise NotInstalledError("Topics need BERTopic: pip install 'rag-bench[topics]'")
    if start is None:
        from sklearn.cluster import KMeans

        reduced = reduce_dimensions(vectors, reduction, seed)
        # Texts of the same tokens have vectors that differ by rounding, and more once reduced.
        k = min(n_topics, len(np.unique(np.round(vectors, _EQUAL_DIGITS), axis=0)))
        start = KMeans(n_clusters=k, random_state=seed, n_init=10).fit_predict(reduced)
    directions = directions_from(vectors, common_centre(vectors))
    labels = _by_size(_settled_groups(directions, np.asarray(start)))
    documents = [" ".join(words) for words in content_words(texts, public_names)]
    return measured(directions, labels, _keywords(documents, labels), seed)


def common_centre(vectors: np.ndarray) -> np.ndarray:
    """Return the mean of vectors, float64, shape (d,)."""
    return np.asarray(vectors.astype(np.float64).mean(axis=0))


def directions_from(vectors: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Return the vectors' directions from a centre, float64, unit length; what lies at the centre
    has none, and is 0.

    What all questions share says nothing of their topics: it is most of what e5's vectors share.
    """
    moved = vectors.astype(np.float64) - centre
    lengths = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.where(lengths > _LEAST_LENGTH, moved / np.maximum(lengths, _LEAST_LENGTH), 0.0)


def mean_directions(directions: np.ndarray, labels: np.ndarray, n: int) -> np.ndarray:
    """Return each group's mean direction, unit length, shape (n, d)."""
    means = np.stack([directions[labels == topic].mean(axis=0) for topic in range(n)])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    return np.asarray(means / np.maximum(lengths, _LEAST_LENGTH))


def measured(
    directions: np.ndarray,
    labels: np.ndarray,
    keywords: Sequence[Sequence[str]],
    seed: int = SEED,
) -> Clusters:
    """Return groups with how well they are apart. Every group has a question."""
    centres = mean_directions(directions, labels, len(keywords))
    silhouette, by_topic, n_measured = _silhouette(directions, labels, seed)
    distances = settled(1 - np.einsum("ij,ij->i", directions, centres[labels]))
    return Clusters(labels, keywords, silhouette, by_topic, n_measured, np.asarray(distances))


def _settled_groups(directions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Move questions to the nearest mean direction until none moves; a group may vanish."""
    for _ in range(_MOST_MOVES):
        labels = np.unique(labels, return_inverse=True)[1]
        centres = mean_directions(directions, labels, int(labels.max()) + 1)
        nearest = np.argmax(settled(directions @ centres.T), axis=1)
        # What has no direction is as near to all: it stays.
        nearest = np.where(directions.any(axis=1), nearest, labels)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
    return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)


def _by_size(labels: np.ndarray) -> np.ndarray:
    """Number groups by falling size, those of one size by their first question."""
    _, firsts, sizes = np.unique(labels, return_index=True, return_counts=True)
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.lexsort((firsts, -sizes))] = np.arange(len(sizes))
    return np.asarray(rank[labels])


def _keywords(documents: Sequence[str], labels: np.ndarray) -> list[list[str]]:
    """Return the most telling words of each group of documents, by BERTopic's c-TF-IDF."""
    from bertopic import BERTopic
    from bertopic.cluster import BaseCluster
    from bertopic.dimensionality import BaseDimensionalityReduction
    from sklearn.feature_extraction.text import CountVectorizer

    topics = range(int(labels.max()) + 1)
    vocabulary = {word for document in documents for word in document.split() or [_NO_WORDS]}
    if len(vocabulary) < 2:
        # c-TF-IDF cannot tell topics apart by one word, and fails.
        return [_distinct_words(sorted(vocabulary)) for _ in topics]
    model = BERTopic(
        # "english", the default, deletes every Cyrillic letter.
        language="multilingual",
        embedding_model=None,
        umap_model=BaseDimensionalityReduction(),
        # The groups are given.
        hdbscan_model=BaseCluster(),
        # The documents are words already; min_df 1: questions are short.
        vectorizer_model=CountVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False),
        top_n_words=_CANDIDATE_WORDS,
        calculate_probabilities=False,
    )
    named, _ = model.fit_transform(
        list(documents), embeddings=np.zeros((len(documents), 2)), y=labels.tolist()
    )
    # It may number groups of one size otherwise.
    its = {int(mine): int(theirs) for mine, theirs in zip(labels, named, strict=True)}
    return [
        _distinct_words([word for word, _ in model.get_topic(its[topic]) or []]) for topic in topics
    ]


def reduce_dimensions(vectors: np.ndarray, reduction: Reduction, seed: int = SEED) -> np.ndarray:
    """Return the vectors in fewer dimensions, shape (n, at most 50 or 5); the same every time.

    By PCA they are of unit length again, so that Euclidean distance orders as the cosine does.
    """
    n, d = vectors.shape
    if reduction == "umap":
        if n < _LEAST_FOR_UMAP:
            raise RagBenchError(
                f"UMAP needs at least {_LEAST_FOR_UMAP} questions and there are {n}: "
                "set reduction to pca."
            )
        from umap import UMAP

        reducer = UMAP(
            n_neighbors=_UMAP_NEIGHBOURS,
            n_components=_UMAP_COMPONENTS,
            min_dist=0.0,
            metric="cosine",
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(reducer.fit_transform(vectors), dtype=np.float32)
    components = min(_COMPONENTS, n - 1, d)
    if components < 1:
        return vectors
    from sklearn.decomposition import PCA

    # In float64: questions that are all alike have no variance at all, and no direction.
    with np.errstate(invalid="ignore"):
        reduced = PCA(components, random_state=seed).fit_transform(vectors.astype(np.float64))
    # Directions from the common centre: what all questions share says nothing of their topics.
    lengths = np.linalg.norm(reduced, axis=1, keepdims=True)
    return np.asarray(reduced / np.maximum(lengths, _LEAST_LENGTH), dtype=np.float32)


def _silhouette(
    reduced: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[float | None, list[float | None], int]:
    from sklearn.metrics import silhouette_samples

    n_topics = int(labels.max()) + 1
    # All pairs of questions: a sample keeps it bounded.
    chosen = sample(len(labels), _SILHOUETTE_SAMPLE, seed)
    if not 1 < len(np.unique(labels[chosen])) < len(chosen):
        return None, [None] * n_topics, 0
    values = silhouette_samples(reduced[chosen], labels[chosen])
    by_topic = [
        settled(float(values[labels[chosen] == topic].mean()))
        if (labels[chosen] == topic).any()
        else None
        for topic in range(n_topics)
    ]
    return settled(float(values.mean())), by_topic, len(chosen)


def _distinct_words(ordered: Sequence[str]) -> list[str]:
    """Return the words without further forms of one word (стипендия, стипендию)."""
    kept: list[str] = []
    for word in ordered:
        # BERTopic fills short lists with empty words.
        if word not in ("", _NO_WORDS) and not any(_same_word(word, other) for other in kept):
            kept.append(word)
    return kept


def _same_word(one: str, other: str) -> bool:
    """Whether two words differ in an ending of at most three letters after four or more."""
    shared = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
    return shared >= 4 and max(len(one), len(other)) - shared <= 3
