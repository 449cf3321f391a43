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
_NAME_WORDS = 4
_CANDIDATE_WORDS = 20
# What BERTopic puts in place of an empty document.
_NO_WORDS = "emptydoc"


@dataclass(frozen=True)
class Clusters:
    """Questions by topic.

    Attributes:
        labels: int, shape (n,): topic of each question, 0 the largest; every question has one.
        keywords: the most telling words of each topic, best first; may be empty.
        silhouette: mean silhouette of a sample of the questions, in the reduced space; None where
            it is not defined (one topic, or as many as questions).
        by_topic: the same per topic; None for a topic outside the sample.
        n_measured: questions in that sample.
        distances: shape (n,): Euclidean distance to the topic's centre in the reduced space.
    """

    labels: np.ndarray
    keywords: Sequence[Sequence[str]]
    silhouette: float | None
    by_topic: Sequence[float | None]
    n_measured: int
    distances: np.ndarray

    def name(self, topic: int) -> str:
        """Return a topic's name: its most telling words."""
        return ", ".join(self.keywords[topic][:_NAME_WORDS]) or f"topic {topic}"


def cluster(
    texts: Sequence[str],
    vectors: np.ndarray,
    n_topics: int,
    reduction: Reduction = "pca",
    seed: int = SEED,
    public_names: PublicNames = NOBODY,
) -> Clusters:
    """Group questions by meaning and name the groups with BERTopic's c-TF-IDF.

    ``vectors``: float32, shape (n, d), unit length. KMeans in the space of PCA (up to 50
    components) or UMAP (5), both with a fixed seed. No question is left outside, as density
    clustering would. At most as many topics as there are different vectors. No personal data names
    a topic; ``public_names`` may.

    Raises:
        ValueError: no questions, or ``n_topics`` below 1.
        NotInstalledError: BERTopic is not installed.
        RagBenchError: too few questions for UMAP.
    """
    if not len(texts) or n_topics < 1:
        raise ValueError("topics need questions and a number of topics of at least 1")
    if find_spec("bertopic") is None:
        raise NotInstalledError("Topics need BERTopic: pip install 'rag-bench[topics]'")
    reduced = reduce_dimensions(vectors, reduction, seed)
    documents = [" ".join(words) for words in content_words(texts, public_names)]
    # Texts of the same tokens have vectors that differ by rounding, and more once reduced.
    k = min(n_topics, len(np.unique(np.round(vectors, _EQUAL_DIGITS), axis=0)))
    labels, keywords = _named(documents, reduced, k, seed)
    centres = np.stack([reduced[labels == topic].mean(axis=0) for topic in range(len(keywords))])
    silhouette, by_topic, measured = _silhouette(reduced, labels, seed)
    return Clusters(
        labels,
        keywords,
        silhouette,
        by_topic,
        measured,
        settled(np.linalg.norm(reduced - centres[labels], axis=1)),
    )


def _named(
    documents: Sequence[str], reduced: np.ndarray, k: int, seed: int
) -> tuple[np.ndarray, list[list[str]]]:
    """Return each document's topic, by falling size, and each topic's words."""
    from bertopic import BERTopic
    from bertopic.dimensionality import BaseDimensionalityReduction
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import CountVectorizer

    kmeans = KMeans(n_clusters=k, random_state=seed, n_init=10)
    vocabulary = {word for document in documents for word in document.split() or [_NO_WORDS]}
    if len(vocabulary) < 2:
        # c-TF-IDF cannot tell topics apart by one word, and fails.
        found = kmeans.fit_predict(reduced)
        sizes = np.bincount(found)
        rank = np.argsort(np.argsort(-sizes, kind="stable"))
        return rank[found], [_distinct_words(sorted(vocabulary)) for _ in sizes]
    model = BERTopic(
        # "english", the default, deletes every Cyrillic letter.
        language="multilingual",
        embedding_model=None,
        umap_model=BaseDimensionalityReduction(),
        hdbscan_model=kmeans,
        # The documents are words already; min_df 1: questions are short.
        vectorizer_model=CountVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False),
        top_n_words=_CANDIDATE_WORDS,
        calculate_probabilities=False,
    )
    labels, _ = model.fit_transform(list(documents), embeddings=reduced)
    keywords = [
        _distinct_words([word for word, _ in model.get_topic(topic) or []])
        for topic in range(max(labels) + 1)
    ]
    return np.asarray(labels, dtype=np.int64), keywords


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
